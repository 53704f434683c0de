"""The readers: what each format becomes, and what each refuses."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynxgate.errors import CannotJudge, UsageFailure
from lynxgate.importers import PROVIDERS, Found, read_foreign
from minieval.contract.report import Metric
from tests.importers import samples


def read(provider: str, tree: object, **more: Any) -> Found:
    return read_foreign(provider, samples.written(tree), where="file", **more)


def changed(provider: str, change: Callable[[Any], Any]) -> Any:
    tree = copy.deepcopy(samples.ALL[provider])
    change(tree)
    return tree


def figures(found: Found) -> dict[str, tuple[Decimal, str | None, str | None]]:
    return {name: (each.value, each.unit, each.direction) for name, each in found.metrics.items()}


def test_flat() -> None:
    found = read("flat", samples.FLAT)
    assert {name: each.value for name, each in found.metrics.items()} == {
        "accuracy.tense.past": Decimal("0.93"),
        "accuracy.tense.future": 1,
        "latency_ms": Decimal("12.5"),
    }
    assert (found.buckets, found.fingerprint) == ({}, None)


def test_flameiq() -> None:
    assert figures(read("flameiq", samples.FLAMEIQ)) == {
        "latency.mean": (Decimal("12.5"), "ms", "lower"),
        "latency.p95": (18, "ms", "lower"),
        "throughput": (Decimal("950.25"), "1/s", "higher"),
        "memory_mb": (512, "MB", "lower"),
        "custom.tokens_per_second": (Decimal("125.5"), None, None),
    }


def test_calibrax_names_contain_every_dimension() -> None:
    found = read("calibrax", samples.CALIBRAX)
    assert figures(found) == {
        "verbs/past/a=b/batch=8/accuracy": (Decimal("0.9"), None, None),
        "verbs/present/latency": (Decimal("2.5"), "ms", "lower"),
    }
    assert found.metrics["verbs/present/latency"].samples == (Decimal(2), Decimal(3))
    assert found.fingerprint is not None
    other = changed("calibrax", lambda tree: tree["environment"]["devices"].update(gpu=1))
    assert read("calibrax", other).fingerprint != found.fingerprint


def test_kitt_counts_become_buckets_and_runs_become_samples() -> None:
    found = read("kitt", samples.KITT)
    assert {name: (each.n, each.correct, each.accuracy) for name, each in found.buckets.items()} == {
        "mmlu": (3, 2, None),
        "mmlu.law": (None, None, Decimal("0.5")),
        "mmlu.music": (None, None, 1),
    }
    assert {name: each.value for name, each in found.metrics.items()} == {
        "mmlu.num_subjects": 2,
        "mmlu.error_count": 0,
        "latency.ttft_ms.p95": 12,
    }
    assert found.metrics["latency.ttft_ms.p95"].samples == (Decimal(10), Decimal(12), Decimal("13.5"))
    assert found.left_out == ("latency.note",)


def test_pytest_benchmark_is_the_median_with_its_rounds() -> None:
    found = read("pytest-benchmark", samples.PYTEST_BENCHMARK)
    assert figures(found) == {
        "tests/test_speed.py::test_parse[10]": (Decimal("0.002"), "s", "lower"),
        "tests/test_speed.py::test_write": (Decimal("3E-7"), "s", "lower"),
    }
    assert found.metrics["tests/test_speed.py::test_parse[10]"].samples == (
        Decimal("0.001"),
        Decimal("0.002"),
        Decimal("0.003"),
    )


def test_pytest_benchmarks_fingerprint_is_what_stays_on_one_machine() -> None:
    found = read("pytest-benchmark", samples.PYTEST_BENCHMARK).fingerprint
    faster = changed("pytest-benchmark", lambda tree: tree["machine_info"]["cpu"].update(hz_actual=[1, 0]))
    other = changed("pytest-benchmark", lambda tree: tree["machine_info"]["cpu"].update(count=64))
    assert read("pytest-benchmark", faster).fingerprint == found
    assert read("pytest-benchmark", other).fingerprint != found


def test_too_many_rounds_are_left_out_and_named() -> None:
    rounds = {"median": 0.1, "data": [0.1] * 10_001}
    many = changed("pytest-benchmark", lambda tree: tree["benchmarks"][0]["stats"].update(rounds))
    found = read("pytest-benchmark", many)
    assert found.left_out == ("samples of tests/test_speed.py::test_parse[10]",)
    assert found.metrics["tests/test_speed.py::test_parse[10]"].samples is None


@pytest.mark.parametrize(
    ("provider", "change", "reason"),
    [
        ("flat", lambda tree: tree.update(latency_ms="12"), "'latency_ms' is not a number"),
        ("flat", lambda tree: tree.update(latency_ms=True), "is not a number"),
        ("flat", lambda tree: tree.update(latency_ms={"p95": 1}), "'latency_ms' is not a number"),
        ("flat", lambda tree: tree.clear(), "no figure"),
        ("flat", lambda tree: (tree.clear(), tree.update(_comment="empty", a="N/A")), r"no figure .*a \('N/A'\)"),
        ("flat", lambda tree: tree.update(latency_ms=-1), "'latency_ms' is -1, and such an amount is not negative"),
        ("flat", lambda tree: tree.update({"io.latency.mean": -0.5}), "'io.latency.mean' is -0.5"),
        ("flameiq", lambda tree: tree.update(schema_version=True), "schema_version"),
        ("flameiq", lambda tree: tree.update(schema_version=1.0), "schema_version"),
        (
            "pytest-benchmark",
            lambda tree: tree["benchmarks"][0]["stats"].update(data=[-2, 0.002, 5]),
            "sample 0 of 'test",
        ),
        (
            "pytest-benchmark",
            lambda tree: tree["benchmarks"][0]["stats"].update(median="N/A"),
            "benchmarks.0.stats.median",
        ),
        ("flameiq", lambda tree: tree.update(schema_version=2), "schema_version"),
        ("flameiq", lambda tree: tree["metrics"].update(throughput=-5), "throughput"),
        ("flameiq", lambda tree: tree["metrics"].update(cpu_percent=500), "cpu_percent"),
        ("flameiq", lambda tree: tree["metrics"].update(memory_mb="12"), "memory_mb"),
        ("flameiq", lambda tree: tree["metrics"].update(memory_mb=True), "memory_mb"),
        ("flameiq", lambda tree: tree["metrics"].update(latncy=1), "latncy"),
        ("flameiq", lambda tree: tree["metrics"]["custom"].update({"a.b": 1}), "has a dot"),
        ("flameiq", lambda tree: tree.update(metrics={}), "no figure"),
        ("calibrax", lambda tree: tree.update(points=[]), "points"),
        ("calibrax", lambda tree: tree["points"][0].update(metrics={}), "metrics"),
        ("calibrax", lambda tree: tree["points"].append(tree["points"][0]), "two figures would have the name"),
        ("calibrax", lambda tree: tree["points"][0].update(scenario="x" * 199), "longer than 200"),
        ("calibrax", lambda tree: tree["metric_defs"]["latency"].update(direction="up"), "direction"),
        ("calibrax", lambda tree: tree["metric_defs"]["latency"].update(unit="m\x7fs"), "latency.unit: a name has"),
        ("calibrax", lambda tree: tree["metric_defs"]["latency"].update(unit="m" * 201), "latency.unit: a name has"),
        ("kitt", lambda tree: tree.update(results=[]), "results"),
        ("kitt", lambda tree: tree["results"][0].update(passed=False), "has errors"),
        ("kitt", lambda tree: tree["results"][0].update(errors=["timeout"]), "has errors"),
        ("kitt", lambda tree: tree["results"][0].update(metrics={"total_samples": 0, "note": "none"}), "no samples"),
        ("kitt", lambda tree: tree["results"][0]["metrics"].update(total=0), "no samples"),
        ("kitt", lambda tree: tree["results"][0]["metrics"].update(correct=4), "not a valid measurement: .*4 > n 3"),
        ("kitt", lambda tree: tree["results"][0]["metrics"].update(accuracy=0.9), "contradicts 2/3"),
        ("kitt", lambda tree: tree["results"][0]["metrics"].pop("correct"), "not a valid measurement"),
        (
            "kitt",
            lambda tree: tree["results"].append(
                {**tree["results"][0], "run_number": 2, "metrics": {"correct": 1, "total": 3}}
            ),
            "contradict",
        ),
        ("kitt", lambda tree: tree["results"][1]["metrics"].pop("ttft_ms"), "missing from a run"),
        ("pytest-benchmark", lambda tree: tree.update(benchmarks=[]), "no benchmark"),
        ("pytest-benchmark", lambda tree: tree["benchmarks"].append(tree["benchmarks"][0]), "two figures"),
        ("pytest-benchmark", lambda tree: tree["benchmarks"][0]["stats"].pop("median"), "median"),
    ],
)
def test_what_is_refused(provider: str, change: Callable[[Any], Any], reason: str) -> None:
    with pytest.raises(CannotJudge, match=reason) as refused:
        read(provider, changed(provider, change))
    assert str(refused.value).startswith("file: ")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_reader_refuses_json_that_is_not_strict(provider: str) -> None:
    text = json.dumps(samples.ALL[provider])
    number = {"flat": "12.5", "flameiq": "950.25", "calibrax": "0.9", "kitt": "0.6667", "pytest-benchmark": "0.002"}[
        provider
    ]
    assert number in text
    for bad in ("NaN", "Infinity", "-Infinity", "1e999"):
        with pytest.raises(CannotJudge):
            read_foreign(provider, text.replace(number, bad, 1).encode(), where="file")
    for whole in (b"", b"[]", b"null", b"{}", b"{", b'{"a": 1, "a": 2}', b"\xff"):
        if (provider, whole) != ("flat", b"{}"):
            with pytest.raises(CannotJudge):
                read_foreign(provider, whole, where="file")


trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("provider", PROVIDERS)
@given(data=st.data())
@pytest.mark.slow
def test_any_part_may_be_anything_and_nothing_but_a_sentence_comes_of_it(provider: str, data: st.DataObject) -> None:
    tree = copy.deepcopy(samples.ALL[provider])
    node: Any = tree
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        inner = node[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            node[key] = data.draw(trees)
            break
        node = inner
    try:
        found = read(provider, tree)
    except CannotJudge as refused:
        assert "\n" not in str(refused)
        return
    assert all(each.value.is_finite() for each in found.metrics.values())


def test_figures_become_buckets_only_where_named() -> None:
    found = read("flat", samples.FLAT, buckets=["accuracy.*"])
    assert sorted(found.buckets) == ["accuracy.tense.future", "accuracy.tense.past"]
    assert list(found.metrics) == ["latency_ms"]
    with pytest.raises(CannotJudge, match="no figure is called 'acuracy"):
        read("flat", samples.FLAT, buckets=["acuracy.*"])
    with pytest.raises(CannotJudge, match="accuracy lies between 0 and 1"):
        read("flat", samples.FLAT, buckets=["*"])


def test_an_unknown_provider_is_a_usage_error() -> None:
    with pytest.raises(UsageFailure, match="choose from calibrax, flameiq, flat, kitt, pytest-benchmark"):
        read("csv", {})


def test_a_median_that_is_not_that_of_its_rounds_is_refused() -> None:
    def report(median: float, *rounds: float) -> bytes:
        return json.dumps({"benchmarks": [{"fullname": "b", "stats": {"median": median, "data": rounds}}]}).encode()

    with pytest.raises(CannotJudge, match=r"f: 'b' states a median of 1 s, and that of its rounds is 9 s"):
        read_foreign("pytest-benchmark", report(1, 9, 9, 9), where="f")
    assert read_foreign("pytest-benchmark", report(0.30000000000000004, 0.1, 0.3, 0.5), where="f").metrics
    assert read_foreign("pytest-benchmark", report(1.5, 1, 2), where="f").metrics


def test_what_cannot_be_kept_is_left_out_and_named_and_the_rest_is_kept() -> None:
    long = "x" * 201
    found = read("flat", {"a": 1, "b": "N/A", "c": None, long: 2, "": 3})
    assert dict(found.metrics) == {"a": Metric(value=Decimal(1))}
    starts = [entry.split(" (")[0][:12] for entry in found.left_out]
    assert starts == ["b", "c", "'xxxxxxxxxxx", "an entry wit"]
    assert "a name of 201 characters, and at most 200 are kept" in found.left_out[2]
    named = changed("pytest-benchmark", lambda tree: tree["benchmarks"][1].update(fullname=long))
    assert (len(read("pytest-benchmark", named).metrics), len(read("pytest-benchmark", named).left_out)) == (1, 1)
    deep = changed("kitt", lambda tree: tree["results"][0]["metrics"].update({long: 1}))
    assert any("a name of" in entry for entry in read("kitt", deep).left_out)


@pytest.mark.parametrize("name", ["log_likelihood", "latency_delta_ms", "variant_b", "reward", "class"])
def test_a_figure_that_may_be_negative_is_kept(name: str) -> None:
    assert read("flat", {name: -1.5}).metrics[name].value == Decimal("-1.5")
