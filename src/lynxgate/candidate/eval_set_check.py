"""Check an eval set: its bytes, its ``.dvc`` file and the baseline must name the same hashes.

- A failed check names the hash in the baseline, in the ``.dvc`` file, and of the bytes.
- The bytes are hashed here: ``dvc pull`` alone verifies nothing unless its remote is configured to.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationError

from lynxgate.errors import CannotJudge, IntegrityFailure
from minieval.contract.documents import Document, read_bytes
from minieval.contract.evalset import identify
from minieval.contract.fields import Count, DvcMd5, Name
from minieval.contract.plain_yaml import NotPlainYaml, parse_yaml
from minieval.contract.report import EvalSetIdentity


@dataclass(frozen=True)
class DvcFile:
    """The one output of a ``.dvc`` file; ``size`` in bytes, where the file has it."""

    md5: str
    path: str
    size: int | None


def dvc_file_of(data: Path) -> Path:
    """Return the path of the ``.dvc`` file of a file or folder, which is beside it."""
    return data.with_name(f"{data.name}.dvc")


def read_dvc_file(path: Path) -> DvcFile:
    """Read a ``.dvc`` file with exactly one output.

    Raises:
        CannotJudge: it is missing, not plain YAML (`minieval.contract.plain_yaml`), or has other outputs.
    """
    data = read_bytes(path, missing="the eval set must be versioned with DVC (dvc add); is this the right checkout?")
    return parse_dvc_file(data, where=str(path))


def parse_dvc_file(data: bytes, *, where: str) -> DvcFile:
    """Parse a ``.dvc`` file with exactly one output; ``where`` is what messages call it.

    Raises:
        CannotJudge: it is not plain YAML (`minieval.contract.plain_yaml`), or has other outputs.
    """
    try:
        (out,) = _Outputs.model_validate(parse_yaml(data)).outs
    except (NotPlainYaml, ValidationError) as error:
        reason = "its outs are not one file with an md5" if isinstance(error, ValidationError) else str(error)
        raise CannotJudge(f"{where}: not a .dvc file we can read ({reason}); write it again with dvc add") from error
    return DvcFile(md5=out.md5, path=out.path, size=out.size)


def verify_pulled(path: Path) -> EvalSetIdentity:
    """Check the bytes at ``path`` against the ``.dvc`` file beside it, and return their identity.

    Raises:
        IntegrityFailure: the bytes are not those that the ``.dvc`` file names.
        CannotJudge: the eval set or its ``.dvc`` file is missing or cannot be read.
    """
    pointer, named = _pointer(path)
    found = identify(path)
    if found.dvc_md5 != named.md5:
        raise IntegrityFailure(
            f"{path}: {pointer} has md5 {named.md5}, the bytes are {found.dvc_md5}. {_pull_again(pointer)}"
        )
    return found


def check_eval_set(expected_md5: str, expected_sha256: str | None, path: Path) -> EvalSetIdentity:
    """Check the bytes at ``path`` and the ``.dvc`` file beside it against a baseline, and return their identity.

    ``expected_sha256`` is `None` where the baseline has none; then the md5 alone decides.

    Raises:
        IntegrityFailure: the three do not agree; the message has each hash, and what to do.
        CannotJudge: the eval set or its ``.dvc`` file is missing or cannot be read.
    """
    pointer, named = _pointer(path)
    found = identify(path)
    hashes = f"the baseline has md5 {expected_md5}, {pointer} has {named.md5}, the bytes are {found.dvc_md5}"
    if found.dvc_md5 != named.md5:
        raise IntegrityFailure(f"{path}: {hashes}. {_pull_again(pointer)}")
    if named.md5 != expected_md5:
        raise IntegrityFailure(
            f"{path}: {hashes}. The eval set is not the one this baseline was measured on; check out the one that was, "
            "or measure a new baseline (lynxgate baseline rebaseline)"
        )
    if expected_sha256 is not None and found.sha256 != expected_sha256:
        raise IntegrityFailure(
            f"{path}: the md5 is the expected one, but the baseline has sha256 {expected_sha256} and the bytes are "
            f"{found.sha256}. Either the baseline was edited by hand, or two contents were made to share one md5"
        )
    return found


def _pointer(path: Path) -> tuple[Path, DvcFile]:
    pointer = dvc_file_of(path)
    named = read_dvc_file(pointer)
    if named.path != path.name:
        raise CannotJudge(f"{pointer}: its output is {named.path!r}, not {path.name!r}; write it again with dvc add")
    if not path.exists():
        raise CannotJudge(
            f"{path}: the eval set is not here; pull it with: lynxgate pull {path} (or dvc pull {pointer})"
        )
    return pointer, named


def _pull_again(pointer: Path) -> str:
    return (
        f"The bytes are not what {pointer} names; pull them again with: dvc pull --force {pointer}; if they stay "
        "the same, the DVC remote or cache holds other bytes: find out who changed them"
    )


class _Output(Document):
    """One output; DVC adds keys over time, and only these matter here."""

    model_config = ConfigDict(extra="ignore")

    md5: DvcMd5
    path: Name
    size: Count | None = None


class _Outputs(Document):
    model_config = ConfigDict(extra="ignore")

    outs: Annotated[list[_Output], Field(min_length=1, max_length=1)]
