"""Bring the bytes of the eval set with DVC. The only file that imports dvc.

- A pull verifies nothing unless the remote has ``verify = true``: `lynxgate.candidate.eval_set_check` hashes the bytes
  afterwards in any case.
- A pull never loses bytes that are nowhere else.
- Nothing that DVC prints or logs reaches our output.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

from dvc.config import NoRemoteError, RemoteConfigError
from dvc.exceptions import (
    CheckoutError,
    DvcException,
    FileTransferError,
    NoOutputOrStageError,
    NotDvcRepoError,
    OutputNotFoundError,
)
from dvc.output import Output
from dvc.repo import Repo
from dvc_data.hashfile.build import build
from dvc_data.hashfile.tree import Tree

from lynxgate.errors import CannotJudge, GateError, IntegrityFailure, StoreFailure
from lynxgate.redact import scrub


class DvcEvalData:
    """`lynxgate.ports.EvalData` on the DVC repository at ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in ("dvc", "dvc_data", "dvc_objects"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def pull(self, target: Path) -> None:
        """Bring ``target`` up to date with what DVC names; bytes that DVC keeps elsewhere are overwritten.

        Raises:
            IntegrityFailure: it holds bytes that are neither those that DVC names nor in its cache or remote.
            CannotJudge: DVC has no such target, or there is no DVC repository.
            StoreFailure: no remote is configured, or it cannot be reached or lacks the bytes that were pushed.
        """
        try:
            with _quiet(), Repo(str(self._root)) as repo:
                _check_kept(repo, target)
                repo.pull(targets=[str(target.absolute())], force=True)
        except GateError:
            raise
        except NotDvcRepoError as error:
            raise CannotJudge(f"{self._root}: not a DVC repository (there is no .dvc in it)") from error
        except NoOutputOrStageError as error:
            raise CannotJudge(
                f"{target}: DVC does not track it: there is no {target}.dvc, and it is no stage's output"
            ) from error
        except NoRemoteError as error:
            raise StoreFailure(f"{target}: no DVC remote is configured (dvc remote add -d NAME URL)") from error
        except (CheckoutError, FileTransferError) as error:
            raise StoreFailure(self._explain(target)) from error
        except DvcException as error:
            raise StoreFailure(f"{target}: dvc pull failed: {scrub(str(error), '')}") from error
        except Exception as error:  # the storage SDKs under DVC raise types that cannot be imported here
            raise StoreFailure(f"{target}: the DVC remote failed: {scrub(str(error), '')}") from error

    def _explain(self, target: Path) -> str:
        """Return the likely cause: DVC raises the same error for a missing remote, missing bytes and altered bytes."""
        with _quiet(), Repo(str(self._root)) as repo:
            name = repo.config["core"].get("remote")
        if not name:
            return f"{target}: its bytes are not here, and no default DVC remote is set (dvc remote add -d NAME URL)"
        return (
            f"{target}: the DVC remote {name!r} does not have its bytes as they were pushed (missing, altered, or the "
            f"remote cannot be reached); where the data still is: dvc push {target}"
        )


def _check_kept(repo: Repo, target: Path) -> None:
    """Check that a forced pull loses nothing: what it replaces is in the cache or the remote.

    Raises:
        IntegrityFailure: it is not; names the first such file.
    """
    if not target.exists():
        return
    path = str(target.absolute())
    try:
        outs = repo.find_outs_by_path(path, strict=False)
    except OutputNotFoundError:
        return  # the pull itself refuses it
    for out in outs:
        _, _, present = build(out.local_cache, path, out.fs, out.hash_name, ignore=out.dvcignore, dry_run=True)
        if present.hash_info == out.hash_info:
            continue
        parts = ((name, info) for name, _, info in present) if isinstance(present, Tree) else (((), present.hash_info),)
        for name, info in parts:
            if not (out.local_cache.exists(info.value) or _is_in_remote(repo, out, info.value)):
                raise IntegrityFailure(
                    f"{target.joinpath(*name)}: was changed here, and its bytes are neither in DVC's cache nor in the "
                    "remote, so that a pull would lose them; move it away, or make it a new version of the eval set "
                    f"(dvc add {target}), then run this again"
                )


def _is_in_remote(repo: Repo, out: Output, md5: str) -> bool:
    try:
        return bool(repo.cloud.get_remote_odb(out.remote, "pull", hash_name=out.hash_name).exists(md5))
    except (NoRemoteError, RemoteConfigError):  # there is none, or one that does not keep files by their hash
        return False


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
