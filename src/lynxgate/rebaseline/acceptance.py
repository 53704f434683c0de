"""What the gate would have said of an evaluation that an active baseline is to move to, and who accepted it. Pure.

- An active baseline moves to an evaluation that passes, or that was promoted. To any other it moves only when each
  regression is named (`--accept-regression`), and the names are then written beside the new source.
- New and removed buckets need no acceptance: a rebaseline adds the first, and the second are named by `--remove`.
- Where the gate would not compare (another eval set, another ``n``), a fall beyond the tolerance counts as a
  regression.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction

from lynxgate.decision.baseline import Baseline, Status
from lynxgate.decision.compare import compare
from lynxgate.decision.groups import Groups, check_groups_of
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import Tier
from lynxgate.decision.verdict import Verdict
from lynxgate.errors import GateError, Refused, UsageFailure
from lynxgate.escape import visible
from lynxgate.figures import format_points
from minieval.contract.report import Evaluation

OPTION = "--accept-regression"
_REGRESSIONS = frozenset({Outcome.REGRESSED, Outcome.INCONCLUSIVE})


@dataclass(frozen=True)
class GateAnswer:
    """What the gate says of an evaluation: its summary, and the regressions by the name of bucket or metric.

    ``obstacle`` is a condition that no acceptance replaces, such as a weaker isolation than the policy requires.
    """

    summary: str
    regressions: dict[str, str]
    obstacle: str | None = None


def ask_gate(baseline: Baseline, evaluation: Evaluation, groups: Groups | None = None) -> GateAnswer | None:
    """Return what the gate would have said; `None` for a report-only baseline, which enforces nothing.

    Raises:
        IntegrityFailure: ``groups`` are of another eval set than the evaluation's.
    """
    if groups is not None:
        check_groups_of(groups, evaluation.eval_set.dvc_md5, evaluation.eval_set.sha256)
    if baseline.status is not Status.ACTIVE:
        return None
    try:
        verdict = compare(evaluation, baseline, groups=groups)
    except GateError as error:
        return GateAnswer(f"not compared (exit {int(error.exit)}): {error}", _find_falls(baseline, evaluation))
    unheld = [f"{each.name}: {each.reason}" for each in verdict.conditions if each.outcome is not Outcome.HELD]
    return GateAnswer(verdict.summary, _find_regressions(verdict, baseline, evaluation), next(iter(unheld), None))


def check_accepted(answer: GateAnswer | None, accept: Collection[str], *, is_promoted: bool) -> tuple[str, ...]:
    """Check that every regression was accepted, and return the accepted ones with their reasons.

    Raises:
        Refused: a regression is not accepted, or the gate would not have compared under this policy.
        UsageFailure: ``accept`` names something that did not regress.
    """
    regressions = {} if answer is None else answer.regressions
    if idle := sorted(set(accept).difference(regressions)):
        raise UsageFailure(f"{OPTION} {idle[0]!r}: no bucket or metric of that name regresses; leave it out")
    if answer is not None and answer.obstacle is not None and not is_promoted:
        raise Refused(f"the gate would not pass it, so an active baseline does not move to it: {answer.obstacle}")
    if not is_promoted and (missing := sorted(set(regressions).difference(accept))):
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise Refused(
            f"the gate would refuse it: {visible(missing[0])}: {visible(regressions[missing[0]])}{more}; move to what "
            f"was promoted (--from production), or accept each regression by name with {OPTION}"
        )
    return tuple(f"{visible(name)}: {visible(regressions[name])}" for name in sorted(accept))


def _find_regressions(verdict: Verdict, baseline: Baseline, evaluation: Evaluation) -> dict[str, str]:
    falls = _find_falls(baseline, evaluation)
    found = {}
    for row in verdict.blocking:
        if row.outcome in _REGRESSIONS:
            found[row.bucket] = row.reason
        elif row.bucket in falls:
            found[row.bucket] = falls[row.bucket]
    return found | {row.metric: row.reason for row in verdict.blocking_metrics if row.outcome in _REGRESSIONS}


def _find_falls(baseline: Baseline, evaluation: Evaluation) -> dict[str, str]:
    """Return the buckets that fall beyond their tolerance by the figures alone, whatever they were measured on."""
    falls = {}
    for name in baseline.buckets.keys() & evaluation.buckets.keys():
        terms = baseline.policy.terms_of(name)
        before, now = baseline.buckets[name].share, evaluation.buckets[name].share
        if terms.tier is Tier.ADVISORY or before is None or now is None:
            continue
        if (now - before) * 100 < -Fraction(terms.tolerance_pp):
            falls[name] = f"{format_points((now - before) * 100, -Fraction(terms.tolerance_pp))} pp"
    return falls
