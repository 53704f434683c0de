"""``lynxgate import``: to an evaluation that compares, or into one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import typer

from lynxgate.cli import import_metrics
from lynxgate.importers import PROVIDERS
from minieval.contract import exits
from minieval.contract.documents import read_document
from minieval.contract.exits import Exit
from minieval.contract.report import Evaluation, dump_evaluation
from tests.importers import samples

MD5 = hashlib.md5(b"the eval set").hexdigest()
SHA = hashlib.sha256(b"the model").hexdigest()

app = typer.Typer()
import_metrics.register(app)


@app.command("other")
def other() -> None:
    """A second command, so that the first keeps its name."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, tree in samples.ALL.items():
        (tmp_path / f"{name}.json").write_bytes(samples.written(tree))
    return tmp_path


def run(*arguments: str) -> int:
    return exits.run(app, ["import", *arguments], prog="lynxgate")


def evaluation(path: str) -> Evaluation:
    return read_document(Path(path), Evaluation)


def start(place: Path, **more: Any) -> None:
    document = {
        "schema": "minieval.evaluation/1",
        "eval_set": {"dvc_md5": MD5},
        "buckets": {"x": {"accuracy": 0.9}},
        **more,
    }
    (place / "eval.json").write_text(json.dumps(document))


@pytest.mark.usefixtures("place")
@pytest.mark.slow
def test_kitt_becomes_an_evaluation(capsys: pytest.CaptureFixture[str]) -> None:
    code = run("kitt.json", "--provider", "kitt", "--eval-set-md5", MD5, "--canonical-sha", SHA, "--output", "out.json")
    assert code == Exit.OK
    made = evaluation("out.json")
    assert (made.eval_set.dvc_md5, made.candidate.canonical_sha) == (MD5, SHA)
    assert (made.buckets["mmlu"].n, made.buckets["mmlu"].correct) == (3, 2)
    assert made.evaluator is not None and made.evaluator.name == "lynxgate import kitt"
    assert made.evaluator.isolation == "external"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "3 buckets and 3 metrics" in captured.err and "latency.note" in captured.err
    again = Path("out.json").read_bytes()
    run("kitt.json", "--provider", "kitt", "--eval-set-md5", MD5, "--canonical-sha", SHA, "--output", "out.json")
    assert Path("out.json").read_bytes() == again == dump_evaluation(made)


@pytest.mark.slow
def test_metrics_alone_make_no_evaluation_and_can_be_added_to_one(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start(place, environment={"fingerprint": "here"})
    for name in ("flameiq", "pytest-benchmark", "calibrax", "flat"):
        assert (
            run(f"{name}.json", "--provider", name, "--eval-set-md5", MD5, "--output", "no.json") == Exit.CANNOT_JUDGE
        )
        assert "--into" in capsys.readouterr().err
        assert not Path("no.json").exists()
        assert run(f"{name}.json", "--provider", name, "--into", "eval.json", "--output", "eval.json") == Exit.OK
    made = evaluation("eval.json")
    assert list(made.buckets) == ["x"]
    assert len(made.metrics) == 5 + 2 + 2 + 3
    assert made.environment.fingerprint not in (None, "here")


def test_only_an_import_that_knows_its_machine_changes_the_fingerprint(place: Path) -> None:
    start(place, environment={"fingerprint": "here"})
    run("flat.json", "--provider", "flat", "--into", "eval.json", "--output", "flat-in.json")
    assert evaluation("flat-in.json").environment.fingerprint == "here"
    run("pytest-benchmark.json", "--provider", "pytest-benchmark", "--into", "eval.json", "--output", "one.json")
    start(place, environment={"fingerprint": "elsewhere"})
    run("pytest-benchmark.json", "--provider", "pytest-benchmark", "--into", "eval.json", "--output", "two.json")
    start(place)
    run("pytest-benchmark.json", "--provider", "pytest-benchmark", "--into", "eval.json", "--output", "three.json")
    assert len({evaluation(name).environment.fingerprint for name in ("one.json", "two.json", "three.json")}) == 3


def test_into_keeps_layout_comments_and_figures_byte_for_byte(place: Path) -> None:
    text = (
        '{"schema": "minieval.evaluation/1",  "_comment": "by hand", "_generated_at": "2026-01-02",\n'
        f' "eval_set": {{"dvc_md5": "{MD5}", "_generated_by": "us"}},\n'
        ' "buckets": {"x": {"accuracy": 0.90}}}\n'
    )
    (place / "eval.json").write_text(text)
    command = ("pytest-benchmark.json", "--provider", "pytest-benchmark", "--into", "eval.json", "--output")
    assert run(*command, "out.json") == Exit.OK
    made = (place / "out.json").read_text()
    assert made.startswith(text[: text.rindex("}")])
    benchmark = evaluation("out.json").metrics["tests/test_speed.py::test_parse[10]"]
    assert benchmark.samples is not None and len(benchmark.samples) == 3
    start(place, metrics={"size": {"value": 1}}, environment={"cpu": "a cpu"})
    assert run(*command, "more.json") == Exit.OK
    more = evaluation("more.json")
    assert next(iter(more.metrics)) == "size" and len(more.metrics) == 3
    assert more.environment.cpu == "a cpu" and more.environment.fingerprint is not None


def test_buckets_of_another_tool_take_away_the_isolation(place: Path) -> None:
    """Else figures that nothing isolated would go into production as if they had been measured under bwrap."""
    minieval = {"name": "minieval", "version": "1", "isolation": "bwrap"}
    for isolation, then in (("bwrap", "external"), ("process", "external"), ("external", "external"), (None, None)):
        start(place, evaluator={**minieval, "isolation": isolation}, _comment="ours")
        assert run("kitt.json", "--provider", "kitt", "--into", "eval.json", "--output", "out.json") == Exit.OK
        made = evaluation("out.json")
        assert made.evaluator is not None and made.evaluator.name == "minieval"
        assert made.evaluator.isolation == then
        assert {"x", "mmlu"} <= set(made.buckets)
    # Metrics are not rows: no label is behind them.
    start(place, evaluator=minieval)
    assert run("flat.json", "--provider", "flat", "--into", "eval.json", "--output", "out.json") == Exit.OK
    made = evaluation("out.json")
    assert made.evaluator is not None and made.evaluator.isolation == "bwrap"
    # Figures that are named as buckets are such buckets.
    flat = ("flat.json", "--provider", "flat", "--buckets", "accuracy.*", "--into", "eval.json", "--output", "out.json")
    assert run(*flat) == Exit.OK
    made = evaluation("out.json")
    assert made.evaluator is not None and made.evaluator.isolation == "external"


def test_importing_twice_is_refused_and_leaves_the_document(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start(place)
    arguments = ("flat.json", "--provider", "flat", "--into", "eval.json", "--output", "eval.json")
    assert run(*arguments) == Exit.OK
    before = Path("eval.json").read_bytes()
    assert run(*arguments) == Exit.CANNOT_JUDGE
    assert "has a metric 'accuracy.tense.future' already" in capsys.readouterr().err
    assert Path("eval.json").read_bytes() == before


@pytest.mark.usefixtures("place")
def test_accuracies_that_are_named_become_buckets() -> None:
    code = run(
        "flat.json", "--provider", "flat", "--eval-set-md5", MD5, "--buckets", "accuracy.*", "--output", "out.json"
    )
    assert code == Exit.OK
    made = evaluation("out.json")
    assert sorted(made.buckets) == ["accuracy.tense.future", "accuracy.tense.past"]
    assert list(made.metrics) == ["latency_ms"]


def test_list_needs_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(PROVIDERS)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("flat.json",),
        ("flat.json", "--provider", "flat", "--output", "o.json"),
        ("flat.json", "--provider", "flat", "--eval-set-md5", "nonsense", "--output", "o.json"),
        ("flat.json", "--provider", "flat", "--eval-set-md5", MD5, "--canonical-sha", "12", "--output", "o.json"),
        ("flat.json", "--provider", "csv", "--eval-set-md5", MD5, "--output", "o.json"),
        ("flat.json", "--provider", "flat", "--into", "x.json", "--eval-set-md5", MD5, "--output", "o.json"),
    ],
)
@pytest.mark.usefixtures("place")
def test_wrong_calls_are_usage_errors_of_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run(*arguments) == Exit.USAGE
    assert capsys.readouterr().err.count("\n") == 1
    assert not Path("o.json").exists()


@pytest.mark.usefixtures("place")
def test_a_hostile_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.json").write_text(json.dumps({"a\nb": 1, "ok": 0.5}))
    code = run("bad.json", "--provider", "flat", "--eval-set-md5", MD5, "--buckets", "ok", "--output", "o.json")
    assert code == Exit.CANNOT_JUDGE
    assert "control characters" in capsys.readouterr().err
