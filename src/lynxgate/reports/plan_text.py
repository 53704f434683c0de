"""Show a plan: as a table for people, and as JSON. Pure; names in it are escaped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from lynxgate.analysis.plan import Plan
from lynxgate.analysis.planned_row import PlannedRow
from lynxgate.decision.policy import Rule, Tier
from lynxgate.escape import visible
from lynxgate.reports.layout import aligned_lines
from minieval.contract.documents import pretty_json

_COLUMNS = (
    "bucket",
    "tier",
    "n",
    "margin",
    "smallest drop seen",
    "blocks an equal model",
    "identical passes",
    "examples needed",
)


def render_plan(plan: Plan) -> str:
    """Return the assumptions, a table with a row for each bucket, and the conclusions."""
    rows = [
        (
            visible(row.bucket),
            row.tier.value,
            "?" if row.n is None else str(row.n),
            f"{row.margin_pp:g} pp",
            "none" if row.smallest_drop is None else f"{100 * row.smallest_drop:.1f} pp",
            "?" if row.blocks_equal is None else f"{100 * row.blocks_equal:.2f} %",
            *_proof_cells(plan.rule, row),
        )
        for row in plan.rows
    ]
    table = aligned_lines(_COLUMNS, rows, left=("bucket", "tier"))
    return "\n".join([*_assumptions(plan), "", *table, "", *_conclusions(plan)])


def render_plan_json(plan: Plan) -> bytes:
    """Return the plan as JSON."""
    return pretty_json({**asdict(plan), "blocks_equal_at_most": plan.blocks_equal_at_most})


def _proof_cells(rule: Rule, row: PlannedRow) -> tuple[str, str]:
    if rule is Rule.POINT:
        return "", ""
    needed = "no number" if row.needed is None else str(row.needed)
    return {None: "?", True: "yes", False: "no"}[row.identical_passes], needed


def _assumptions(plan: Plan) -> Iterator[str]:
    proof = "" if plan.rule is Rule.POINT else f", confidence {plan.confidence:g} (one-sided)"
    yield f"rule {plan.rule}{proof}; assumed: the models differ on {100 * plan.disagreement:g} % of the examples;"
    if plan.grouping.rows > 1:
        yield f"{plan.grouping.rows} rows share a group, with a correlation of {plan.grouping.correlation:g};"
    yield f"a drop counts as seen, and examples as enough, at a chance of {100 * plan.power:g} %"


def _conclusions(plan: Plan) -> Iterator[str]:
    yield f"An equal model is blocked in at most {100 * plan.blocks_equal_at_most:.1f} % of gates."
    if plan.shelf_life is not None:
        yield f"The eval set can be used for {plan.shelf_life} gates that tell every bucket's figures."
    if plan.rule is Rule.POINT:
        yield "Rule point compares figures and proves nothing, so no number of examples is enough."
    too_small = [
        visible(row.bucket) for row in plan.rows if row.identical_passes is False and row.tier is not Tier.ADVISORY
    ]
    if too_small:
        yield f"Too small to prove even an identical model within their margin: {', '.join(too_small)}."
