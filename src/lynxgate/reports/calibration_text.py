"""Show a calibration for people. Pure; names in it are escaped."""

from __future__ import annotations

from lynxgate.analysis.calibrate import Calibration
from lynxgate.decision.statistics import Score, wilson
from lynxgate.escape import visible


def render_calibration(found: Calibration) -> str:
    """Return the rates with their 95 % Wilson intervals."""
    whole = Score(
        sum(score.correct for score in found.passed_worse.values()),
        sum(score.n for score in found.passed_worse.values()),
    )
    fall = "twice its margin" if found.drop is None else f"{100 * found.drop:g} pp"
    lines = [
        f"rule {found.rule}; the two evaluations differ on {100 * found.disagreement:.2f} % of the examples; "
        f"seed {found.seed}; 95 % intervals",
        f"equal models blocked: {_rate(found.blocked_equal)}",
        f"one bucket worse by {fall}, passed: {_rate(whole)}",
    ]
    width = max(len(visible(name)) for name in found.passed_worse)
    return "\n".join(
        [*lines, *(f"  {visible(name).ljust(width)}  {_rate(score)}" for name, score in found.passed_worse.items())]
    )


def _rate(score: Score) -> str:
    low, high = wilson(score)
    return f"{score.correct} of {score.n} ({100 * score.accuracy:.1f} %, {100 * low:.1f} to {100 * high:.1f})"
