"""The eval set of phase 20: the same bytes every time, the ones that DVC has, and no label in what is shown."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from accuracy import read_rows
from build_eval_set import build_eval_set, main
from minieval.data.stream import open_eval_set
from minieval.task.document import CONVENTIONS
from verbs import read_verbs, split, training_data_sha256

ROOT = Path(__file__).resolve().parents[2]
DVC_FILE = ROOT / "data" / "eval" / "phase-20.jsonl.dvc"


@pytest.mark.slow
def test_another_process_with_another_hash_seed_builds_the_bytes_that_the_dvc_file_names(tmp_path: Path) -> None:
    script = ROOT / "experiments" / "38-ci-gate" / "build_eval_set.py"
    for seed in ("1", "2"):
        output = tmp_path / seed
        subprocess.run(
            [sys.executable, str(script), "--output", str(output)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        data = output.read_bytes()
        named = yaml.safe_load(DVC_FILE.read_text())["outs"][0]
        assert (hashlib.md5(data).hexdigest(), len(data)) == (named["md5"], named["size"])


def test_the_committed_remote_holds_them_and_is_small() -> None:
    remote = ROOT / "data" / "remote"
    files = [path for path in remote.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [build_eval_set()]
    assert sum(path.stat().st_size for path in files) < 2_000_000


@pytest.mark.slow
def test_dvc_pull_works_on_a_clone(tmp_path: Path) -> None:
    shutil.copytree(ROOT / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
    shutil.copytree(ROOT / "data" / "remote", tmp_path / "data" / "remote")
    shutil.copytree(ROOT / "data" / "eval", tmp_path / "data" / "eval", ignore=shutil.ignore_patterns("*.jsonl"))
    shutil.copy(ROOT / ".dvcignore", tmp_path)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    pull = [sys.executable, "-m", "dvc", "pull", "-q"]
    subprocess.run(pull, cwd=tmp_path, env=os.environ | {"DVC_NO_ANALYTICS": "1"}, check=True)
    assert (tmp_path / "data" / "eval" / "phase-20.jsonl").read_bytes() == build_eval_set()


def test_no_lemma_is_in_both_halves() -> None:
    verbs = read_verbs()
    train, evaluation = split(verbs)
    assert not {verb.lemma for verb in train} & {verb.lemma for verb in evaluation}
    assert len(train) + len(evaluation) == len(verbs)
    assert len(evaluation) == 1599


def test_a_changed_training_form_changes_the_recorded_hash() -> None:
    verbs = read_verbs()
    assert training_data_sha256(verbs) == training_data_sha256(tuple(verbs))
    assert training_data_sha256(verbs) != training_data_sha256(verbs[1:])


def test_another_table_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "table.csv.gz"
    table.write_bytes(b"another")
    with pytest.raises(SystemExit, match=r"install lemminflect==0\.2\.3"):
        read_verbs(table)


@pytest.mark.slow
def test_rows_have_three_buckets_and_accept_what_they_expect() -> None:
    rows = read_rows()
    assert len(rows) == 5476
    for row in rows:
        assert [bucket.split(".")[0] for bucket in row["buckets"]] == ["tense", "regularity", "spelling"]
        assert row["expected"] in row["accepted"]
    assert Counter(bucket for row in rows for bucket in row["buckets"])["tense.past_participle"] == 679


@pytest.mark.slow
def test_an_id_follows_from_the_prompt_alone() -> None:
    for row in read_rows():
        assert row["id"] == "p20-" + hashlib.sha256(row["prompt"].encode()).hexdigest()[:12]


@pytest.mark.slow
def test_minieval_shows_a_predictor_the_prompt_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "phase-20.jsonl"
    main(["--output", str(path)])
    stream = open_eval_set(path, CONVENTIONS)
    (batch,) = stream.batches(10_000)
    assert stream.identity.rows == 5476
    assert batch.list_features()[0] == {"prompt": "past simple of: abandon"}
    assert (batch.values("id")[0], batch.values("group")[0]) == ("p20-4e2d3ce90366", "abandon")
