"""The pull request that updates a baseline: its branch, title and text. Pure.

- It changes the numbers of one file. Status and policy stay: it never activates or loosens a gate.
- The branch name is a hash of the old and the new file, so the same proposal has one branch.
- Names from an evaluation stand in code, as in `lynxgate.pull_request.report`.
"""

from __future__ import annotations

from lynxgate.decision.baseline import Baseline
from lynxgate.escape import as_code
from lynxgate.pull_request.forge import Proposal
from lynxgate.pull_request.report import fit
from lynxgate.rebaseline.differences import ABSENT, Move
from lynxgate.rebaseline.move import Rebaselined
from lynxgate.reports.rebaseline_table import render_moves
from minieval.contract.digests import digest_bytes
from minieval.contract.report import Evaluation

BRANCH = "lynxgate/rebaseline-"
_CHECKLIST = (
    "The measured model is in production, or is about to be.",
    "Every bucket that falls is meant to fall: the gate will not report that fall again.",
    "If the eval set changed: its `.dvc` file on the base branch has the new md5.",
    "This pull request changes one file, and in it only numbers, hashes and the source.",
    "Its checks have run. GitHub starts none if the workflow's own token opened it: then close and reopen it.",
)


def build_proposal(
    moved: Rebaselined,
    before: Baseline,
    evaluation: Evaluation,
    *,
    path: str,
    base: str,
    base_sha: str,
    replaces: str,
    run_url: str | None = None,
) -> Proposal:
    """Return the pull request for ``moved``, which must have changes; ``replaces`` is the blob SHA of the file now."""
    # Base and path belong to the name: the same change into another branch is another proposal.
    kind = f"{base}\n{path}\n{replaces}\n".encode() + moved.data
    return Proposal(
        base=base,
        base_sha=base_sha,
        branch=BRANCH + digest_bytes(kind)[:16],
        path=path,
        replaces=replaces,
        data=moved.data,
        title=format_title(moved),
        body=_render_body(moved, before, evaluation, path, run_url),
    )


def format_title(moved: Rebaselined) -> str:
    """Return the number of changed buckets and metrics; it has no name from outside."""
    buckets, metrics = _of_kind(moved, "buckets"), len(_of_kind(moved, "metrics"))
    more = f", {metrics} {'metric' if metrics == 1 else 'metrics'}" if metrics else ""
    if not buckets:
        return f"rebaseline: the source changes, no bucket does{more}"
    names = f"{len(buckets)} {'bucket' if len(buckets) == 1 else 'buckets'}"
    return f"rebaseline: {names} of the baseline, {len(_falls(buckets))} of them down{more}"


def _render_body(moved: Rebaselined, before: Baseline, evaluation: Evaluation, path: str, run_url: str | None) -> str:
    status = as_code(str(before.status))
    head = [
        f"This updates the numbers of {as_code(path)} to those of a new evaluation. Status ({status}), policy, "
        "tolerances and comments stay as they are; no gate is activated.",
        "\n".join(_facts(evaluation, run_url)),
        "#### Before you approve",
        "\n".join(f"- [ ] {line}" for line in (*_CHECKLIST, *_extra(before, moved))),
        "#### Changes",
    ]
    table = render_moves(moved).split("\n")
    tail = "To make the same change by hand: `lynxgate baseline rebaseline --evaluation candidate_eval.json`."
    return fit("\n\n".join(head), table, tail, whole="the artifact of the run")


def _facts(evaluation: Evaluation, run_url: str | None) -> list[str]:
    facts = {
        "MLflow run": evaluation.candidate.mlflow_run_id,
        "canonical SHA": evaluation.candidate.canonical_sha,
        "eval set": evaluation.eval_set.path,
        "its md5": evaluation.eval_set.dvc_md5,
        "task": evaluation.task.path if evaluation.task else None,
        "isolation": evaluation.evaluator.isolation if evaluation.evaluator else None,
    }
    lines = [f"- {name}: {as_code(str(value))}" for name, value in facts.items() if value]
    if run_url:
        lines.append(f"- artifacts: evaluation, lock, old and new baseline, in [the workflow run]({run_url})")
    return lines


def _extra(before: Baseline, moved: Rebaselined) -> list[str]:
    buckets, metrics = _of_kind(moved, "buckets"), _of_kind(moved, "metrics")
    added = sum(each.before == ABSENT for each in buckets)
    removed = sum(each.after == ABSENT for each in buckets)
    lines = []
    if moved.accepted:
        lines.append(f"Each accepted regression ({len(moved.accepted)}, named below) is meant, and this says why.")
    elif moved.gate is not None:
        lines.append("What the gate says of this evaluation (below the table) is what you expect.")
    if any(each.place[0] == "task" for each in moved.moves):
        lines.append("The task file changes: old and new figures are not of one measure.")
    if any(each.place == ("source", "semver") and each.after != ABSENT for each in moved.moves):
        lines.append("The version named as source is the one of this model: nothing has checked that.")
    if added:
        lines.append(f"The new buckets ({added}) belong in the gate, with the tier that the policy gives them.")
    if removed:
        lines.append(f"The removed buckets ({removed}) need no gate any more.")
    if metrics:
        lines.append(
            f"The changed metrics ({len(metrics)}) were measured on the kind of machine that the gate measures on."
        )
    if before.status.value != "active":
        lines.append(
            "The baseline stays report-only. To activate it (`lynxgate baseline activate`) is another pull request."
        )
    return lines


def _of_kind(moved: Rebaselined, kind: str) -> list[Move]:
    return [each for each in moved.moves if each.place[0] == kind]


def _falls(buckets: list[Move]) -> list[Move]:
    return [each for each in buckets if each.difference.startswith("-")]
