"""Rows kept beside an evaluation: what is written, that it is bound by digest, and hostile files."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from minieval.command import run
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import read_document
from minieval.contract.exits import CannotJudge, IntegrityFailure
from minieval.contract.report import Evaluation, RowsIdentity
from minieval.data import kept_rows_reader
from minieval.data.kept_rows import GROUP_ROWS, KeepRows
from minieval.data.kept_rows_reader import Line, open_kept_rows
from minieval.evaluation import Isolation, evaluate
from minieval.task.document import read_task
from tests.minieval.candidates import UPPER, model, upper_rows, write_bundle, write_rows

GRADED = """
schema = "minieval.task/1"
id = "id"
features = ["prompt"]
trials = 2
[buckets]
lists = ["buckets"]
[score]
kind = "{kind}"
"""


def kept(tmp_path: Path, rows: int = 10, *, source: str = UPPER, **options: object) -> tuple[Evaluation, Path]:
    """Evaluate a model, and return the evaluation and the path of its rows."""
    eval_set = write_rows(tmp_path / "eval.jsonl", upper_rows(rows))
    path = tmp_path / "rows.parquet"
    with_inputs = bool(options.pop("with_inputs", False))
    bundle = write_bundle(tmp_path / "bundle", source)
    evaluation = evaluate(
        bundle, eval_set, isolation=Isolation.PROCESS, rows=KeepRows(path, with_inputs), **options  # type: ignore[arg-type]
    )  # fmt: skip
    return evaluation, path


@pytest.mark.slow
def test_each_row_is_kept_and_the_evaluation_names_the_file(tmp_path: Path) -> None:
    evaluation, path = kept(tmp_path, with_inputs=True, batch_size=4)
    assert evaluation.rows == RowsIdentity(path="rows.parquet", sha256=digest_bytes(path.read_bytes()), lines=10)
    with open_kept_rows(path, evaluation.rows, where="it") as rows:
        assert rows.read_scores(10, 1)[:, 0].tolist() == [0, 1, 1, 0, 1, 1, 0, 1, 1, 0]
        lines = rows.read_lines(frozenset({1, 9}))
    inputs = json.dumps({"prompt": "word 8"})
    assert lines[9] == (Line(9, "row-8", 1, 1.0, '"WORD 8"', '"WORD 8"', inputs),)
    assert (lines[1][0].answer, lines[1][0].expected, lines[1][0].score) == ('"WORD 0"', '"wrong"', 0.0)


@pytest.mark.slow
def test_inputs_are_kept_only_on_request_and_equal_calls_write_equal_bytes(tmp_path: Path) -> None:
    evaluation, path = kept(tmp_path / "a")
    again, other = kept(tmp_path / "b", batch_size=3)
    assert evaluation.rows == again.rows
    assert path.read_bytes() == other.read_bytes()
    assert "inputs" not in parquet.read_schema(path).names


@pytest.mark.slow
def test_more_rows_than_a_part_are_written_in_parts(tmp_path: Path) -> None:
    evaluation, path = kept(tmp_path, GROUP_ROWS + 5)
    found = parquet.ParquetFile(path).metadata
    assert [found.row_group(index).num_rows for index in range(found.num_row_groups)] == [GROUP_ROWS, 5]
    assert evaluation.rows is not None and evaluation.rows.lines == GROUP_ROWS + 5


@pytest.mark.parametrize("kind", ["exact", "overlap"])
@pytest.mark.slow
def test_each_trial_is_a_line(tmp_path: Path, kind: str) -> None:
    """A model that answers in another way each time; graded scores are kept as they are."""
    source = """
        self.calls = getattr(self, "calls", 0) + 1
        return [prompt.upper() if self.calls % 2 else "word" for prompt in frame["prompt"]]
    """
    (tmp_path / "task.toml").write_text(GRADED.format(kind=kind))
    task = read_task(tmp_path / "task.toml")
    evaluation, path = kept(tmp_path, 3, source=model(source), task=task)
    with open_kept_rows(path, evaluation.rows, where="it") as rows:
        scores = rows.read_scores(3, 2)
        lines = rows.read_lines(frozenset({2}))[2]
    assert [line.trial for line in lines] == [1, 2]
    assert {line.answer for line in lines} == {'"WORD 1"', '"word"'}
    part = 0.0 if kind == "exact" else pytest.approx(2 / 3)
    assert sorted(scores[1].tolist()) == [part, 1.0]
    assert evaluation.aggregate is not None
    whole = evaluation.aggregate.share
    assert whole is not None and float(scores.mean()) == pytest.approx(float(whole), abs=1e-4)


@pytest.mark.slow
def test_the_command_keeps_rows_of_this_call_or_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    eval_set = write_rows(tmp_path / "eval.jsonl", upper_rows(6))
    bundle = write_bundle(tmp_path / "bundle", UPPER)
    output, rows = tmp_path / "candidate_eval.json", tmp_path / "candidate_rows.parquet"
    base = ["--bundle", str(bundle), "--eval-set", str(eval_set), "--output", str(output), "--isolation", "process"]
    assert run([*base, "--rows", str(rows)]) == 0
    named = read_document(output, Evaluation).rows
    assert named is not None and named.sha256 == digest_bytes(rows.read_bytes())
    assert run([*base[:2], "--bundle", str(tmp_path / "no"), *base[2:], "--rows", str(rows)]) == 3
    assert not rows.exists()
    assert not list(tmp_path.glob(".*"))
    assert run([*base, "--with-inputs"]) == 64
    assert run([*base, "--rows", str(output)]) == 64
    assert run([*base, "--rows", str(eval_set)]) == 64
    assert run([*base, "--rows", "/dev/null"]) == 3
    assert "no regular file" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.slow
def test_a_failed_prediction_leaves_no_rows(tmp_path: Path) -> None:
    raises = model("raise ValueError('no')")
    with pytest.raises(CannotJudge):
        kept(tmp_path, source=raises)
    assert not list(tmp_path.glob("*.parquet")) and not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_rows_of_another_digest_are_not_read(tmp_path: Path) -> None:
    evaluation, path = kept(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IntegrityFailure, match="names rows with"), open_kept_rows(path, evaluation.rows, where="it"):
        pass
    path.unlink()
    with pytest.raises(CannotJudge, match="no such file"), open_kept_rows(path, evaluation.rows, where="it"):
        pass
    with pytest.raises(CannotJudge, match="names no rows"), open_kept_rows(path, None, where="it"):
        pass


def columns(**changed: pa.Array) -> dict[str, pa.Array]:
    """Two lines as the writer makes them, with some columns changed."""
    plain = {
        "row": pa.array([1, 2]),
        "id": pa.array(["a", "b"]),
        "trial": pa.array([1, 1], pa.int32()),
        "score": pa.array([0.0, 1.0]),
        "answer": pa.array(['"x"', '"y"']),
        "expected": pa.array(['"x"', '"x"']),
    }
    return plain | changed


def write_hostile(
    path: Path, cells: dict[str, pa.Array], *, metadata: dict[bytes, bytes] | None = None
) -> RowsIdentity:
    """Write rows with a digest that fits: an attacker may write both documents."""
    marked = {b"schema": b"minieval.rows/1"} if metadata is None else metadata
    table = pa.table(cells).replace_schema_metadata(marked)
    parquet.write_table(table, path)
    return RowsIdentity(path=path.name, sha256=digest_bytes(path.read_bytes()), lines=len(table))


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (columns(row=pa.array([1, 1])), "a row twice"),
        (columns(row=pa.array([0, 1])), "a row or a trial"),
        (columns(row=pa.array([1, 2**62])), "a row or a trial"),
        (columns(trial=pa.array([1, 2], pa.int32())), "a row or a trial"),
        (columns(score=pa.array([0.0, 1.5])), "no number from 0 to 1"),
        (columns(score=pa.array([0.0, float("nan")])), "no number from 0 to 1"),
        (columns(score=pa.array([0.0, None])), "an empty cell"),
        (columns(score=pa.array([0, 1])), "the column 'score' is int64"),
        (columns(more=pa.array([0, 1])), "not rows of minieval.rows/1"),
        ({"row": pa.array([1, 2])}, "not rows of minieval.rows/1"),
    ],
)
def test_lines_that_an_evaluation_cannot_have_are_refused(
    tmp_path: Path, cells: dict[str, pa.Array], reason: str
) -> None:
    path = tmp_path / "rows.parquet"
    identity = write_hostile(path, cells)
    with pytest.raises(CannotJudge, match=reason), open_kept_rows(path, identity, where="it") as rows:
        rows.read_scores(2, 1)


@pytest.mark.slow
def test_what_a_footer_declares_is_bounded_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column of one text a million times is small in the file, and far over the limit when it is read."""
    path = tmp_path / "rows.parquet"
    lines = 200_000
    many = {
        "row": pa.array(range(1, lines + 1)),
        "id": pa.repeat("a", lines),
        "trial": pa.repeat(pa.scalar(1, pa.int32()), lines),
        "score": pa.repeat(0.0, lines),
        "answer": pa.repeat("x" * 5000, lines),
        "expected": pa.repeat('"x"', lines),
    }
    table = pa.table(many).replace_schema_metadata({b"schema": b"minieval.rows/1"})
    parquet.write_table(table, path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 2_000_000
    identity = RowsIdentity(path=path.name, sha256=digest_bytes(path.read_bytes()), lines=lines)
    with pytest.raises(CannotJudge, match="bytes in a row group"), open_kept_rows(path, identity, where="it"):
        pytest.fail("it was opened")
    monkeypatch.setattr(kept_rows_reader, "MAX_LINES", 1000)
    with pytest.raises(CannotJudge, match="declares 200000 lines"), open_kept_rows(path, identity, where="it"):
        pytest.fail("it was opened")


def test_a_long_cell_and_a_huge_footer_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    identity = write_hostile(path, columns(answer=pa.array(["x" * 5_000_000, '"y"'])))
    with open_kept_rows(path, identity, where="it") as rows, pytest.raises(CannotJudge, match="5000000 bytes in one"):
        rows.read_lines(frozenset({1}))
    for data in (b"", b"PAR1", b"PAR1" + b"\0" * 20 + b"\xff\xff\xff\xffPAR1", b"no Parquet at all"):
        path.write_bytes(data)
        identity = RowsIdentity(path=path.name, sha256=digest_bytes(data), lines=2)
        with pytest.raises(CannotJudge, match=r"Parquet|declares"), open_kept_rows(path, identity, where="it"):
            pytest.fail("it was opened")


def test_a_long_id_that_every_line_repeats_is_held_once(tmp_path: Path) -> None:
    lines, path = 1024, tmp_path / "rows.parquet"
    ids = pa.DictionaryArray.from_arrays(pa.array([0] * lines, pa.int32()), ["i" * 1_000_000])
    found = {
        "row": pa.array(range(1, lines + 1), pa.int64()), "id": ids, "trial": pa.array([1] * lines, pa.int32()),
        "score": pa.array([1.0] * lines), "answer": ['"a"'] * lines, "expected": ['"a"'] * lines,
    }  # fmt: skip
    table = pa.table(found)
    with parquet.ParquetWriter(path, table.schema, store_schema=False, dictionary_pagesize_limit=2_000_000) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"schema": "minieval.rows/1"})
    assert path.stat().st_size < 3_000_000
    usual = pa.default_memory_pool()
    counting = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(counting)
    try:
        identity = RowsIdentity(path=path.name, sha256=digest_bytes(path.read_bytes()), lines=lines)
        with open_kept_rows(path, identity, where="it") as rows:
            assert len(rows.read_lines(frozenset({7}))[7][0].id) == 1_000_000
    finally:
        pa.set_memory_pool(usual)
    assert counting.max_memory() < 100_000_000


def test_text_that_is_not_unicode_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\x01\0\0\0\x02\0\0\0"), pa.py_buffer(b"\xff\xfe")]
    )
    identity = write_hostile(path, columns(answer=broken))
    with open_kept_rows(path, identity, where="it") as rows, pytest.raises(CannotJudge, match="Parquet"):
        rows.read_lines(frozenset({1}))
