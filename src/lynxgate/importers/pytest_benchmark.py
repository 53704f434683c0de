"""pytest-benchmark's JSON (``--benchmark-json``): of each benchmark the median time of a round, in seconds.

The name of a figure is the benchmark's ``fullname``. Its samples are the rounds, where the file has them (this option
or ``--benchmark-save-data``). The fingerprint is of facts that stay the same from run to run on one machine.
"""

from __future__ import annotations

from decimal import Decimal
from statistics import median
from typing import Annotated

from pydantic import Field

from lynxgate.errors import CannotJudge
from lynxgate.importers.found import Foreign, Found, digest_machine, problem_of_name, put_once
from minieval.contract.documents import Json, parse_document
from minieval.contract.fields import Number
from minieval.contract.report import Metric

ROUNDING = Decimal("1e-6")  # of the median: the tool computes it with floats
MOST_SAMPLES = 10_000  # as many as an evaluation may have
# Facts that stay the same between runs on one machine; the load and the CPU frequency of the moment do not.
_MACHINE = ("node", "processor", "machine", "system", "python_implementation", "python_version")
_CPU = ("brand_raw", "brand", "arch", "count")


class _Stats(Foreign):
    median: Annotated[Number, Field(ge=0)]
    data: Annotated[tuple[Number, ...], Field(strict=False)] = ()


class _Benchmark(Foreign):
    fullname: str
    stats: _Stats


class _Report(Foreign):
    benchmarks: Annotated[tuple[_Benchmark, ...], Field(strict=False)]
    machine_info: dict[str, Json] = Field(default_factory=dict)


def read(data: bytes, where: str) -> Found:
    """Read one metric for each benchmark.

    Where there are more than `MOST_SAMPLES` samples, all are left out, and `Found.left_out` names them.

    Raises:
        CannotJudge: it is not such a report, it has no benchmark (those with errors are missing from it), or a median
            is not that of its rounds.
    """
    report = parse_document(data, _Report, where=where)
    if not report.benchmarks:
        raise CannotJudge(f"{where}: it has no benchmark, which measures nothing; did they fail?")
    metrics: dict[str, Metric] = {}
    left_out: list[str] = []
    for each in report.benchmarks:
        if problem := problem_of_name(each.fullname):
            left_out.append(problem)
            continue
        rounds = each.stats.data
        if rounds and abs(each.stats.median - median(rounds)) > ROUNDING * abs(median(rounds)):
            raise CannotJudge(
                f"{where}: {each.fullname!r} states a median of {each.stats.median} s, and that of its rounds is "
                f"{median(rounds)} s; run it again"
            )
        if len(rounds) > MOST_SAMPLES:
            left_out.append(f"samples of {each.fullname}")
        samples = rounds if 0 < len(rounds) <= MOST_SAMPLES else None
        metric = Metric(value=each.stats.median, unit="s", direction="lower", samples=samples)
        put_once(metrics, each.fullname, metric, where)
    # Older versions of pytest-benchmark write no CPU, or write it as text.
    cpu = report.machine_info.get("cpu")
    facts = {key: report.machine_info.get(key) for key in _MACHINE}
    if isinstance(cpu, dict):
        facts |= {f"cpu.{key}": cpu.get(key) for key in _CPU}
    return Found(metrics, fingerprint=digest_machine(facts), left_out=tuple(left_out))
