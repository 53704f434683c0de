"""The eval set's three witnesses, on files and folders that the real DVC added."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lynxgate.candidate.dvc_pointer import dvc_file_of, read_dvc_file
from lynxgate.candidate.eval_set_check import check_eval_set, verify_pulled
from lynxgate.errors import CannotJudge, IntegrityFailure
from minieval.contract.evalset import identify
from tests.dvc_repository import DvcRepository

OTHER_MD5 = "0" * 32
OTHER_SHA = "0" * 64


@pytest.fixture(params=["file", "folder"])
def eval_set(request: pytest.FixtureRequest, dvc_repository: DvcRepository) -> Path:
    return dvc_repository.file if request.param == "file" else dvc_repository.folder


def test_the_identity_is_that_of_dvc(eval_set: Path) -> None:
    named, found = read_dvc_file(dvc_file_of(eval_set)), identify(eval_set)
    assert found.dvc_md5 == named.md5
    assert found.dvc_md5.endswith(".dir") is eval_set.is_dir()
    assert check_eval_set(named.md5, str(found.sha256), eval_set) == found == verify_pulled(eval_set)


def test_the_message_for_a_stale_baseline_has_all_three_hashes(eval_set: Path) -> None:
    found = identify(eval_set)
    with pytest.raises(IntegrityFailure) as caught:
        check_eval_set(OTHER_MD5, str(found.sha256), eval_set)
    text = str(caught.value)
    assert f"baseline has md5 {OTHER_MD5}" in text
    assert f"{eval_set.name}.dvc has {found.dvc_md5}, the bytes are {found.dvc_md5}" in text
    assert "rebaseline" in text


def test_the_message_for_changed_bytes_advises_a_pull(eval_set: Path) -> None:
    before = identify(eval_set)
    target = next(eval_set.rglob("*.jsonl")) if eval_set.is_dir() else eval_set
    target.chmod(0o644)
    target.write_text(target.read_text().replace("walked", "wolked"))
    expected = f"the bytes are {identify(eval_set).dvc_md5}"
    with pytest.raises(IntegrityFailure, match="dvc pull --force") as checked:
        check_eval_set(before.dvc_md5, str(before.sha256), eval_set)
    with pytest.raises(IntegrityFailure, match="dvc pull --force") as pulled:
        verify_pulled(eval_set)
    assert expected in str(checked.value)
    assert expected in str(pulled.value)


def test_a_file_more_in_a_folder_is_a_change(dvc_repository: DvcRepository) -> None:
    before = identify(dvc_repository.folder)
    (dvc_repository.folder / "extra.jsonl").write_text("{}\n")
    with pytest.raises(IntegrityFailure):
        check_eval_set(before.dvc_md5, str(before.sha256), dvc_repository.folder)


def test_another_sha256_under_the_same_md5(eval_set: Path) -> None:
    with pytest.raises(IntegrityFailure, match=f"sha256 {OTHER_SHA}"):
        check_eval_set(identify(eval_set).dvc_md5, OTHER_SHA, eval_set)


def test_the_message_for_a_missing_eval_set_advises_a_pull(eval_set: Path) -> None:
    if eval_set.is_dir():
        shutil.rmtree(eval_set)
    else:
        eval_set.unlink()
    with pytest.raises(CannotJudge, match="dvc pull"):
        check_eval_set(OTHER_MD5, OTHER_SHA, eval_set)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "outs: []",
        "outs:\n- path: x\n",
        "outs:\n- md5: zz\n  path: x\n",
        "- a",
        "a: [",
        "outs:\n- {md5: &a x, path: *b}",
        "\x00",
        "[" * 5000,
        "outs:\n" + f'- {{md5: "{OTHER_MD5}", path: x}}\n' * 2,
        f'outs:\n- {{md5: "{OTHER_MD5}", path: x, size: -1}}',
        f'outs:\n- {{md5: "{OTHER_MD5}", path: x, size: true}}',
        "!!python/object/apply:os.system ['echo']",
        "a: 2020-13-45",
        "a: !!bool abc",
        "a: !!int ''",
        "a: !!float ''",
        "a: !!timestamp abc",
        "a: 1:30",
        "outs: &a [{<<: {md5: x}}]",
    ],
)
def test_a_file_that_is_not_a_dvc_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.dvc"
    path.write_text(text)
    with pytest.raises(CannotJudge, match=r"x\.dvc: "):
        read_dvc_file(path)


def test_a_dvc_file_of_another_output_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("{}")
    (tmp_path / "x.jsonl.dvc").write_text(f"outs:\n- md5: '{OTHER_MD5}'\n  path: y.jsonl\n")
    with pytest.raises(CannotJudge, match=r"its output is 'y.jsonl'"):
        check_eval_set(OTHER_MD5, OTHER_SHA, tmp_path / "x.jsonl")
