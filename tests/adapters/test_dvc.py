"""The DVC adapter on a real repository with a local remote: pulled, missing, tampered with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lynxgate.adapters.dvc import DvcEvalData
from lynxgate.candidate.eval_set_check import verify_pulled
from lynxgate.errors import CannotJudge, GateError, IntegrityFailure, StoreFailure
from minieval.contract.evalset import identify
from tests.dvc_repository import DvcRepository


@pytest.mark.slow
def test_pull(dvc_repository: DvcRepository, capfd: pytest.CaptureFixture[str]) -> None:
    before = [identify(dvc_repository.file), identify(dvc_repository.folder)]
    dvc_repository.forget()
    for target in (dvc_repository.file, dvc_repository.folder):
        DvcEvalData(dvc_repository.root).pull(target)
    assert [identify(dvc_repository.file), identify(dvc_repository.folder)] == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_pull_from_elsewhere_by_a_relative_path(dvc_repository: DvcRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    dvc_repository.forget()
    monkeypatch.chdir(dvc_repository.root.parent)
    DvcEvalData(dvc_repository.root).pull(Path("repository/rows.jsonl"))
    assert verify_pulled(dvc_repository.file)


@pytest.mark.parametrize("kept", ["in the cache", "in the remote"])
@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.slow
def test_local_changes_that_are_kept_elsewhere_give_way(dvc_repository: DvcRepository, kind: str, kept: str) -> None:
    target = dvc_repository.file if kind == "file" else dvc_repository.folder
    pointer = target.with_name(f"{target.name}.dvc")
    before, named = identify(target), pointer.read_bytes()
    change(target)
    # A version of its own, and then the older pointer again, as `git checkout` brings it.
    dvc_repository.run("add", "-q", target.name)
    if kept == "in the remote":
        dvc_repository.run("push", "-q")
        shutil.rmtree(dvc_repository.root / ".dvc" / "cache")
    pointer.write_bytes(named)
    assert identify(target) != before
    DvcEvalData(dvc_repository.root).pull(target)
    assert identify(target) == before


@pytest.mark.parametrize("where", ["cached", "a fresh clone", "no remote", "removed from the folder"])
@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.slow
def test_local_changes_that_are_nowhere_else_are_not_overwritten(
    dvc_repository: DvcRepository, kind: str, where: str, capfd: pytest.CaptureFixture[str]
) -> None:
    target = dvc_repository.file if kind == "file" else dvc_repository.folder
    if where == "a fresh clone":
        shutil.rmtree(dvc_repository.root / ".dvc" / "cache")
    if where == "no remote":
        dvc_repository.run("remote", "remove", "store")
    changed = change(target)
    if where == "removed from the folder" and kind == "folder":
        (target / "b.jsonl").unlink()
    capfd.readouterr()
    before = identify(target)
    with pytest.raises(IntegrityFailure, match=r"neither in DVC's cache nor in the remote.*dvc add") as caught:
        DvcEvalData(dvc_repository.root).pull(target)
    assert str(changed) in str(caught.value)
    assert identify(target) == before
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_of_a_folder_comes_back(dvc_repository: DvcRepository) -> None:
    before = identify(dvc_repository.folder)
    (dvc_repository.folder / "b.jsonl").unlink()
    DvcEvalData(dvc_repository.root).pull(dvc_repository.folder)
    assert identify(dvc_repository.folder) == before


def change(target: Path) -> Path:
    """Change a file of the eval set; return it."""
    file = target / "deep" / "ü.jsonl" if target.is_dir() else target
    file.chmod(0o644)
    data = file.read_bytes()
    file.unlink()  # it may be a link into the cache
    file.write_bytes(data.replace(b"walked", b"ran"))
    return file


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.slow
def test_tampered_bytes_never_pass(
    dvc_repository: DvcRepository, verify: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    if verify:
        dvc_repository.run("remote", "modify", "store", "verify", "true")
    capfd.readouterr()
    dvc_repository.forget()
    for path in dvc_repository.remote_objects():
        path.chmod(0o644)
        path.write_bytes(path.read_bytes().replace(b"walked", b"wolked"))
    with pytest.raises((StoreFailure, IntegrityFailure)) as caught:
        DvcEvalData(dvc_repository.root).pull(dvc_repository.file)
        verify_pulled(dvc_repository.file)
    assert "altered" in str(caught.value) or "other bytes" in str(caught.value)
    assert capfd.readouterr() == ("", "")


def _remove_remote(repository: DvcRepository) -> None:
    repository.run("remote", "remove", "store")


def _empty_remote(repository: DvcRepository) -> None:
    shutil.rmtree(repository.root / "remote")


def _unreachable_remote(repository: DvcRepository) -> None:
    repository.run("remote", "modify", "store", "url", "http://user:s3cret@127.0.0.1:9/x")


def _no_pointer(repository: DvcRepository) -> None:
    (repository.root / "rows.jsonl.dvc").unlink()


def _no_repository(repository: DvcRepository) -> None:
    shutil.rmtree(repository.root / ".dvc")


@pytest.mark.parametrize(
    ("break_it", "kind", "words"),
    [
        (_remove_remote, StoreFailure, "no default DVC remote"),
        (_empty_remote, StoreFailure, "does not have its bytes"),
        (_unreachable_remote, StoreFailure, "rows.jsonl: "),
        (_no_pointer, CannotJudge, "there is no"),
        (_no_repository, CannotJudge, "not a DVC repository"),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_pulled(
    dvc_repository: DvcRepository,
    break_it: object,
    kind: type[GateError],
    words: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert callable(break_it)
    dvc_repository.forget()
    break_it(dvc_repository)
    capfd.readouterr()
    with pytest.raises(kind, match=words) as caught:
        DvcEvalData(dvc_repository.root).pull(dvc_repository.file)
    assert "s3cret" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
