"""Activate a baseline, so that comparisons with it can fail. Pure: bytes in, bytes out.

- Everything but the status stays byte for byte, except a comment where a bucket without a right answer was accepted.
- A baseline is refused that could never judge something, or that could never fail anything.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Final

from lynxgate.decision.baseline import Baseline, Status, parse_baseline
from lynxgate.decision.consistency import check_baseline
from lynxgate.decision.enforceable import (
    check_advisory_terms,
    check_confidence,
    check_enforceable,
    check_globs,
    check_tested_statistics,
    check_warnings,
)
from lynxgate.decision.metrics.judge import judge_metrics
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import Tier
from lynxgate.decision.rules.bucket_comparison import describe_scale
from lynxgate.errors import CannotJudge, Refused, UsageFailure
from lynxgate.escape import visible
from lynxgate.jsonedit import Path, edit
from lynxgate.rebaseline.entries import changed_entries
from lynxgate.rebaseline.passable import check_passable
from minieval.contract.documents import Json, parse_json
from minieval.contract.report import Metric, Scale

ACCEPT_ZERO: Final = "--accept-zero"
ACCEPTED: Final = "_comment_accepted_zeros"


def activate(data: bytes, *, accept_zero: Collection[str] = (), where: str = "the baseline") -> bytes:
    """Return the baseline with status active; the same bytes when it is active already.

    ``accept_zero`` names the buckets in which it is right that no answer is right. They are written into the baseline,
    in a comment beside the source of the figures.

    Raises:
        Refused: no answer is right in a bucket that may block, and ``accept_zero`` does not name it.
        UsageFailure: ``accept_zero`` names another bucket.
        CannotJudge: a placeholder is left, a glob of the policy matches nothing, a metric could never be judged, no
            candidate could be refused, none could pass, no source is named, an advisory bucket has a limit, the
            figures contradict each other, or the rule cannot judge the scale of a bucket.
    """
    is_active = parse_baseline(data, where=where).status is Status.ACTIVE
    active = data if is_active else edit(data.decode(), {("status",): str(Status.ACTIVE)}).encode()
    # An active baseline is parsed by stricter rules: it may have no placeholder.
    baseline = parse_baseline(active, where=where)
    check_globs(baseline, where=where)
    _judge_own_metrics(baseline, where)
    _check_scales(baseline, where)
    try:
        check_confidence(baseline.policy)
        check_advisory_terms(baseline.policy)
        check_tested_statistics(baseline.policy)
        check_enforceable(baseline, baseline.policy)
        check_baseline(baseline)
        if not is_active:
            _check_source(baseline)
            check_warnings(baseline)
            check_passable(baseline)
    except CannotJudge as error:
        raise CannotJudge(f"{where}: {error}") from error
    # Asked once, when the status changes: an active baseline was activated by a person.
    zeros = () if is_active else _check_zeros(baseline, accept_zero, where)
    return edit(active.decode(), _note(parse_json(active, where=where), zeros)).encode() if zeros else active


def _check_source(baseline: Baseline) -> None:
    """Check that the baseline names the model of its figures: an auditor has to find it, and a champion is it."""
    source = baseline.source
    if not any((source.canonical_sha, source.semver, source.mlflow_run_id, source.median_of)):
        raise CannotJudge(
            "source names no model; measure the baseline with `lynxgate baseline rebaseline`, or write the model's "
            "canonical_sha, semver or mlflow_run_id into source"
        )


def _check_zeros(baseline: Baseline, accept: Collection[str], where: str) -> tuple[str, ...]:
    """Return the buckets that may block and have no right answer, all of which ``accept`` has to name."""
    # A misread column or a misspelt answer makes every answer wrong, and then nothing could be lost.
    found = tuple(
        name
        for name, figures in sorted(baseline.buckets.items())
        if figures.share == 0 and baseline.policy.terms_of(name).tier is not Tier.ADVISORY
    )
    if idle := sorted(set(accept).difference(found)):
        raise UsageFailure(f"{ACCEPT_ZERO} {idle[0]!r}: no bucket of that name that may block is at 0 %; leave it out")
    if missing := [name for name in found if name not in accept]:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise Refused(
            f"{where}: no answer is right in bucket {visible(missing[0])}{more}, so it could not lose one; look for a "
            f"mistake in the eval set or in how answers are compared, or accept each such bucket with {ACCEPT_ZERO}"
        )
    return found


def _note(tree: Json, zeros: Collection[str]) -> dict[Path, Json]:
    """Return the edit that names the accepted buckets beside the source, so that the diff of the file has them."""
    note: Json = {ACCEPTED: ", ".join(visible(name) for name in zeros)}
    return changed_entries(("source",), tree["source"], note)


def _check_scales(baseline: Baseline, where: str) -> None:
    """Check that no bucket that may block is scored in a way that the rule, or a cap on flips, cannot judge yet."""
    for name, figures in baseline.buckets.items():
        terms = baseline.policy.terms_of(name)
        if figures.scale is Scale.RIGHT_OR_WRONG or terms.tier is Tier.ADVISORY:
            continue
        scale = describe_scale(figures)
        if baseline.policy.rule.asks_proof and figures.counts is None and figures.scores is None:
            rule = baseline.policy.rule
            raise CannotJudge(
                f"{where}: bucket {name!r} is {scale}, and rule {rule} needs the score of each row; rebaseline from an "
                "evaluation of minieval, or use rule point"
            )
        if terms.max_negative_flip_rate is not None and terms.flip_drop is None:
            raise CannotJudge(
                f"{where}: bucket {name!r} is {scale}, which max_negative_flip_rate cannot judge without flip_drop; "
                "set the fall of a score beyond which a row counts"
            )


def _judge_own_metrics(baseline: Baseline, where: str) -> None:
    """Judge the baseline's metrics against themselves: a metric that cannot be judged here never can be."""
    # A placeholder is refused before; `Decimal(0)` only satisfies the type.
    same = {
        name: Metric(value=each.value or Decimal(0), unit=each.unit, samples=each.samples)
        for name, each in baseline.metrics.items()
    }
    fingerprint = baseline.environment.fingerprint
    # A proof needs the rows of a candidate, which a baseline does not hold.
    policy = {
        name: terms.model_copy(update={"min_confidence": None}) for name, terms in baseline.policy.metrics.items()
    }
    rows = judge_metrics(policy, baseline.metrics, same, fingerprints=(fingerprint, fingerprint))
    for row in rows:
        if row.blocks and row.outcome is Outcome.UNMEASURED:
            raise CannotJudge(f"{where}: metric {row.metric!r} could never be judged: {row.reason}")
