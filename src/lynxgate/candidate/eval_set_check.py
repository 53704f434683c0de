"""Check an eval set: its bytes, what DVC names for it, and the baseline must have the same hashes.

- What DVC names is in a ``.dvc`` file or a ``dvc.lock`` (`lynxgate.candidate.dvc_pointer`).
- A failed check names the hash in the baseline, the one that DVC names, and that of the bytes.
- The bytes are hashed here: ``dvc pull`` alone verifies nothing unless its remote is configured to.
- The md5 of DVC 2 is of text with LF line ends: it may name bytes that the baseline's md5, of the bytes, does not.
"""

from __future__ import annotations

from pathlib import Path

from lynxgate.candidate.dvc_pointer import Named, Pointer, find_pointer
from lynxgate.errors import CannotJudge, IntegrityFailure
from minieval.contract.evalset import dvc2_md5, identify
from minieval.contract.report import EvalSetIdentity


def verify_pulled(path: Path) -> EvalSetIdentity:
    """Check the bytes at ``path`` against what DVC names, and return their identity.

    Raises:
        IntegrityFailure: the bytes are other ones.
        CannotJudge: the eval set, or what names it, is missing or cannot be read.
    """
    pointer = _find_present(path)
    found = identify(path)
    if not _agrees(pointer.named, path, found):
        raise IntegrityFailure(
            f"{path}: {pointer.file} has md5 {pointer.named.md5}, the bytes are {found.dvc_md5}. {_pull_again(pointer)}"
        )
    return found


def check_eval_set(expected_md5: str, expected_sha256: str | None, path: Path) -> EvalSetIdentity:
    """Check the bytes at ``path`` and what DVC names for them against a baseline, and return their identity.

    ``expected_sha256`` is `None` where the baseline has none; then the md5 alone decides.

    Raises:
        IntegrityFailure: the three do not agree; the message has each hash, and what to do.
        CannotJudge: the eval set, or what names it, is missing or cannot be read.
    """
    pointer = _find_present(path)
    named, found = pointer.named, identify(path)
    hashes = f"the baseline has md5 {expected_md5}, {pointer.file} has {named.md5}, the bytes are {found.dvc_md5}"
    if not _agrees(named, path, found):
        raise IntegrityFailure(f"{path}: {hashes}. {_pull_again(pointer)}")
    if expected_md5 != found.dvc_md5:
        if expected_md5 == named.md5:
            raise IntegrityFailure(
                f"{path}: {hashes}. The md5 of DVC 2 is that of the text with LF line ends, and the file has CRLF; set "
                f"the baseline's eval_set_dvc_hash to {found.dvc_md5}"
            )
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


def _agrees(named: Named, path: Path, found: EvalSetIdentity) -> bool:
    return found.dvc_md5 == named.md5 or (named.unix_lines and dvc2_md5(path) == named.md5)


def _find_present(path: Path) -> Pointer:
    pointer = find_pointer(path)
    if not path.exists():
        raise CannotJudge(
            f"{path}: the eval set is not here; pull it with: lynxgate pull {path} (or dvc pull {pointer.target})"
        )
    return pointer


def _pull_again(pointer: Pointer) -> str:
    return (
        f"The bytes are not what {pointer.file} names; pull them again with: dvc pull --force {pointer.target}; if "
        "they stay the same, the DVC remote or cache holds other bytes: find out who changed them"
    )
