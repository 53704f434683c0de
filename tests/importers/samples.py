"""One small file of each format, made for these tests."""

from __future__ import annotations

import json
from typing import Any

FLAT = {"_comment": "for people", "accuracy.tense.past": 0.93, "accuracy.tense.future": 1, "latency_ms": 12.5}

FLAMEIQ = {
    "schema_version": 1,
    "metadata": {"run_id": "r-1", "commit": None, "environment": "ci", "tags": {"runner": "small"}},
    "metrics": {
        "latency": {"mean": 12.5, "p95": 18.0, "p99": None},
        "throughput": 950.25,
        "memory_mb": 512,
        "custom": {"tokens_per_second": 125.5},
    },
}

CALIBRAX = {
    "id": "run-7",
    "timestamp": "2026-01-02T03:04:05",
    "commit": None,
    "branch": "main",
    "environment": {"cpu": "some cpu", "devices": {"gpu": 0}},
    "metadata": {},
    "metric_defs": {
        "latency": {"name": "latency", "unit": "ms", "direction": "lower", "group": "", "priority": "primary"}
    },
    "points": [
        {
            "name": "verbs",
            "scenario": "past",
            "tags": {"batch": "8", "a": "b"},
            "metrics": {"accuracy": {"value": 0.9}},
        },
        {
            "name": "verbs",
            "scenario": "present",
            "metrics": {"latency": {"value": 2.5, "lower": 2.0, "samples": [2.0, 3.0]}},
        },
    ],
}

KITT = {
    "kitt_version": "1.1.0",
    "suite_name": "standard",
    "engine": "native",
    "passed": True,
    "system_info": {"cpu": {"model": "some cpu", "cores": 2}},
    "results": [
        {
            "test_name": "mmlu",
            "run_number": 1,
            "passed": True,
            "errors": [],
            "metrics": {
                "accuracy": 0.6667,
                "correct": 2,
                "total": 3,
                "per_subject_accuracy": {"law": 0.5, "music": 1.0},
                "num_subjects": 2,
                "error_count": 0,
            },
        },
        *(
            {
                "test_name": "latency",
                "run_number": run,
                "passed": True,
                "errors": [],
                "metrics": {"ttft_ms": {"p95": p95}, "note": "warm"},
            }
            for run, p95 in ((2, 12), (1, 10), (3, 13.5))
        ),
    ],
}

PYTEST_BENCHMARK = {
    "machine_info": {
        "node": "runner",
        "machine": "x86_64",
        "python_version": "3.11.7",
        "cpu": {"brand_raw": "some cpu", "count": 2, "hz_actual": [2400000000, 0]},
    },
    "benchmarks": [
        {
            "fullname": "tests/test_speed.py::test_parse[10]",
            "name": "test_parse[10]",
            "stats": {"min": 0.001, "median": 0.002, "mean": 0.0021, "rounds": 3, "data": [0.001, 0.002, 0.003]},
        },
        {"fullname": "tests/test_speed.py::test_write", "name": "test_write", "stats": {"median": 3e-7}},
    ],
    "version": "5.1.0",
}

ALL: dict[str, Any] = {
    "flat": FLAT,
    "flameiq": FLAMEIQ,
    "calibrax": CALIBRAX,
    "kitt": KITT,
    "pytest-benchmark": PYTEST_BENCHMARK,
}


def written(tree: object) -> bytes:
    return json.dumps(tree).encode()
