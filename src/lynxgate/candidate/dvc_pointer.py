"""Find and read what DVC names for an eval set: a ``.dvc`` file beside it, or a stage's output in a ``dvc.lock``.

- A ``.dvc`` file has one output; its path is relative to ``wdir``. One that `dvc import` wrote is like any other.
- A ``dvc.lock`` lies in the folder of the data or above it, up to the root of the DVC repository. A stage's paths are
  relative to its ``wdir``, which only ``dvc.yaml`` names.
- A version-aware folder names its files instead of one hash; the hash follows from them as DVC computes it.
- Without ``hash: md5`` the md5 is that of DVC 2: of text with LF line ends (`minieval.contract.evalset.dvc2_md5`).
- Other hashes, and a file inside a folder that is tracked as a whole, are refused with what to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import ConfigDict, Field, ValidationError

from lynxgate.errors import CannotJudge
from minieval.contract.documents import Document, Json, read_bytes
from minieval.contract.evalset import dvc_folder_md5
from minieval.contract.fields import Count, DvcMd5, Name
from minieval.contract.plain_yaml import NotPlainYaml, parse_yaml

LOCK: Final = "dvc.lock"
PIPELINE: Final = "dvc.yaml"
REPOSITORY: Final = ".dvc"  # the folder in a DVC repository's root


@dataclass(frozen=True)
class Named:
    """One output: ``path`` is relative to the file that names it; ``size`` in bytes, where it is named.

    ``unix_lines``: ``md5`` is of text with LF line ends.
    """

    md5: str
    path: str
    size: int | None = None
    unix_lines: bool = False


@dataclass(frozen=True)
class Pointer:
    """The file that names the data, what it names, and what to write after `dvc pull`."""

    file: Path
    named: Named
    target: Path


def dvc_file_of(data: Path) -> Path:
    """Return the path of the ``.dvc`` file beside a file or folder."""
    return data.with_name(f"{data.name}.dvc")


def find_pointer(data: Path) -> Pointer:
    """Find what names the file or folder ``data``, which need not be there.

    Raises:
        CannotJudge: nothing names it, or what does cannot be read; the message states what to do.
    """
    if not data.name:
        raise CannotJudge(f"{data}: names no file or folder that DVC could track; name the eval set itself")
    beside = dvc_file_of(data)
    if os.path.lexists(beside):
        named = read_dvc_file(beside)
        if not _is_same(beside.parent / named.path, data):
            raise CannotJudge(f"{beside}: its output is {named.path!r}, not {data.name!r}; write it again with dvc add")
        return Pointer(beside, named, beside)
    for folder in _folders_above(data):
        lock = folder / LOCK
        if lock.is_file():
            for named in read_dvc_lock(lock):
                if _is_same(folder / named.path, data):
                    return Pointer(lock, named, data)
    for folder in _folders_above(data):
        if folder.name and dvc_file_of(folder).is_file():
            raise CannotJudge(
                f"{data}: DVC tracks it as a part of the folder {folder} ({dvc_file_of(folder)}), and an eval set is "
                "a whole output; name that folder as the eval set, or track the file by itself (dvc add)"
            )
    raise CannotJudge(
        f"{beside}: no such file, and no {LOCK} in its folder or above names {data.name} as an output; the eval set "
        "must be versioned with DVC (dvc add); is this the right checkout?"
    )


def read_dvc_file(path: Path) -> Named:
    """Read a ``.dvc`` file with exactly one output.

    Raises:
        CannotJudge: it is missing, or as `parse_dvc_file`.
    """
    data = read_bytes(path, missing="the eval set must be versioned with DVC (dvc add); is this the right checkout?")
    return parse_dvc_file(data, where=str(path))


def parse_dvc_file(data: bytes, *, where: str) -> Named:
    """Parse a ``.dvc`` file with exactly one output; ``where`` is what messages call it.

    Raises:
        CannotJudge: it is not plain YAML (`minieval.contract.plain_yaml`), or has other outputs.
    """
    try:
        file = _DvcFile.model_validate(parse_yaml(data))
    except (NotPlainYaml, ValidationError) as error:
        reason = "its outs are not one file with an md5" if isinstance(error, ValidationError) else str(error)
        raise CannotJudge(f"{where}: not a .dvc file we can read ({reason}); write it again with dvc add") from error
    (out,) = file.outs
    return _name(out, file.wdir or ".", where)


def read_dvc_lock(path: Path) -> Iterator[Named]:
    """Yield the outputs in a ``dvc.lock``, with the help of the ``dvc.yaml`` beside it.

    Raises:
        CannotJudge: it cannot be read, or as `parse_dvc_lock`.
    """
    pipeline = path.with_name(PIPELINE)
    stages = read_bytes(pipeline) if pipeline.is_file() else b""
    return parse_dvc_lock(read_bytes(path), stages, where=str(path))


def parse_dvc_lock(data: bytes, pipeline: bytes, *, where: str) -> Iterator[Named]:
    """Yield the outputs that a ``dvc.lock`` names by an md5; ``pipeline`` is its ``dvc.yaml``, empty when missing.

    Raises:
        CannotJudge: one of them is not plain YAML, or the lock has another form.
    """
    try:
        tree, stages = parse_yaml(data), parse_yaml(pipeline)
        # The first version of the format had the stages at the top.
        found = tree.get("stages", tree) if isinstance(tree, dict) else tree
        lock = _Lock.model_validate({"stages": found})
    except (NotPlainYaml, ValidationError) as error:
        reason = "its stages have another form" if isinstance(error, ValidationError) else str(error)
        raise CannotJudge(f"{where}: not a {LOCK} we can read ({reason}); write it again with dvc repro") from error
    for name, stage in lock.stages.items():
        for out in stage.outs:
            if out.md5 is not None or out.files:
                yield _name(out, _working_folder(stages, str(name)), where)


def _working_folder(pipeline: Json, stage: str) -> str:
    """Return the ``wdir`` of a stage; a stage of a matrix or a loop is locked as ``name@item``."""
    stages = pipeline.get("stages") if isinstance(pipeline, dict) else None
    entry = (stages.get(stage) or stages.get(stage.partition("@")[0])) if isinstance(stages, dict) else None
    if isinstance(entry, dict) and isinstance(entry.get("do"), dict):
        entry = entry["do"]
    found = entry.get("wdir") if isinstance(entry, dict) else None
    return found if isinstance(found, str) else "."


def _name(out: _Output, folder: str, where: str) -> Named:
    if out.hash not in (None, "md5"):
        raise CannotJudge(
            f"{where}: {out.path!r} has a hash of the kind {out.hash[:20]!r}, and only md5 can be checked; "
            "track it in the DVC repository itself (dvc add)"
        )
    md5 = dvc_folder_md5({file.relpath: file.md5 for file in out.files}) if out.files else out.md5
    if md5 is None:
        raise CannotJudge(
            f"{where}: {out.path!r} has no md5 yet (an import without its data, or data outside the repository); "
            "bring it with dvc update, or track a copy with dvc add"
        )
    return Named(md5, os.path.normpath(Path(folder) / out.path), out.size, unix_lines=out.hash is None)


def _folders_above(data: Path) -> Iterator[Path]:
    """Yield the folder of the data and those above it, to the root of the DVC repository."""
    for folder in Path(os.path.normpath(data.absolute())).parents:
        yield folder
        if (folder / REPOSITORY).is_dir():
            return


def _is_same(one: Path, other: Path) -> bool:
    # By name, not by `samefile`: the data may be missing, or a link into DVC's cache.
    return os.path.normpath(one.absolute()) == os.path.normpath(other.absolute())


class _Part(Document):
    """A part of a file of DVC, which adds keys over time."""

    model_config = ConfigDict(extra="ignore")


class _File(_Part):
    md5: DvcMd5
    relpath: Name


class _Output(_Part):
    path: Name
    md5: DvcMd5 | None = None
    size: Count | None = None
    hash: str | None = None
    files: tuple[_File, ...] = Field(default=(), strict=False)


class _DvcFile(_Part):
    wdir: Name | None = None
    outs: Annotated[list[_Output], Field(min_length=1, max_length=1)]


class _Stage(_Part):
    outs: tuple[_Output, ...] = Field(default=(), strict=False)


class _Lock(_Part):
    stages: Mapping[str, _Stage]
