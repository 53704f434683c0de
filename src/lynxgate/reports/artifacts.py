"""Collect the artifacts of a decision for a later audit: a folder of files, and a manifest of them. Pure.

- The documents are the exact bytes that were decided on; a verdict that was not made from them is refused.
- A document that the gate did not reach is left out, and the manifest names the files there are: a gate that ended
  early has artifacts too.
- The environment is versions only: no variable, no path, no address.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Final

from lynxgate.decision.baseline import parse_baseline
from lynxgate.decision.effective_policy import describe_policy
from lynxgate.decision.same_run import check_same_run
from lynxgate.decision.verdict import Verdict, parse_verdict
from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.reports.page import render_page
from lynxgate.reports.verdict_table import render_markdown
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Json, pretty_json
from minieval.contract.report import parse_evaluation

SCHEMA: Final = "lynxgate.decision/1"
MANIFEST: Final = "manifest.json"


@dataclass(frozen=True)
class DecisionContext:
    """The request, and the exit code of the gate; `None` is unknown."""

    run_id: str | None
    semver: str | None
    head_sha: str | None
    exit_code: int


def collect_artifacts(
    context: DecisionContext,
    *,
    baseline: bytes,
    evaluation: bytes | None,
    verdict: bytes | None,
    model_lock: bytes | None = None,
) -> dict[str, bytes]:
    """Return the files of one decision by name: documents, verdict in three forms, policy, environment, manifest.

    Raises:
        CannotJudge: the baseline or the verdict is not a valid document.
        IntegrityFailure: the verdict was made from other bytes, or a document is about another run than the request.
    """
    agreed = parse_baseline(baseline)
    files = {
        "eval_baseline.json": baseline,
        "policy.json": pretty_json(describe_policy(agreed)),
        "environment.json": pretty_json(describe_installation()),
    }
    if evaluation is not None:
        check_same_run("the evaluation", _find_run(evaluation), context.run_id)
        files["candidate_eval.json"] = evaluation
        if model_lock is not None:
            _check_lock(evaluation, model_lock)
            files["candidate_eval.model.lock"] = model_lock
    decided = None if verdict is None else parse_verdict(verdict)
    if verdict is not None and decided is not None:
        _check_inputs(decided, baseline, evaluation)
        check_same_run("the verdict", decided.candidate.mlflow_run_id, context.run_id)
        files["verdict.json"] = verdict
        files["verdict.html"] = f"{render_page(decided)}\n".encode()
        files["verdict.md"] = f"{render_markdown(decided, every=True)}\n".encode()
    return {**files, MANIFEST: pretty_json(_describe(context, decided, files))}


def describe_installation() -> dict[str, Json]:
    """Return the version of Python, the kind of machine, and every installed distribution with its version."""
    # Names are normalised to lower case, because distributions spell theirs differently.
    found = {str(each.metadata["Name"]).lower(): each.version for each in metadata.distributions()}
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "system": platform.system(),
        "packages": dict(sorted(found.items())),
    }


def _find_run(evaluation: bytes) -> str | None:
    # An invalid evaluation may be what ended the gate: it is archived as it is, and names no run.
    try:
        return parse_evaluation(evaluation).candidate.mlflow_run_id
    except CannotJudge:
        return None


def _check_lock(evaluation: bytes, lock: bytes) -> None:
    try:
        environment = parse_evaluation(evaluation).model_environment
    except CannotJudge:
        return
    if environment is None or environment.lock_sha256 != digest_bytes(lock):
        raise IntegrityFailure(
            "the lock beside the evaluation is not the one that the evaluation names; evaluate again"
        )


def _check_inputs(verdict: Verdict, baseline: bytes, evaluation: bytes | None) -> None:
    for name, data, expected in (
        ("baseline", baseline, verdict.inputs.baseline_sha256),
        ("evaluation", evaluation, verdict.inputs.evaluation_sha256),
    ):
        if data is None or digest_bytes(data) != expected:
            raise IntegrityFailure(
                f"the verdict was made from another {name} ({expected}); archive the one it was made from"
            )


def _describe(context: DecisionContext, verdict: Verdict | None, files: Mapping[str, bytes]) -> dict[str, Json]:
    inputs: Json = None if verdict is None else verdict.inputs.model_dump(mode="json")
    return {
        "schema": SCHEMA,
        "tool": {"name": "lynxgate", "version": metadata.version("lynxgate")},
        "asked": {"mlflow_run_id": context.run_id, "semver": context.semver, "head_sha": context.head_sha},
        "canonical_sha": None if verdict is None else verdict.candidate.canonical_sha,
        "exit_code": context.exit_code,
        "summary": None if verdict is None else verdict.summary,
        "inputs": inputs,
        # In order of names, so that equal files give an equal manifest.
        "files": [
            {"path": name, "size": len(data), "sha256": digest_bytes(data)} for name, data in sorted(files.items())
        ],
    }
