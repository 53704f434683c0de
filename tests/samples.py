"""Small documents to start from; each test changes what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.decide import decide_bytes, decide_bytes_again
from lynxgate.decision.verdict import Verdict
from lynxgate.jsonedit import format_value
from minieval.contract.documents import parse_document
from minieval.contract.report import Evaluation

MD5 = "a" * 32
SHA256 = "b" * 64
MODEL, OLDER_MODEL = "c" * 64, "d" * 64
RUN = "e" * 32
FIXTURES = Path(__file__).parent / "fixtures" / "documents"

Figures = Mapping[str, Any]
BEFORE: Mapping[str, Figures] = {
    "tense.past_participle": {"n": 679, "correct": 632, "accuracy": 0.9308},
    "tense.third_person": {"n": 1599, "correct": 1596},
    "spelling.doubling": {"accuracy": 0.88},
}
AFTER: Mapping[str, Figures] = {
    "tense.past_participle": {"n": 679, "correct": 640},
    "tense.third_person": {"n": 1599, "correct": 1595, "accuracy": 0.9975},
    "spelling.doubling": {"accuracy": 0.87},
}


def evaluation(buckets: Mapping[str, Any] = AFTER, **changes: Any) -> dict[str, Any]:
    """An evaluation as JSON would hold it."""
    return {
        "schema": "minieval.evaluation/1",
        "candidate": {"canonical_sha": MODEL, "mlflow_run_id": RUN},
        "eval_set": {"path": "data/eval.jsonl", "dvc_md5": MD5, "sha256": SHA256},
        "buckets": dict(buckets),
        **changes,
    }


def baseline(buckets: Mapping[str, Any] = BEFORE, *, policy: Any = None, **changes: Any) -> dict[str, Any]:
    """An active baseline as JSON would hold it; ``policy`` is added to rule `point` at 2 pp."""
    return {
        "schema": "lynxgate.baseline/1",
        "status": "active",
        "eval_set": "data/eval.jsonl",
        "eval_set_dvc_hash": MD5,
        "eval_set_sha256": SHA256,
        "source": {"canonical_sha": OLDER_MODEL, "semver": "v0.3.0"},
        "policy": {"rule": "point", "tolerance_pp": 2.0, **(policy or {})},
        "buckets": dict(buckets),
        **changes,
    }


def write(tree: Any) -> bytes:
    """Its bytes; decimals are written exactly."""
    return format_value(tree, "").encode()


def judge(measured: Any, agreed: Any, tolerance_pp: str | None = None) -> Verdict:
    """The verdict on two trees."""
    return decide_bytes(write(measured), write(agreed), None if tolerance_pp is None else Decimal(tolerance_pp))[0]


def judge_again(measured: Any, agreed: Any, tolerance_pp: str | None = None) -> Verdict:
    """The verdict of the rules alone, without the checks of figures and policy that a new decision makes."""
    pp = None if tolerance_pp is None else Decimal(tolerance_pp)
    return decide_bytes_again(write(measured), write(agreed), pp)[0]


def parse_evaluation(tree: Any) -> Evaluation:
    """A tree as the value that travels."""
    return parse_document(write(tree), Evaluation, where="evaluation")


def parse_agreed(tree: Any) -> Baseline:
    """The same for a baseline."""
    return parse_document(write(tree), Baseline, where="baseline")
