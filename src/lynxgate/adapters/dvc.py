"""Bring the bytes of the eval set with DVC. The only file that imports dvc.

- A pull verifies nothing unless the remote has ``verify = true``: `lynxgate.candidate.eval_set_check` hashes the bytes
  afterwards in any case.
- Nothing that DVC prints or logs reaches our output.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

from dvc.config import NoRemoteError
from dvc.exceptions import CheckoutError, DvcException, FileTransferError, NoOutputOrStageError, NotDvcRepoError
from dvc.repo import Repo

from lynxgate.errors import CannotJudge, GateError, StoreFailure
from lynxgate.redact import scrub


class DvcEvalData:
    """`lynxgate.ports.EvalData` on the DVC repository at ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        for name in ("dvc", "dvc_data", "dvc_objects"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def pull(self, target: Path) -> None:
        """Bring ``target`` up to date with its ``.dvc`` file; local changes of it are overwritten.

        Raises:
            CannotJudge: DVC has no such target, or there is no DVC repository.
            StoreFailure: no remote is configured, or it cannot be reached or lacks the bytes that were pushed.
        """
        try:
            with _quiet(), Repo(str(self._root)) as repo:
                repo.pull(targets=[str(target.absolute())], force=True)
        except GateError:
            raise
        except NotDvcRepoError as error:
            raise CannotJudge(f"{self._root}: not a DVC repository (there is no .dvc in it)") from error
        except NoOutputOrStageError as error:
            raise CannotJudge(f"{target}: DVC does not track it; there is no {target}.dvc") from error
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
            f"remote cannot be reached); where the data still is: dvc push {target}.dvc"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
