"""The pull request that moves a baseline: its branch, title and text. Pure.

- It changes the numbers of one file. Status and policy stay: nothing here arms or loosens a gate.
- Its branch is named by what it replaces and what it brings, so that the same proposal is made once.
- Whatever an evaluation named stands in code, as in `lynxgate.pull_request.comment`.
"""

from __future__ import annotations

from lynxgate.decision.baseline import Baseline
from lynxgate.figures import as_code
from lynxgate.pull_request.comment import fit
from lynxgate.pull_request.forge import Proposal
from lynxgate.rebaseline.rebaseline import ABSENT, Move, Rebaselined
from lynxgate.reports.tables import render_moves
from minieval.contract.digests import digest_bytes
from minieval.contract.report import Evaluation

BRANCH = "lynxgate/rebaseline-"
_CHECKLIST = (
    "The model measured is the one that production serves, or is about to.",
    "Every bucket that falls is meant to fall; from now on nobody is told that it did.",
    "Where the eval set moved: its `.dvc` file on the base branch has the new md5.",
    "This pull request changes one file, and in it numbers, hashes and the source alone.",
    "It has its checks. GitHub starts none where the workflow's own token opened it: close and reopen it then.",
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
    """The pull request for ``moved``, which must have moves; ``replaces`` is the blob SHA of the file as it is."""
    kind = f"{base}\n{path}\n{replaces}\n".encode() + moved.data
    return Proposal(
        base=base,
        base_sha=base_sha,
        branch=BRANCH + digest_bytes(kind)[:16],
        path=path,
        replaces=replaces,
        data=moved.data,
        title=format_title(moved),
        body=_write_body(moved, before, evaluation, path, run_url),
    )


def format_title(moved: Rebaselined) -> str:
    """What moves, in numbers alone."""
    buckets, metrics = _of_kind(moved, "buckets"), len(_of_kind(moved, "metrics"))
    more = f", {metrics} {'metric' if metrics == 1 else 'metrics'}" if metrics else ""
    if not buckets:
        return f"rebaseline: the source moves, no bucket does{more}"
    names = f"{len(buckets)} {'bucket' if len(buckets) == 1 else 'buckets'}"
    return f"rebaseline: {names} of the baseline, {len(_falls(buckets))} of them down{more}"


def _write_body(moved: Rebaselined, before: Baseline, evaluation: Evaluation, path: str, run_url: str | None) -> str:
    status = as_code(str(before.status))
    head = [
        f"This moves the numbers of {as_code(path)} to those of a new evaluation. Status ({status}), policy, "
        "tolerances and comments stay as they are; nothing is armed.",
        "\n".join(_facts(evaluation, run_url)),
        "#### Before you approve",
        "\n".join(f"- [ ] {line}" for line in (*_CHECKLIST, *_extra(before, moved))),
        "#### What moves",
    ]
    table = render_moves(moved).split("\n")
    tail = "Or move them yourself: `lynxgate baseline rebaseline --evaluation candidate_eval.json`."
    return fit("\n\n".join(head), table, tail, whole="the run's artefact")


def _facts(evaluation: Evaluation, run_url: str | None) -> list[str]:
    facts = {
        "MLflow run": evaluation.candidate.mlflow_run_id,
        "canonical SHA": evaluation.candidate.canonical_sha,
        "eval set": evaluation.eval_set.path,
        "its md5": evaluation.eval_set.dvc_md5,
        "isolation": evaluation.evaluator.isolation if evaluation.evaluator else None,
    }
    lines = [f"- {name}: {as_code(str(value))}" for name, value in facts.items() if value]
    if run_url:
        lines.append(f"- artefacts: evaluation, lock, and the baseline before and after, kept by [the run]({run_url})")
    return lines


def _extra(before: Baseline, moved: Rebaselined) -> list[str]:
    buckets, metrics = _of_kind(moved, "buckets"), _of_kind(moved, "metrics")
    added = sum(each.before == ABSENT for each in buckets)
    removed = sum(each.after == ABSENT for each in buckets)
    lines = []
    if added:
        lines.append(f"The new buckets ({added}) belong in the gate, with the tier that the policy gives them.")
    if removed:
        lines.append(f"The buckets that leave ({removed}) are to be watched no longer.")
    if metrics:
        lines.append(
            f"The metrics that move ({len(metrics)}) were measured on the kind of machine the gate measures on."
        )
    if before.status.value != "active":
        lines.append("The baseline stays report-only. Arming it (`lynxgate baseline arm`) is another pull request.")
    return lines


def _of_kind(moved: Rebaselined, kind: str) -> list[Move]:
    return [each for each in moved.moves if each.place[0] == kind]


def _falls(buckets: list[Move]) -> list[Move]:
    return [each for each in buckets if each.difference.startswith("-")]
