"""Check that a baseline could refuse a candidate at all: at least one bucket, all rows, or one metric is a gate. Pure.

- A gate refuses the worst candidate there can be: no example right, every example lost that the baseline has right,
  every metric at the end of its worse direction.
- A tolerance of `NO_LIMIT_PP` or more, in points or in percent, is not a gate: only a candidate with hardly any right
  answer would be refused.
- Called where a decision is taken, and never by the parsers: a baseline that was written before stays readable.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Final

from lynxgate.decision.baseline import Baseline, Figures, Status
from lynxgate.decision.globs import find_most_specific
from lynxgate.decision.metrics.policy import RELATIVE, BaselineMetric, MetricPolicy, idle_globs, terms_of
from lynxgate.decision.policy import BucketPolicy, Policy, Terms, Tier
from lynxgate.errors import CannotJudge
from lynxgate.figures import format_exactly

NO_LIMIT_PP: Final = 99  # percentage points
LEAST_LEVEL: Final = 1e-6  # of a test
RESOLVED: Final = 1e-15  # a level below which a confidence is the float 1


def check_enforceable(baseline: Baseline, policy: Policy) -> None:
    """Check that some candidate could fail under ``policy``, which is the baseline's own or a tightened one.

    Raises:
        CannotJudge: none could.
    """
    if not any(_list_gates(baseline, policy)):
        raise CannotJudge(f"no candidate could be refused: {_explain(baseline, policy)}; correct the policy")


def list_idle_globs(baseline: Baseline) -> Iterator[tuple[str, str]]:
    """Yield the place of each glob of the policy that matches nothing in the baseline, and the reason.

    A report-only baseline may have limits for metrics before it has its first metric.
    """
    for glob in baseline.policy.idle_globs(baseline.buckets):
        yield "policy.buckets", f"{glob!r} matches no bucket; correct or remove it"
    if baseline.metrics or baseline.status is Status.ACTIVE:
        for glob in idle_globs(baseline.policy.metrics, baseline.metrics):
            yield "policy.metrics", f"{glob!r} matches no metric; correct or remove it"


def check_globs(baseline: Baseline, *, where: str) -> None:
    """Check that each glob of the policy matches a name in the baseline: another one is probably misspelt.

    Raises:
        CannotJudge: one matches nothing.
    """
    for place, reason in list_idle_globs(baseline):
        raise CannotJudge(f"{where}: {place}: {reason}")


def check_advisory_terms(policy: Policy) -> None:
    """Check that no entry of ``policy.buckets`` is advisory and sets a limit that must hold.

    Raises:
        CannotJudge: one is; an advisory bucket never blocks, so the limit would never be enforced.
    """
    for glob, terms in policy.buckets.items():
        if limits := _list_limits(terms):
            raise CannotJudge(
                f"policy.buckets: {glob!r} is advisory and sets {limits[0]}, which an advisory bucket never enforces; "
                f"remove {limits[0]}, or give it another tier"
            )


def check_warnings(baseline: Baseline) -> None:
    """Check that each ``warn_pp`` of ``policy.buckets`` could warn about one of its buckets under rule `point`.

    Raises:
        CannotJudge: one could not, since its buckets regress before they warn.
    """
    policy = baseline.policy
    if policy.rule.asks_proof:
        return
    applied = {name: find_most_specific(policy.buckets, name) for name in baseline.buckets}
    for glob, entry in policy.buckets.items():
        names = [name for name, found in applied.items() if found == glob]
        terms = [policy.terms_of(name).against(baseline.buckets[name]) for name in names]
        if entry.warn_pp is not None and terms and all(entry.warn_pp >= each.tolerance_pp for each in terms):
            widest = format_exactly(max(each.tolerance_pp for each in terms))
            raise CannotJudge(
                f"policy.buckets: {glob!r} has warn_pp {format_exactly(entry.warn_pp)}, and its buckets regress beyond "
                f"{widest} pp, so it would never warn; give it a smaller one"
            )


def check_confidence(policy: Policy, least: float = LEAST_LEVEL) -> None:
    """Check that the tests can decide at each confidence of the policy: sums of floats do not resolve a smaller level.

    Raises:
        CannotJudge: one minus a confidence is below ``least``.
    """
    if policy.rule.asks_proof and policy.alpha < least:
        raise CannotJudge(
            f"policy.confidence is {format_exactly(policy.confidence)[:40]}, and no test decides above "
            f"{1 - LEAST_LEVEL:f}; give a smaller one"
        )
    for name, terms in policy.metrics.items():
        if terms.min_confidence is not None and 1 - float(terms.min_confidence) < least:
            raise CannotJudge(
                f"policy.metrics: {name!r} has min_confidence {format_exactly(terms.min_confidence)[:40]}, and no test "
                f"decides above {1 - LEAST_LEVEL:f}; give a smaller one"
            )


def check_tested_statistics(policy: Policy) -> None:
    """Check that no metric demands the proof of a change in a statistic that the rank test does not test.

    Mann-Whitney's test is about a shift of all samples. A tail that is ten times worse beside a better body is no such
    shift, so that a percentile, an extreme or a mean would never be proved worse.

    Raises:
        CannotJudge: an entry of ``policy.metrics`` does.
    """
    for name, terms in policy.metrics.items():
        if terms.confidence is not None and terms.statistic not in (None, "median"):
            raise CannotJudge(
                f"policy.metrics: {name!r} has confidence with statistic {terms.statistic}, and the rank test proves a "
                "shift of all samples only; leave confidence out, or use the median"
            )


def _list_limits(terms: BucketPolicy) -> list[str]:
    if terms.tier is not Tier.ADVISORY:
        return []
    limits = ("min", "max_negative_flip_rate", "max_drop_pp", "flip_drop")
    return [key for key in limits if getattr(terms, key) is not None]


def _list_gates(baseline: Baseline, policy: Policy) -> Iterator[bool]:
    """Yield for all rows, each bucket and each metric whether it could refuse a candidate."""
    if policy.gates_all_rows:
        yield _is_gate(policy.overall_terms, baseline.aggregate)
    for name, figures in baseline.buckets.items():
        yield _is_gate(policy.terms_of(name).against(figures), figures)
    for name, metric in baseline.metrics.items():
        terms = terms_of(policy.metrics, name)
        # A metric without terms is not judged, so it blocks every candidate and guards nothing.
        yield terms is not None and _is_metric_gate(terms, metric)


def _is_gate(terms: Terms, figures: Figures | None) -> bool:
    share = None if figures is None else figures.share
    if terms.tier is Tier.ADVISORY or share is None:
        return False
    if terms.min is not None and terms.min > 0:
        return True
    # The worst candidate loses everything that the baseline has right, and each of these examples is a negative flip.
    if terms.max_negative_flip_rate is not None and share > Fraction(terms.max_negative_flip_rate):
        return True
    if terms.max_drop_pp is not None and share * 100 > Fraction(terms.max_drop_pp):
        return True
    if terms.tolerance_pct is not None and terms.tolerance_pct >= NO_LIMIT_PP:
        return False
    return terms.tolerance_pp < NO_LIMIT_PP and share * 100 > Fraction(terms.tolerance_pp)


def _is_metric_gate(terms: MetricPolicy, metric: BaselineMetric) -> bool:
    if terms.tier == "advisory":
        return False
    if metric.direction == "info":
        # It has no worse direction, so limits that compare with the baseline have no effect.
        return terms.min is not None or terms.max is not None
    if metric.direction == "lower":
        return any(terms.limit(key) is not None for key in ("max", *RELATIVE))
    value = metric.value or Decimal(0)
    if value < 0:
        return any(terms.limit(key) is not None for key in ("min", *RELATIVE))
    # A throughput or a score that is not negative can fall to 0 and no further.
    return (
        (terms.min is not None and terms.min > 0)
        or (value > 0 and terms.max_ratio is not None)
        or (terms.max_pct is not None and terms.max_pct < 100)
        or (terms.max_abs is not None and terms.max_abs < value)
    )


def _explain(baseline: Baseline, policy: Policy) -> str:
    """Return the most likely reason, as a clause."""
    tiers = {policy.terms_of(name).tier for name in baseline.buckets}
    if tiers == {Tier.ADVISORY} and not policy.gates_all_rows:
        return "every bucket is advisory, and no metric has a limit that could be exceeded"
    if all(figures.share in (None, 0) for figures in baseline.buckets.values()):
        return "the baseline has no right answer, so nothing could be lost"
    return "every limit is so wide that a candidate without a right answer would hold it"
