"""`lynxgate init` on an eval set that does not follow the conventions: what it sees, proposes and refuses."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from lynxgate.cli.app import run
from lynxgate.decision.baseline import Baseline, parse_baseline
from lynxgate.setup.eval_set import read_eval_set
from lynxgate.setup.gate_names import BASELINE, ONLY_GATE
from lynxgate.setup.proposal import choose_bins, choose_cap
from minieval.check import find_eval_set
from minieval.contract.exits import CannotJudge, Exit
from minieval.data.labels import read_labels
from minieval.task.document import Kind, Task, read_task

CHURN = [
    {"row_id": f"c{n:02}", "age": 20 + 3 * n, "region": ("eu", "us")[n % 2], "zip": f"0{n + 1000}", "label": n % 3 < 2}
    for n in range(12)
]


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


def init(root: Path, *options: str) -> int:
    return run(["init", "--root", str(root), *options])


def proposed(root: Path, name: str = "set") -> Task:
    return read_task(root / f"{name}.toml").task


def agreed(root: Path) -> Baseline:
    return parse_baseline((root / BASELINE).read_bytes())


@pytest.mark.parametrize("suffix", WRITERS)
def test_each_format_gets_the_same_buckets(tmp_path: Path, suffix: str) -> None:
    path = WRITERS[suffix](tmp_path / f"set.{suffix}", CHURN)
    assert init(tmp_path, "--eval-set", path.name) == 0
    task = proposed(tmp_path)
    assert (task.id, task.expected, task.features) == ("row_id", "label", ("age", "region", "zip"))
    assert task.buckets.columns == ("region", "label")
    assert dict(task.types) == ({"age": "integer", "label": "boolean"} if suffix == "csv" else {})
    found = agreed(tmp_path)
    assert sorted(found.buckets) == ["label.false", "label.true", "region.eu", "region.us"]
    assert found.task is not None
    assert found.task.path == "set.toml"
    assert found.task.sha256 == read_task(tmp_path / "set.toml").sha256
    assert found.policy.min_isolation == "bwrap"
    assert (found.policy.rule, found.eval_set) == ("point", path.name)
    assert found.eval_set_sha256 == read_labels(path, task).identity.sha256


def test_it_prints_what_it_saw(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "data/set.csv", CHURN)
    assert init(tmp_path, "--eval-set", "data/set.csv") == 0
    out = capfd.readouterr().out
    assert "data/set.toml: created, a proposal: read it before you go on\n" in out
    assert "data/set.csv: 12 rows, 5 columns\n" in out
    assert "  id: row_id (text)\n  expected: label (boolean, 2 values), scored as exact\n" in out
    assert "  features: 3 (1 integer, 2 text): age (integer), region (text), zip (text)\n" in out
    assert "  buckets: label.false (4), label.true (8), region.eu (6), region.us (6)\n" in out
    assert "  small: label.false (4), " in out
    assert "below 50 rows a single row can exceed the tolerance of 2.0 pp" in out
    assert "--eval-set data/set.csv --task data/set.toml --output" in out
    assert "minieval check data/set.toml --eval-set data/set.csv" in out


def test_the_conventions_need_no_task_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": n, "expected": "a", "buckets": ["one"], "prompt": f"p{n}"} for n in range(60)]
    rows[3] |= {"accepted": ["b"]}
    write_jsonl(tmp_path / "set.jsonl", rows)
    assert init(tmp_path, "--eval-set", "set.jsonl") == 0
    out = capfd.readouterr().out
    assert not (tmp_path / "set.toml").exists()
    assert agreed(tmp_path).task is None
    assert "60 rows, 5 columns" in out
    assert "buckets: one (60)" in out
    assert "small:" not in out
    assert "--task" not in out


def test_the_second_time_changes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "set.csv", CHURN)
    options = ("--eval-set", "set.csv", "--expected", "label")
    assert init(tmp_path, *options) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capfd.readouterr()
    assert init(tmp_path, *options) == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert capfd.readouterr().out == "".join(f"{name}: unchanged\n" for name in ("set.toml", *ONLY_GATE.files))


def test_a_task_file_that_is_named_is_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "set.csv", CHURN)
    text = 'schema = "minieval.task/1"\nexpected = "label"\nfeatures = ["age"]\n[buckets]\ncolumns = ["zip"]\n'
    (tmp_path / "mine.toml").write_text(text)
    assert init(tmp_path, "--eval-set", "set.csv", "--task", "mine.toml") == 0
    assert not (tmp_path / "set.toml").exists()
    found = agreed(tmp_path)
    assert found.task is not None
    assert (found.task.path, len(found.buckets)) == ("mine.toml", 12)
    out = capfd.readouterr().out
    assert "--task mine.toml" in out
    assert "  features: 1 (1 text): age (text)\n" in out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), Exit.CANNOT_JUDGE, "no column is called like the right answer; name its column with --expected"),
        (("--expected", "nowhere"), Exit.CANNOT_JUDGE, "no column 'nowhere' for --expected; it has a, b"),
        (("--expected", "a"), Exit.CANNOT_JUDGE, "no column has few enough values to make buckets"),
        (("--task", "/etc/passwd"), Exit.USAGE, "not a path inside the repository"),
        (("--task", "none.toml"), Exit.CANNOT_JUDGE, "no such file"),
    ],
)
def test_what_is_not_clear_is_one_sentence_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], options: tuple[str, ...], code: int, message: str
) -> None:
    write_csv(tmp_path / "set.csv", [{"a": f"text {n}", "b": f"other {n}"} for n in range(9)])
    assert init(tmp_path, "--eval-set", "set.csv", *options) == code
    err = capfd.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["set.csv"]


def test_two_columns_that_may_be_the_answer_need_the_option(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "set.csv", [{"y": n % 2, "target": n % 3, "x": n} for n in range(30)])
    assert init(tmp_path, "--eval-set", "set.csv") == Exit.CANNOT_JUDGE
    assert "'y' and 'target' could both be the right answer" in capfd.readouterr().err
    assert init(tmp_path, "--eval-set", "set.csv", "--expected", "y") == 0
    assert init(tmp_path, "--eval-set", "set.csv", "--expected", "target") == Exit.USAGE
    assert "set.toml is there and names 'y'" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (("1", "-20", "0"), "integer"),
        (("01", "20", "30"), "text"),
        (("1", "", "3"), "number"),
        (("1.5", "2e3", "-.5"), "number"),
        (("1", "2", "e5"), "text"),
        (("true", "False", "TRUE"), "boolean"),
        (("true", "", "false"), "text"),
        (("", "", ""), "text"),
        (("nan", "1", "2"), "text"),
        (("9" * 18, "1", "2"), "integer"),
        (("9" * 30, "1", "2"), "number"),
        (("1 ", "2", "3"), "text"),
    ],
)
def test_a_column_of_csv_gets_the_type_of_all_its_cells(tmp_path: Path, cells: tuple[str, ...], kind: str) -> None:
    write_csv(tmp_path / "set.csv", [{"x": cell, "label": n % 2} for n, cell in enumerate(cells * 4)])
    assert init(tmp_path, "--eval-set", "set.csv") == 0
    assert proposed(tmp_path).types.get("x", "text") == kind


def test_the_id_is_a_column_named_like_one_without_a_value_twice(tmp_path: Path) -> None:
    rows = [{"customer_id": n // 2, "id": n, "x": n, "y": n % 2} for n in range(20)]
    write_csv(tmp_path / "set.csv", rows)
    assert init(tmp_path, "--eval-set", "set.csv") == 0
    assert proposed(tmp_path).id == "id"
    write_csv(tmp_path / "other.csv", [{"id": n // 2, "x": n, "y": n % 2} for n in range(20)])
    assert init(tmp_path, "--eval-set", "other.csv") == 0
    assert proposed(tmp_path, "other").id is None


def test_without_categories_a_number_is_binned_at_its_quartiles(tmp_path: Path) -> None:
    rows = [{"zeros": 0 if n < 90 else n, "size": n + 0.25, "class": "ab"[n % 2]} for n in range(100)]
    write_csv(tmp_path / "set.csv", rows)
    assert init(tmp_path, "--eval-set", "set.csv") == 0
    task = proposed(tmp_path)
    assert task.buckets.columns == ("class",)
    assert dict(task.buckets.bins) == {"size": (Decimal("25.2"), Decimal("50.2"), Decimal("75.2"))}
    sizes = {name: len(rows) for name, rows in read_labels(tmp_path / "set.csv", task).buckets.items()}
    assert sorted(sizes.values()) == [25, 25, 25, 25, 50, 50]


def test_a_number_to_predict_is_scored_by_its_error(tmp_path: Path) -> None:
    write_csv(tmp_path / "set.csv", [{"size": n, "target": n * 1.5} for n in range(100)])
    assert init(tmp_path, "--eval-set", "set.csv") == 0
    task = proposed(tmp_path)
    assert (task.score.kind, task.score.cap) == (Kind.ERROR, Decimal(80))
    assert task.buckets.columns == ()
    assert list(task.buckets.bins) == ["size"]


def test_classes_of_whole_floats_are_classes(tmp_path: Path) -> None:
    write_parquet(tmp_path / "set.parquet", [{"size": n, "target": float(n % 2)} for n in range(100)])
    assert init(tmp_path, "--eval-set", "set.parquet") == 0
    task = proposed(tmp_path)
    assert (task.score.kind, task.buckets.columns) == (Kind.EXACT, ("target",))


def test_lists_of_buckets_and_groups_keep_their_roles(tmp_path: Path) -> None:
    rows = [
        {"label": f"t{n}", "buckets": ["all"], "accepted": ["x"], "group": n // 2, "prompt": f"p{n}"} for n in range(10)
    ]
    write_jsonl(tmp_path / "set.jsonl", rows)
    assert init(tmp_path, "--eval-set", "set.jsonl") == 0
    task = proposed(tmp_path)
    assert (task.accepted, task.group, task.buckets.lists, task.features) == (
        "accepted",
        "group",
        ("buckets",),
        ("prompt",),
    )


def test_a_folder_has_its_task_file_beside_it(tmp_path: Path) -> None:
    for part in (1, 2):
        write_csv(tmp_path / f"set/{part}.csv", CHURN[:6] if part == 1 else CHURN[6:])
    assert init(tmp_path, "--eval-set", "set") == 0
    assert proposed(tmp_path).expected == "label"


def test_a_dot_in_a_folder_s_name_starts_no_suffix(tmp_path: Path) -> None:
    write_csv(tmp_path / "v1.2/rows.csv", CHURN)
    assert init(tmp_path, "--eval-set", "v1.2") == 0
    assert read_task(tmp_path / "v1.2.toml").task.expected == "label"
    assert find_eval_set(tmp_path / "v1.2.toml") == tmp_path / "v1.2"


def test_another_toml_of_the_eval_set_s_name_is_no_task_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "pyproject.csv", CHURN)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert init(tmp_path, "--eval-set", "pyproject.csv") == Exit.CANNOT_JUDGE
    assert "pyproject.toml: has the name of the eval set's task file, and is no task file" in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pyproject.csv", "pyproject.toml"]
    # Beside another eval set it does not matter.
    write_csv(tmp_path / "rows.csv", CHURN)
    assert init(tmp_path, "--eval-set", "rows.csv") == 0
    assert (tmp_path / "rows.toml").exists()


def test_the_repository_itself_is_no_eval_set(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_csv(tmp_path / "rows.csv", CHURN)
    assert init(tmp_path, "--eval-set", ".") == Exit.USAGE
    assert "--eval-set is the top of the repository" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


HOSTILE = '"]  [score] kind = "python", python = "x.py" \\ #\u2028.\''


def test_a_hostile_name_is_a_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [{HOSTILE: n, "::error::": "ab"[n % 2], "label": n % 2} for n in range(20)]
    write_jsonl(tmp_path / "set.jsonl", rows)
    assert init(tmp_path, "--eval-set", "set.jsonl") == 0
    task = proposed(tmp_path)
    assert task.features == (HOSTILE, "::error::")
    assert task.score.kind is Kind.EXACT
    out = capfd.readouterr().out
    assert "\u2028" not in out
    assert "\n::error" not in out


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        ("csv", b""),
        ("csv", b"\xff\xfe\x00"),
        ("csv", b",a\n1,2\n"),
        ("csv", b"a,a\n1,2\n"),
        ("csv", b"label\n1\n"),
        ("csv", b'label,"x\x1b[2J"\n1,2\n'),
        ("csv", b"label,x\n"),
        ("csv", b"label,x\n1\n"),
        ("jsonl", b""),
        ("jsonl", b"[]\n"),
        ("jsonl", b"not JSON\n"),
        ("jsonl", b'{"label": 1}\n'),
        ("jsonl", b'{"label": 1, "x": 2}\n{"label": 1}\n'),
        ("jsonl", b"\n\n"),
        ("parquet", b"PAR1"),
        ("parquet", b""),
        ("txt", b"x"),
    ],
)
def test_a_broken_set_is_one_sentence_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, data: bytes
) -> None:
    (tmp_path / f"set.{suffix}").write_bytes(data)
    assert init(tmp_path, "--eval-set", f"set.{suffix}") == Exit.CANNOT_JUDGE
    err = capfd.readouterr().err
    assert "Traceback" not in err
    assert f"set.{suffix}" in err
    assert [path.name for path in tmp_path.iterdir()] == [f"set.{suffix}"]


CELLS = st.one_of(
    st.integers(-99, 99),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "b", "true", "07", "1.5", "é"]),
)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), min_size=1, max_size=8)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    names=st.lists(NAMES, min_size=1, max_size=4, unique=True),
    rows=st.lists(st.lists(CELLS, min_size=5, max_size=5), min_size=1, max_size=30),
    suffix=st.sampled_from(["csv", "jsonl"]),
)
@example(names=["id"], rows=[[1.5, "a", 0, 0, 0]], suffix="csv")
@pytest.mark.slow
def test_a_proposal_reads_the_set_it_was_made_for(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], rows: list[list[Any]], suffix: str
) -> None:
    root = tmp_path_factory.mktemp("proposal")
    made = [dict(zip([*names, "label"], row, strict=False)) for row in rows]
    path = WRITERS[suffix](root / f"set.{suffix}", made)
    try:
        found = read_eval_set(root, path.name, expected="label")
    except CannotJudge:
        return
    if found.task is not None:
        assert found.task.proposed is not None
        assert tomllib.loads(found.task.proposed.decode())["expected"] == "label"
    assert sum(found.buckets.values()) >= len(rows)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=50))
def test_bins_are_ascending_and_none_is_empty(numbers: list[float]) -> None:
    cells = sorted(numbers)
    for edges in choose_bins({"x": cells}).values():
        low, middle, high = map(float, edges)
        assert cells[0] < low < middle < high <= cells[-1], edges
        assert any(low <= cell < middle for cell in cells)
        assert any(middle <= cell < high for cell in cells)
    if cells:
        assert choose_cap(cells) > 0
