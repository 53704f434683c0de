"""Create a baseline from the evaluation of the model in production. Pure: the document is returned as bytes.

- A new baseline is report-only: it fails no run until it is reviewed and activated (`lynxgate.rebaseline.activate`).
- The result has been parsed again as a baseline.
"""

from __future__ import annotations

from lynxgate.decision.baseline import SCHEMA, Status, parse_baseline
from lynxgate.decision.consistency import check_evaluation
from lynxgate.decision.policy import DEFAULT_TOLERANCE_PP
from lynxgate.errors import UsageFailure
from lynxgate.jsonedit import format_value
from lynxgate.rebaseline.entries import figure_entries, present_entries, task_entries
from minieval.contract.report import Evaluation


def init_baseline(evaluation: Evaluation, *, eval_set: str | None = None, semver: str | None = None) -> bytes:
    """Return a first, report-only baseline from an evaluation; ``eval_set`` is its path if the evaluation names none.

    Raises:
        UsageFailure: neither the evaluation nor ``eval_set`` names the eval set.
        CannotJudge: the evaluation contradicts itself, or the result is not a valid baseline (its path, for example).
    """
    check_evaluation(evaluation)
    path = evaluation.eval_set.path or eval_set
    if path is None:
        raise UsageFailure("the evaluation does not name the path of its eval set; give it with --eval-set")
    source = {
        "canonical_sha": evaluation.candidate.canonical_sha,
        "semver": semver,
        "mlflow_run_id": evaluation.candidate.mlflow_run_id,
    }
    document = {
        "_comment": "What production measured, per bucket. Changed only by a pull request of its own.",
        "schema": SCHEMA,
        "status": str(Status.REPORT_ONLY),
        "eval_set": path,
        "eval_set_dvc_hash": evaluation.eval_set.dvc_md5,
        "eval_set_sha256": evaluation.eval_set.sha256,
        "task": task_entries(evaluation.task) or None,
        "source": present_entries(source),
        "policy": {"rule": "point", "tolerance_pp": DEFAULT_TOLERANCE_PP},
        "aggregate": None if evaluation.aggregate is None else present_entries(figure_entries(evaluation.aggregate)),
        "buckets": {name: present_entries(figure_entries(each)) for name, each in evaluation.buckets.items()},
    }
    data = (format_value(present_entries(document), "") + "\n").encode()
    # Nothing is written that a reader would refuse.
    parse_baseline(data, where="the new baseline")
    return data
