"""Eval sets: strict rows, labels apart from features, and the identity that DVC would give."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minieval.contract.evalset import identify
from minieval.contract.exits import CannotJudge, IntegrityFailure
from minieval.data.labels import read_labels
from tests.minieval.candidates import upper_rows, write_rows


def test_the_identity_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "e.jsonl", upper_rows(5))
    identity = read_labels(path).identity
    assert identity.dvc_md5 == hashlib.md5(path.read_bytes()).hexdigest()
    assert identity.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (identity.path, identity.rows) == (str(path), 5)
    assert identify(path) == identity.model_copy(update={"rows": None})


def test_a_folder_is_read_in_path_order(folder: Path) -> None:
    labels = read_labels(folder)
    assert labels.ids[:6] == tuple(f"row-{i}" for i in range(6))
    assert labels.identity.rows == 10
    assert identify(folder) == labels.identity.model_copy(update={"rows": None})


@pytest.mark.slow
def test_dvc_itself_gives_the_same_md5(folder: Path, tmp_path: Path) -> None:
    single = write_rows(tmp_path / "one.jsonl", upper_rows(4))
    script = (
        "import sys; from dvc.repo import Repo\n"
        "repo = Repo.init('.', no_scm=True)\n"
        "for target in sys.argv[1:]:\n    print(repo.add(target)[0].outs[0].hash_info.value)"
    )
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, "eval", "one.jsonl"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-2:] == [identify(folder).dvc_md5, identify(single).dvc_md5]
    assert identify(folder).dvc_md5.endswith(".dir")


@pytest.mark.parametrize("change", ["byte", "rename", "add", "remove"])
def test_any_change_to_a_folder_changes_both_hashes(folder: Path, change: str) -> None:
    before = identify(folder)
    if change == "byte":
        (folder / "README.md").write_text("abouT")
    elif change == "rename":
        (folder / "README.md").rename(folder / "README")
    elif change == "add":
        (folder / "empty").touch()
    else:
        (folder / "README.md").unlink()
    after = identify(folder)
    assert before.dvc_md5 != after.dvc_md5
    assert before.sha256 != after.sha256


def test_the_message_for_a_missing_empty_or_special_set_has_an_advice(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", Path("/dev/zero")):
        with pytest.raises(CannotJudge, match="dvc pull"):
            read_labels(path)
    (tmp_path / "empty").mkdir()
    for work in (read_labels, identify):
        with pytest.raises(CannotJudge):
            work(tmp_path / "empty")
    (tmp_path / "empty" / "link.jsonl").symlink_to("/etc/passwd")
    with pytest.raises(IntegrityFailure):
        read_labels(tmp_path / "empty")


def test_a_path_that_no_document_can_hold_is_left_out(tmp_path: Path) -> None:
    path = write_rows(tmp_path / ("d" * 150) / ("e" * 100 + ".jsonl"), upper_rows(1))
    assert read_labels(path).identity.path is None
