"""`lynxgate diff`: lost and gained rows equal a computation with sets; hostile cells; rows of another evaluation."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from lynxgate.cli.app import run
from minieval.contract.digests import digest_bytes
from minieval.contract.evalset import identify
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.report import SCHEMA, Evaluation, dump_evaluation
from minieval.contract.score_bytes import pack_counts, pack_scores
from tests.minieval.candidates import write_rows

HOSTILE = [
    "=HYPERLINK(1)", "+1", "-1", "@x", "\tx", "\rx", "a\x1b[2Jb", "::error::x", "##[group]x",
    "|`</code>@team", "\u202e",
    "a;=1", 'a; "=1', "\uff1d1"
]  # fmt: skip


@dataclass
class Written:
    """Two evaluations of one eval set, with their rows beside them."""

    before: Path
    now: Path
    eval_set: Path


def write_side(
    folder: Path, eval_set: Path, scores: Sequence[Sequence[float]], *, kind: str = "exact", **cells: Sequence[str]
) -> Path:
    """Write an evaluation with these scores (a list for each row, a score for each trial), and its rows."""
    folder.mkdir(parents=True)
    rows = [json.loads(line) for line in eval_set.read_text().splitlines()]
    trials = len(scores[0])
    lines = [(number, trial) for number in range(len(rows)) for trial in range(trials)]
    columns = {
        "row": pa.array([row + 1 for row, _ in lines], pa.int64()),
        "id": pa.array(cells.get("id", [rows[row]["id"] for row, _ in lines]), pa.string()),
        "trial": pa.array([trial + 1 for _, trial in lines], pa.int32()),
        "score": pa.array([float(scores[row][trial]) for row, trial in lines], pa.float64()),
        "answer": pa.array(cells.get("answer", [json.dumps(f"{folder.name} {row}") for row, _ in lines]), pa.string()),
        "expected": pa.array(
            cells.get("expected", [json.dumps(rows[row]["expected"]) for row, _ in lines]), pa.string()
        ),
    }
    path = folder / "rows.parquet"
    table = pa.table(columns).replace_schema_metadata({b"schema": b"minieval.rows/1"})
    parquet.write_table(table, path, row_group_size=3)

    def measure(members: Sequence[int]) -> dict[str, Any]:
        chosen = [scores[row] for row in members]
        n = len(chosen)
        if kind == "overlap":
            points = [round(sum(each) / trials * 10_000) for each in chosen]
            return {"n": n, "points": sum(points), "scores": pack_scores(points)}
        right = [int(sum(each)) for each in chosen]
        if trials > 1:
            return {"n": n, "trials": trials, "correct": sum(right), "counts": pack_counts(right)}
        return {"n": n, "correct": sum(right), "outcomes": pack_outcomes([each == 1 for each in right])}

    names = sorted({name for row in rows for name in row["buckets"]})
    evaluation = Evaluation.model_validate(
        {
            "schema": SCHEMA,
            "eval_set": identify(eval_set).model_copy(update={"rows": len(rows)}).model_dump(),
            "trials": trials if trials > 1 and kind == "exact" else None,
            "aggregate": measure(range(len(rows))),
            "buckets": {
                name: measure([index for index, row in enumerate(rows) if name in row["buckets"]]) for name in names
            },
            "rows": {"path": path.name, "sha256": digest_bytes(path.read_bytes()), "lines": len(lines)},
        }
    )
    (folder / "eval.json").write_bytes(dump_evaluation(evaluation))
    return folder / "eval.json"


def write_set(folder: Path, n: int, buckets: Sequence[str] = ("odd", "even"), **more: Sequence[Any]) -> Path:
    rows = [
        {"id": f"r{number}", "prompt": f"word {number}", "expected": "x", "buckets": [buckets[number % len(buckets)]]}
        | {key: values[number] for key, values in more.items()}
        for number in range(n)
    ]
    return write_rows(folder / "eval.jsonl", rows)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    eval_set = write_set(tmp_path, 6)
    before = write_side(tmp_path / "before", eval_set, [[1], [1], [0], [0], [1], [0]])
    now = write_side(tmp_path / "now", eval_set, [[1], [0], [1], [0], [0], [0]])
    return Written(before, now, eval_set)


def shown(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert run(["diff", *map(str, words), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_lost_and_gained_rows_are_shown_side_by_side(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", str(written.before), str(written.now)]) == 0
    out = capsys.readouterr().out
    assert "all rows     6     2       1" in out
    assert "lost in all rows (2)" in out
    assert "r1 (row 2)" in out and "r4 (row 5)" in out and "r2 (row 3)" in out and "r0 (row" not in out
    assert 'before    "before 1"  (score 1)\n    now       "now 1"  (score 0)' in out
    assert "input" not in out

    assert run(["diff", str(written.before), str(written.now), "--eval-set", str(written.eval_set)]) == 0
    out = capsys.readouterr().out
    assert 'input     {"prompt": "word 1"}' in out
    assert "r1 (row 2)  even" in out
    assert "even         3     1       0" in out and "odd          3     1       1" in out

    words = (str(written.before), str(written.now), "--eval-set", str(written.eval_set), "--bucket", "odd")
    assert run(["diff", *words, "--limit", "0"]) == 0
    assert "lost in odd (0 of 1)" in capsys.readouterr().out
    found = shown(capsys, *words)
    assert [each["id"] for each in found["lost"]] == ["r4"]
    assert found["lost"][0]["input"] == {"prompt": "word 4"}
    assert found["lost"][0]["before"] == {"answers": ["before 4"], "score": 1.0}
    assert found["buckets"]["odd"] == {"rows": 3, "lost": 1, "gained": 1}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.slow
def test_lost_and_gained_equal_a_computation_with_sets(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path_factory.mktemp("diff")
    n, trials = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 3))
    kind = data.draw(st.sampled_from(["exact", "overlap"]))
    score = st.sampled_from([0.0, 1.0]) if kind == "exact" else st.sampled_from([0.0, 0.25, 0.5, 1.0])
    sides = [
        data.draw(st.lists(st.lists(score, min_size=trials, max_size=trials), min_size=n, max_size=n)) for _ in "ab"
    ]
    eval_set = write_set(folder, n, ("a", "b", "c"))
    before = write_side(folder / "before", eval_set, sides[0], kind=kind)
    now = write_side(folder / "now", eval_set, sides[1], kind=kind)
    sums = [[round(sum(each) / trials * 10_000) for each in side] for side in sides]
    lost = {f"r{row}" for row in range(n) if sums[1][row] < sums[0][row]}
    gained = {f"r{row}" for row in range(n) if sums[1][row] > sums[0][row]}
    for number, bucket in enumerate(("a", "b", "c")):
        members = {f"r{row}" for row in range(n) if row % 3 == number}
        if not members:
            continue
        found = shown(capsys, before, now, "--eval-set", eval_set, "--bucket", bucket)
        assert {each["id"] for each in found["lost"]} == lost & members
        assert {each["id"] for each in found["gained"]} == gained & members
        assert found["buckets"][bucket] == {
            "rows": len(members), "lost": len(lost & members), "gained": len(gained & members)
        }  # fmt: skip
    assert found["all_rows"] == {"rows": n, "lost": len(lost), "gained": len(gained)}
    assert all(len(each["now"]["answers"]) == trials for each in found["lost"])


def test_hostile_cells_are_escaped_in_every_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    n = len(HOSTILE)
    eval_set = write_set(tmp_path, n, id=HOSTILE, expected=HOSTILE, prompt=HOSTILE)
    raw: dict[str, Any] = {"answer": HOSTILE, "expected": HOSTILE, "id": HOSTILE}  # not even JSON
    before = write_side(tmp_path / "before", eval_set, [[1]] * n, **raw)
    now = write_side(tmp_path / "now", eval_set, [[0]] * n, **raw)
    words = ["diff", str(before), str(now), "--eval-set", str(eval_set)]
    for form in ("text", "markdown", "json", "csv"):
        assert run([*words, "--format", form]) == 0
        out = capsys.readouterr().out
        assert all(character.isprintable() for line in out.split("\n") for character in line), form
        assert "##[" not in out and not any(line.lstrip().startswith("::") for line in out.splitlines()), form
        if form == "markdown":
            assert "@team" not in out and "|`" not in out
            assert all(line.count("|") == 6 for line in out.splitlines() if line.startswith("|") and "HYPER" in line)
        if form == "json":
            assert [each["id"] for each in json.loads(out)["lost"]] == HOSTILE
        if form == "csv":
            rows = list(csv.reader(io.StringIO(out)))
            assert len(rows) == n + 1
            assert not any(cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)
            assert rows[1][2] == "'=HYPERLINK(1)"
            assert [row[2] for row in rows[-3:]] == ["a;'=1", "a; \"'=1", "'\uff1d1"]


def failed(capsys: pytest.CaptureFixture[str], *words: object, code: int) -> str:
    assert run(["diff", *map(str, words)]) == code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_rows_that_are_not_those_of_the_evaluation_are_refused(
    written: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, others = written.now.parent / "rows.parquet", written.before.parent / "rows.parquet"
    assert "names rows with" in failed(capsys, written.before, written.now, "--rows-now", others, code=4)
    moved = tmp_path / "moved.parquet"
    rows.rename(moved)
    assert "no such file" in failed(capsys, written.before, written.now, code=3)
    assert run(["diff", str(written.before), str(written.now), "--rows-now", str(moved)]) == 0
    capsys.readouterr()
    tree = json.loads(written.now.read_text())
    tree["rows"] = None
    written.now.write_text(json.dumps(tree))
    assert "names no rows" in failed(capsys, written.before, written.now, code=3)
    tree["rows"] = {"path": "../rows.parquet", "sha256": "0" * 64, "lines": 6}
    written.now.write_text(json.dumps(tree))
    assert "without a folder" in failed(capsys, written.before, written.now, code=3)


def test_rows_whose_scores_contradict_the_evaluation_are_refused(
    written: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_side(tmp_path / "other", written.eval_set, [[0], [1], [1], [0], [0], [0]])
    tree, forged = json.loads(written.now.read_text()), json.loads(other.read_text())
    tree["rows"] = forged["rows"]
    (other.parent / "eval.json").write_text(json.dumps(tree))
    assert "contradict its figures" in failed(capsys, written.before, other, code=4)


def test_evaluations_that_cannot_be_compared_are_refused(
    written: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    eval_set = written.eval_set
    graded = write_side(tmp_path / "graded", eval_set, [[0.5]] * 6, kind="overlap")
    assert "not scored in one way" in failed(capsys, written.before, graded, code=3)
    another = write_side(tmp_path / "another", write_set(tmp_path / "set", 5), [[1]] * 5)
    assert "not the same eval set" in failed(capsys, written.before, another, code=4)
    assert "no bucket 'nope'" in failed(
        capsys, written.before, written.now, "--eval-set", eval_set, "--bucket", "nope", code=3
    )
    assert "--eval-set" in failed(capsys, written.before, written.now, "--bucket", "odd", code=3)
    other_ids = write_side(tmp_path / "ids", eval_set, [[0]] * 6, id=[f"z{n}" for n in range(6)])
    assert "not the same in both files" in failed(capsys, written.before, other_ids, code=4)
    both = write_side(tmp_path / "ids2", eval_set, [[1]] * 6, id=[f"z{n}" for n in range(6)])
    assert "not that of the eval set" in failed(capsys, both, other_ids, "--eval-set", eval_set, code=4)
    assert "name no task file" in failed(capsys, written.before, written.now, "--task", eval_set, code=64)


def test_explain_shows_examples_in_the_same_way(
    written: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = json.loads(written.before.read_text())
    for side in (measured["aggregate"], *measured["buckets"].values()):
        side["accuracy"] = round(side["correct"] / side["n"], 4)
    baseline = tmp_path / "eval_baseline.json"
    tree = {
        "schema": "lynxgate.baseline/1",
        "status": "active",
        "eval_set": "eval.jsonl",
        "eval_set_dvc_hash": measured["eval_set"]["dvc_md5"],
        "eval_set_sha256": measured["eval_set"]["sha256"],
        "policy": {"rule": "point"},
        "aggregate": measured["aggregate"],
        "buckets": measured["buckets"],
    }
    baseline.write_text(json.dumps(tree))
    verdict = tmp_path / "verdict.json"
    made = ["--candidate", str(written.now), "--baseline", str(baseline)]
    assert run(["compare", *made, "--output", str(verdict)]) == 2
    words = ["explain", str(verdict), *made, "--eval-set", str(written.eval_set), "--bucket", "even"]
    capsys.readouterr()
    assert run([*words, "--before", str(written.before)]) == 0
    out = capsys.readouterr().out
    assert "lost       r1" in out
    assert 'r1 (row 2)  even\n    input     {"prompt": "word 1"}\n    expected  "x"\n    before    "before 1"' in out
    assert run([*words, "--before", str(written.now)]) == 4
    assert "not scored as in the baseline" in capsys.readouterr().err
    assert run(["explain", str(verdict), *made, "--bucket", "even", "--before", str(written.before)]) == 64
    assert run(["explain", str(verdict), *made, "--before", str(written.before)]) == 64
