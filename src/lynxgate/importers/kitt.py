"""KITT's ``metrics.json``: results of benchmarks, each run once or several times, with nested figures.

- A benchmark with ``correct`` and ``total`` is a bucket of its name, and each subject of ``per_subject_accuracy`` one
  called ``NAME.SUBJECT``. Several runs of it must agree: they repeat the same questions, so their counts are
  not added.
- Every other figure is a metric ``NAME.KEY...``; of several runs it is the median, with the runs as samples.
- A result is refused if it has errors, did not pass, or measured nothing (``total`` 0, no data set).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Annotated

from pydantic import Field, ValidationError

from lynxgate.errors import CannotJudge
from lynxgate.importers.found import Foreign, Found, digest_machine, flatten, is_figure, problem_of_name, put_once
from minieval.contract.documents import Json, list_reasons, parse_document
from minieval.contract.fields import Count, Name, Number, Positive, Share, Table
from minieval.contract.report import Measured, Metric

_SUBJECTS = "per_subject_accuracy"
_COUNTED = ("correct", "total", "accuracy", _SUBJECTS)


class _Result(Foreign):
    test_name: Name
    run_number: Positive = 1
    passed: bool
    metrics: Annotated[dict[str, Json], Field(min_length=1)]
    errors: list[Json] = Field(default_factory=list)


class _Report(Foreign):
    results: Annotated[tuple[_Result, ...], Field(strict=False, min_length=1)]
    system_info: dict[str, Json] = Field(default_factory=dict)
    engine: Name | None = None


class _Quality(Foreign):
    correct: Count
    total: Positive
    accuracy: Share | None = None
    per_subject_accuracy: Annotated[Table[Share], Field(default_factory=dict, validate_default=True)]


class _Figures(Foreign):
    values: Annotated[tuple[Number, ...], Field(strict=False)]


def read(data: bytes, where: str) -> Found:
    """Read the buckets and metrics of every benchmark; hardware and engine make the fingerprint.

    Raises:
        CannotJudge: it is not a report, a result is incomplete, or runs of one benchmark contradict one another.
    """
    report = parse_document(data, _Report, where=where)
    by_name: dict[str, list[_Result]] = {}
    for result in report.results:
        _refuse_incomplete(result, where)
        by_name.setdefault(result.test_name, []).append(result)
    buckets: dict[str, Measured] = {}
    metrics: dict[str, Metric] = {}
    left_out: list[str] = []
    for name, runs in by_name.items():
        _read_quality(name, runs, buckets, where)
        _read_figures(name, runs, metrics, left_out, where)
    # The engine alone does not identify a machine, so without system information there is no fingerprint.
    machine = digest_machine(dict(flatten({**report.system_info, "engine": report.engine})))
    return Found(metrics, buckets, machine if report.system_info else None, tuple(left_out))


def _refuse_incomplete(result: _Result, where: str) -> None:
    if result.errors or not result.passed:
        raise CannotJudge(f"{where}: {result.test_name!r}, run {result.run_number}, has errors; run it again")
    if result.metrics.get("total") == 0 or result.metrics.get("total_samples") == 0:
        raise CannotJudge(
            f"{where}: {result.test_name!r} had no samples, which measures nothing; is its data set there?"
        )


def _read_quality(name: str, runs: Sequence[_Result], buckets: dict[str, Measured], where: str) -> None:
    found = [_parse(run, where) for run in runs if "correct" in run.metrics or "total" in run.metrics]
    if not found:
        return
    if len(found) != len(runs) or any(each != found[0] for each in found):
        raise CannotJudge(f"{where}: the runs of {name!r} contradict one another; import a file with a single run")
    counted = found[0]
    mine = {name: Measured(n=counted.total, correct=counted.correct)}
    mine |= {f"{name}.{subject}": Measured(accuracy=share) for subject, share in counted.per_subject_accuracy.items()}
    if twice := mine.keys() & buckets.keys():
        raise CannotJudge(f"{where}: two buckets would have the name {min(twice)!r}; rename one in the source")
    buckets.update(mine)


def _parse(run: _Result, where: str) -> _Quality:
    try:
        quality = _Quality.model_validate({key: run.metrics[key] for key in _COUNTED if key in run.metrics})
        # Only to check that the three figures agree; the bucket is built from the counts.
        Measured(n=quality.total, correct=quality.correct, accuracy=quality.accuracy)
    except ValidationError as error:
        reason = list_reasons(error)[0][1]
        raise CannotJudge(f"{where}: the counts of {run.test_name!r} are not a valid measurement: {reason}") from error
    return quality


def _read_figures(
    name: str, runs: Sequence[_Result], metrics: dict[str, Metric], left_out: list[str], where: str
) -> None:
    # Counts of a benchmark are in its bucket already. `_read_quality` has made sure that all runs have them, or none.
    counted = "correct" in runs[0].metrics
    values_by_key: dict[str, list[Json]] = {}
    for run in sorted(runs, key=lambda each: each.run_number):
        for key, value in flatten(run.metrics):
            if not (counted and key.partition(".")[0] in _COUNTED):
                values_by_key.setdefault(key, []).append(value)
    for key, values in values_by_key.items():
        full = f"{name}.{key}"
        if problem := problem_of_name(full):
            left_out.append(problem)
            continue
        if not all(is_figure(value) for value in values):
            left_out.append(full)
            continue
        if len(values) != len(runs):
            raise CannotJudge(f"{where}: {full!r} is missing from a run of {name!r}; run it again")
        # Validated as figures: the raw values are integers and decimals of any size.
        numbers = _Figures.model_validate({"values": values}).values
        put_once(metrics, full, Metric(value=median(numbers), samples=numbers if len(numbers) > 1 else None), where)
