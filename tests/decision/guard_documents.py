"""A baseline that guards metrics, and an evaluation of equal accuracy on the same machine."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.samples import AFTER, BEFORE, baseline, evaluation

HERE, ELSEWHERE = "a3f1", "b4e2"
AGREED: Mapping[str, Any] = {
    "latency_ms_p95": {"value": Decimal("0.80"), "unit": "ms", "direction": "lower", "machine": True},
    "bundle_bytes": {"value": 120000, "unit": "bytes", "direction": "lower", "machine": False},
    "throughput": {
        "value": 950,
        "unit": "1/s",
        "direction": "higher",
        "machine": True,
        "samples": [700, 951, 950, 949, 953, 952, 948],
    },
}
LIMITS: Mapping[str, Any] = {
    "latency_*": {"max_ratio": 1.25, "warn_max_ratio": 1.1, "max": 5},
    "bundle_bytes": {"max_pct": 10},
    "throughput": {"max_pct": 5, "statistic": "median", "warmup": 1, "confidence": 0.95, "min_samples": 4},
}
MEASURED: Mapping[str, Any] = {
    "latency_ms_p95": {"value": Decimal("0.82"), "unit": "ms", "direction": "lower"},
    "bundle_bytes": {"value": 120500, "unit": "bytes", "direction": "lower"},
    "throughput": {"value": 949, "unit": "1/s", "samples": [650, 949, 950, 951, 948, 954, 100]},
}


def guarding(*, limits: Mapping[str, Any] = LIMITS, agreed: Mapping[str, Any] = AGREED, **changes: Any) -> Any:
    """The baseline, as JSON would hold it."""
    metrics = {"metrics": dict(agreed), "environment": {"fingerprint": HERE}}
    return baseline(BEFORE, policy={"metrics": dict(limits)}, **metrics | changes)


def measuring(fingerprint: str | None = HERE, buckets: Mapping[str, Any] = AFTER, **metrics: Any) -> Any:
    """The evaluation; each of ``metrics`` replaces the one of its name, or takes it away (`None`)."""
    merged = {name: entry for name, entry in {**MEASURED, **metrics}.items() if entry is not None}
    return evaluation(buckets, metrics=merged, environment={"fingerprint": fingerprint} if fingerprint else {})


def latency(value: str, **more: Any) -> dict[str, Any]:
    """The candidate's latency."""
    return {"value": Decimal(value), "unit": "ms", **more}
