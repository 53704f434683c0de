"""The decision: compare one evaluation with one baseline, bucket by bucket. Pure: no file, no clock, no environment.

- A rule (`lynxgate.decision.rules`) decides what a bucket must show. This module decides which buckets there are.
- Conditions come first (`lynxgate.decision.conditions`): without them figures cannot be compared.
- Every bucket of either side has a row. None is skipped, and a bucket that cannot be compared does not pass.
- Metrics are judged as well (`lynxgate.decision.metrics.judge`), where the baseline or its policy names any.
- One bucket that fails its rule blocks the candidate, even if the aggregate improves.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TypedDict, assert_never

from lynxgate import __version__
from lynxgate.decision.baseline import Baseline, Status
from lynxgate.decision.conditions import check_conditions
from lynxgate.decision.consistency import check_evaluation, check_sizes
from lynxgate.decision.enforceable import (
    RESOLVED,
    check_advisory_terms,
    check_confidence,
    check_enforceable,
    check_tested_statistics,
)
from lynxgate.decision.former import paired as former
from lynxgate.decision.groups import Groups
from lynxgate.decision.metrics.judge import judge_metrics
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import MOST_MARGIN_PP, Policy, Rule
from lynxgate.decision.rules import paired, point
from lynxgate.decision.rules.bucket_comparison import BucketComparison
from lynxgate.decision.statistics.units import Proof
from lynxgate.decision.verdict import (
    RULE_VERSION,
    SCHEMA,
    Gate,
    Inputs,
    Row,
    RuleVersion,
    Verdict,
    VerdictV2,
    parse_verdict,
)
from lynxgate.errors import CannotJudge, Refused, UsageFailure
from lynxgate.figures import format_exactly
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import pretty_json
from minieval.contract.report import Evaluation, Measured, dump_evaluation

__all__ = ["Inputs", "Outcome", "Verdict", "compare", "parse_verdict"]

ALL_ROWS = "all rows"


def compare(
    evaluation: Evaluation,
    baseline: Baseline,
    *,
    inputs: Inputs | None = None,
    tolerance_pp: Decimal | None = None,
    groups: Groups | None = None,
) -> Verdict:
    """Judge an evaluation against a baseline, by the newest rules.

    ``inputs`` are the hashes of both documents. ``tolerance_pp`` (percentage points) replaces the policy's general
    ``tolerance_pp``; the tolerances of single buckets and of the aggregate stay. ``groups`` are those of the eval set.
    A rule that proves something respects them, and cannot judge an evaluation whose rows come in groups without them.

    ``inputs`` are the hashes of the two files, which a later reader checks the verdict against. Without them the
    hashes are those of the documents as this package writes them, which is not the file where that has comments or
    other white space; `lynxgate.decision.decide.decide` takes files and records their own hashes.

    Raises:
        IntegrityFailure: the two were measured on different eval sets or by different tasks, or the groups
            are of another eval set.
        Refused: ``tolerance_pp`` would loosen an active policy.
        CannotJudge: the policy names buckets or metrics that neither side has, would block an improvement, or could
            refuse no candidate; or the evaluation contradicts itself, or leaves out an `n` that the baseline has.
        UsageFailure: ``tolerance_pp`` is 100 under a rule that proves something.
    """
    check_evaluation(evaluation)
    # First, because another eval set (exit 4) matters more than what is wrong with the policy.
    verdict = compare_again(evaluation, baseline, inputs=inputs, tolerance_pp=tolerance_pp, groups=groups)
    policy = _apply_tolerance(baseline, tolerance_pp)
    check_confidence(policy)
    check_advisory_terms(policy)
    check_tested_statistics(policy)
    check_sizes(policy, evaluation, baseline)
    if baseline.status is Status.ACTIVE:
        check_enforceable(baseline, policy)
    return verdict


def compare_again(
    evaluation: Evaluation,
    baseline: Baseline,
    *,
    inputs: Inputs | None = None,
    tolerance_pp: Decimal | None = None,
    groups: Groups | None = None,
    version: RuleVersion = RULE_VERSION,
) -> Verdict:
    """Judge as `compare` does, and accept what earlier gates accepted.

    Only for a decision that was taken before (`replay`, `verify`) and for resampled copies: a document that `compare`
    refuses today must stay readable. ``version`` is that of the rules by which it was taken.

    Raises:
        IntegrityFailure, Refused, CannotJudge, UsageFailure: as `compare`, without its checks of figures and policy.
    """
    if inputs is None:
        inputs = _hash_documents(evaluation, baseline)
    policy = _apply_tolerance(baseline, tolerance_pp)
    check_confidence(policy, RESOLVED)
    conditions, respected = check_conditions(evaluation, baseline, policy, groups)
    names = sorted(evaluation.buckets.keys() | baseline.buckets.keys())
    # A glob that matches nothing is probably a misspelt guard, which would silently guard nothing.
    if idle := policy.idle_globs(names):
        raise CannotJudge(f"policy.buckets: {idle[0]!r} matches no bucket of either document; correct or remove it")
    buckets = [
        BucketComparison(
            name,
            policy.terms_of(name).against(baseline.buckets.get(name)),
            baseline.buckets.get(name),
            evaluation.buckets.get(name),
            float(policy.confidence),
            None if respected is None else respected.buckets.get(name),
            **_unit_terms(policy),
        )
        for name in names
    ]
    return VerdictV2(
        schema=SCHEMA,
        gate=Gate(name="lynxgate", version=__version__),
        rule=policy.rule,
        rule_version=version,
        status=baseline.status,
        tolerance_pp=format_exactly(policy.tolerance_pp),
        policy_tolerance_pp=format_exactly(baseline.policy.tolerance_pp),
        confidence=format_exactly(policy.confidence),
        inputs=inputs if respected is None else inputs.model_copy(update={"groups_sha256": respected.sha256}),
        candidate=evaluation.candidate,
        baseline=baseline.source,
        conditions=conditions,
        aggregate=_judge_aggregate(policy, baseline.aggregate, evaluation.aggregate, respected, version),
        rows=_judge_buckets(policy, buckets, version),
        metrics=judge_metrics(
            policy.metrics,
            baseline.metrics,
            evaluation.metrics,
            fingerprints=(baseline.environment.fingerprint, evaluation.environment.fingerprint),
            permutes_ties=version > 1,
            classes=evaluation.classes,
            in_groups=evaluation.eval_set.groups is not None,
        ),
    )


def _hash_documents(evaluation: Evaluation, baseline: Baseline) -> Inputs:
    return Inputs(
        evaluation_sha256=digest_bytes(dump_evaluation(evaluation)),
        baseline_sha256=digest_bytes(pretty_json(baseline.model_dump(by_alias=True))),
        eval_set_dvc_md5=evaluation.eval_set.dvc_md5,
        eval_set_sha256=evaluation.eval_set.sha256,
        task_sha256=None if evaluation.task is None else evaluation.task.sha256,
    )


def _apply_tolerance(baseline: Baseline, tolerance_pp: Decimal | None) -> Policy:
    if tolerance_pp is None:
        return baseline.policy
    reviewed = baseline.policy.tolerance_pp
    if baseline.status is Status.ACTIVE and tolerance_pp > reviewed:
        raise Refused(
            f"a tolerance of {format_exactly(tolerance_pp)} pp would loosen the active policy, which has "
            f"{format_exactly(reviewed)} pp; change the baseline by its own pull request, or give a smaller one"
        )
    if baseline.policy.rule.asks_proof and tolerance_pp >= MOST_MARGIN_PP:
        raise UsageFailure(f"a margin of 100 pp under rule {baseline.policy.rule} would prove anything; give less")
    return baseline.policy.model_copy(update={"tolerance_pp": tolerance_pp})


class _UnitTerms(TypedDict):
    group_cap: int
    proof: Proof


def _unit_terms(policy: Policy) -> _UnitTerms:
    return _UnitTerms(group_cap=policy.group_cap or 1, proof=policy.proof or "gaffke")


def _judge_aggregate(
    policy: Policy, before: Measured | None, now: Measured | None, groups: Groups | None, version: RuleVersion
) -> Row | None:
    if not policy.gates_all_rows and before is None and now is None:
        return None
    numbers = None if groups is None else groups.aggregate
    comparison = BucketComparison(
        ALL_ROWS, policy.overall_terms, before, now, float(policy.confidence), numbers, **_unit_terms(policy)
    )
    if before is None or now is None:
        reason = f"the {'baseline' if before is None else 'evaluation'} has no aggregate"
        return comparison.row(Outcome.UNMEASURED, reason)
    if policy.rule is Rule.POINT:
        return point.judge(comparison)
    judge_all_rows = former.judge_all_rows if version == 1 else paired.judge_all_rows
    return judge_all_rows(policy.rule, comparison, policy.alpha)


def _judge_buckets(policy: Policy, buckets: Sequence[BucketComparison], version: RuleVersion) -> tuple[Row, ...]:
    match policy.rule:
        case Rule.POINT:
            return tuple(point.judge(comparison) for comparison in buckets)
        case Rule.GUARD | Rule.NONINFERIOR:
            judge_buckets = former.judge_buckets if version == 1 else paired.judge_buckets
            return judge_buckets(policy.rule, buckets, policy.alpha)
        case _:
            assert_never(policy.rule)
