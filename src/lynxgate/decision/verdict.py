"""The verdict: what was compared, on which terms, and the outcome of each bucket and metric.

- It holds evidence only. Whether the candidate passes, why not, and the exit code are derived from the rows each time.
- `lynxgate.verdict/2` is written. It names the version of the gate, because the reasons in it are that version's words.
  `lynxgate.verdict/1`, without a gate, is still read. `lynxgate.decision.same_decision` compares the two.
- Equal verdicts are equal bytes: no clock, no locale, no hash order. Rows are in code-point order of their names.
- Without metrics there is no key for them, so that old verdicts without metrics and new ones have the same keys.
- Figures other than counts are exact text: a decimal where there is one, else a fraction ``p/q``. Limits of intervals
  and p values are rounded to fewer digits than those in which machines differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from lynxgate.decision.baseline import Source, Status
from lynxgate.decision.metrics.row import MetricRow
from lynxgate.decision.outcome import WORSE, Exact, Outcome
from lynxgate.decision.policy import Rule, Tier
from lynxgate.errors import Exit
from lynxgate.escape import visible
from lynxgate.figures import format_percent, format_points
from minieval.contract.documents import Document, Json, parse_document, parse_json, pretty_json
from minieval.contract.fields import Count, DvcMd5, Name, Positive, Sha256
from minieval.contract.report import Candidate
from minieval.contract.score_bytes import FULL_SCORE

SCHEMA: Final = "lynxgate.verdict/2"
RuleVersion = Literal[1, 2]
RULE_VERSION: Final = 2  # by which decisions are taken
_MOST_SLIPPED = 10  # rows in a summary
_MOST_REASONS = 3  # in a summary


def _is_none(value: object) -> bool:
    return value is None


class Inputs(Document):
    """What the verdict follows from: SHA-256 of the exact bytes of both documents, and the hashes of the eval set.

    ``task_sha256`` is the digest of the task file, where there is one. ``groups_sha256`` is the hash of the eval set's
    `lynxgate.decision.groups.Groups`, where they were respected.
    """

    evaluation_sha256: Sha256
    baseline_sha256: Sha256
    eval_set_dvc_md5: DvcMd5
    eval_set_sha256: Sha256 | None = None
    task_sha256: Annotated[Sha256 | None, Field(exclude_if=_is_none)] = None
    groups_sha256: Annotated[Sha256 | None, Field(exclude_if=_is_none)] = None


class Figure(Document):
    """What one side measured: with ``trials`` answers for each row, or graded (``points``, ``mean``), where given."""

    n: Positive | None
    correct: Count | None
    accuracy: Exact | None
    trials: Annotated[Positive | None, Field(exclude_if=_is_none)] = None
    points: Annotated[Count | None, Field(exclude_if=_is_none)] = None
    mean: Annotated[Exact | None, Field(exclude_if=_is_none)] = None

    @property
    def share(self) -> Fraction | None:
        """Return the accuracy or mean, from the counts where there are any; `None` for a placeholder."""
        if self.is_graded:
            if self.points is not None and self.n is not None:
                return Fraction(self.points, self.n * FULL_SCORE)
            return None if self.mean is None else Fraction(self.mean)
        if self.correct is not None and self.n is not None:
            return Fraction(self.correct, self.n * (self.trials or 1))
        return None if self.accuracy is None else Fraction(self.accuracy)

    @property
    def is_graded(self) -> bool:
        """Whether it is a mean of graded scores."""
        return self.points is not None or self.mean is not None


Interval = Annotated[tuple[Exact, Exact], Field(strict=False)]


class Method(StrEnum):
    """How the two sides were compared, where a probability was computed."""

    PAIRED = "paired"
    CLUSTERED = "clustered"  # of version 1 of the rules
    UNITS = "units"
    UNPAIRED = "unpaired"


class Demand(StrEnum):
    """What a rule requires of a bucket: a proof that it is within its margin, or no proof that it is beyond it."""

    PROOF = "proof"
    NO_PROOF_OF_HARM = "no proof of harm"


class BucketStatistics(Document):
    """The statistics of one bucket.

    Intervals are two-sided: of the accuracies in percent (Wilson), and of the difference in percentage points. All have
    the level ``2 confidence - 1``, so that each end is one-sided at the confidence. ``p_within`` is the p value of the
    test that the candidate is worse by the margin or more: a small one proves that it is within the margin.
    ``p_beyond`` is the p value of the opposite test, corrected for the number of buckets: a small one proves that it is
    beyond; ``p_beyond_alone`` is the same without that correction, where there is one. Only rules that prove something
    have them. Intervals have four decimals, p values six.

    Where the method is ``units``, ``p_within`` is Gaffke's p or, where the policy demands a theorem, the betting p, and
    ``p_within_theorem`` the latter in both cases. ``units`` is the number of units, ``units_to_settle`` an estimate of
    how many would decide. ``groups`` is the number of groups of the examples, where some examples share one and the
    rule respected it; ``groups_difference_pp`` is then the mean over groups, which is what the interval is about.
    """

    method: Annotated[Method, Field(strict=False)]
    gains: Count | None = None
    losses: Count | None = None
    baseline_percent: Annotated[Interval | None, Field(exclude_if=_is_none)] = None
    candidate_percent: Annotated[Interval | None, Field(exclude_if=_is_none)] = None
    difference_pp: Interval
    p_within: Exact | None = None
    p_beyond: Exact | None = None
    examples_to_settle: Positive | None = None
    groups: Annotated[Positive | None, Field(exclude_if=_is_none)] = None
    groups_difference_pp: Annotated[Exact | None, Field(exclude_if=_is_none)] = None
    units: Annotated[Positive | None, Field(exclude_if=_is_none)] = None
    units_to_settle: Annotated[Positive | None, Field(exclude_if=_is_none)] = None
    p_within_theorem: Annotated[Exact | None, Field(exclude_if=_is_none)] = None
    p_beyond_alone: Annotated[Exact | None, Field(exclude_if=_is_none)] = None


class Row(Document):
    """One bucket (or the aggregate): both figures, the terms, and the outcome."""

    bucket: Name
    tier: Annotated[Tier, Field(strict=False)]
    outcome: Annotated[Outcome, Field(strict=False)]
    baseline: Figure | None
    candidate: Figure | None
    difference_pp: Exact | None
    tolerance_pp: Exact
    min: Exact | None
    reason: str
    max_negative_flip_rate: Exact | None = None
    demand: Annotated[Demand | None, Field(strict=False)] = None
    evidence: BucketStatistics | None = None
    max_drop_pp: Annotated[Exact | None, Field(exclude_if=_is_none)] = None
    flip_drop: Annotated[Exact | None, Field(exclude_if=_is_none)] = None
    negative_flips: Annotated[Count | None, Field(exclude_if=_is_none)] = None
    warn_pp: Annotated[Exact | None, Field(exclude_if=_is_none)] = None

    @property
    def warning(self) -> str | None:
        """Return why a row that blocks nothing is in its warning band, as a clause; `None` where it is not."""
        if self.blocks or self.warn_pp is None or self.difference_pp is None:
            return None
        if Fraction(self.difference_pp) >= -Fraction(self.warn_pp):
            return None
        return f"{describe_difference(self)}, and a fall of over {self.warn_pp} pp is a warning"

    @property
    def blocks(self) -> bool:
        """Whether this row alone blocks the candidate."""
        return self.tier is not Tier.ADVISORY and self.outcome is not Outcome.HELD and not self.tolerated

    @property
    def tolerated(self) -> bool:
        """Whether it is inconclusive, and the rule only requires that harm is not proved."""
        return self.outcome is Outcome.INCONCLUSIVE and self.demand is Demand.NO_PROOF_OF_HARM

    @property
    def negative_flip_rate(self) -> Fraction | None:
        """Return the share of examples that only the baseline has right, or that fell; `None` where unknown."""
        n, evidence = None if self.candidate is None else self.candidate.n, self.evidence
        flips = self.negative_flips if evidence is None or evidence.losses is None else evidence.losses
        return None if n is None or flips is None else Fraction(flips, n)


class Condition(Document):
    """A condition that must hold before the figures can be compared; one that holds may have a warning."""

    name: Literal["eval set", "task", "groups", "isolation", "model environment"]
    outcome: Annotated[Outcome, Field(strict=False)]
    reason: str
    warning: Annotated[str | None, Field(exclude_if=_is_none)] = None


class Gate(Document):
    """The program that made a decision, and its version."""

    name: Name
    version: Name


class Verdict(Document):
    """The decision on one candidate, as evidence: what every version of the document has.

    ``tolerance_pp`` is the general tolerance in force, ``policy_tolerance_pp`` the one the policy names; they differ
    where the command line set a smaller one (or, under a report-only baseline, a larger one). ``rule_version`` is that
    of the rules (`RULE_VERSION`); a document without it was decided by version 1.
    """

    schema_: str = Field(alias="schema")
    rule: Annotated[Rule, Field(strict=False)]
    rule_version: Annotated[RuleVersion, Field(exclude_if=lambda version: version == 1)] = 1
    status: Annotated[Status, Field(strict=False)]
    tolerance_pp: Exact
    policy_tolerance_pp: Exact
    confidence: Exact = "0.95"
    inputs: Inputs
    candidate: Candidate
    baseline: Source
    conditions: Annotated[tuple[Condition, ...], Field(strict=False)]
    aggregate: Row | None
    rows: Annotated[tuple[Row, ...], Field(strict=False, min_length=1)]
    metrics: Annotated[tuple[MetricRow, ...], Field(strict=False, exclude_if=lambda rows: not rows)] = ()

    @model_validator(mode="after")
    def _is_ordered(self) -> Verdict:
        for names in ([row.bucket for row in self.rows], [row.metric for row in self.metrics]):
            if names != sorted(set(names)):
                raise ValueError("rows must be in code-point order of their buckets or metrics, each once")
        return self

    @property
    def blocking(self) -> tuple[Row, ...]:
        """Return the rows of buckets that block the candidate, the aggregate first."""
        return tuple(row for row in self._all_rows if row.blocks)

    @property
    def blocking_metrics(self) -> tuple[MetricRow, ...]:
        """Return the rows of metrics that block the candidate."""
        return tuple(row for row in self.metrics if row.blocks)

    @property
    def warnings(self) -> tuple[MetricRow, ...]:
        """Return the rows of metrics in their warning band, which block nothing."""
        return tuple(row for row in self.metrics if row.warns)

    @property
    def warned_rows(self) -> tuple[Row, ...]:
        """Return the rows of buckets in their warning band, which block nothing, the aggregate first."""
        return tuple(row for row in self._all_rows if row.warning is not None)

    @property
    def doubtful_conditions(self) -> tuple[Condition, ...]:
        """Return the conditions with a warning, which block nothing."""
        return tuple(each for each in self.conditions if each.warning is not None and each.outcome is Outcome.HELD)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return why the candidate does not pass, a sentence for each reason; empty when it passes."""
        conditions = [
            f"{each.name}: {visible(each.reason)}" for each in self.conditions if each.outcome is not Outcome.HELD
        ]
        failed = [f"{visible(row.bucket)} {row.outcome}: {visible(row.reason)}" for row in self.blocking]
        failed += [f"{visible(row.metric)} {row.outcome}: {visible(row.reason)}" for row in self.blocking_metrics]
        # A policy under which nothing can fail is a reason not to pass, never a pass.
        ungated = [] if self._gated else ["every bucket is advisory, so nothing could fail"]
        return (*conditions, *failed, *ungated)

    @property
    def passed(self) -> bool:
        """Whether everything that is gated held; the status of the baseline does not count."""
        return not self.reasons

    @property
    def exit(self) -> Exit:
        """Return the exit code; a report-only baseline never fails a run."""
        # A regression counts more than a row that cannot be judged, so both together are exit 2.
        if self.passed or self.status is Status.REPORT_ONLY:
            return Exit.OK
        outcomes = {row.outcome for row in self.blocking} | {row.outcome for row in self.blocking_metrics}
        return Exit.REGRESSION if outcomes & WORSE else Exit.CANNOT_JUDGE

    @property
    def summary(self) -> str:
        """Return one line for people."""
        number = len(self.warnings) + len(self.warned_rows) + len(self.doubtful_conditions)
        warned = f"; {_count(number, 'warning')}" if number else ""
        if not self.passed:
            return self._summarise_failure() + warned
        word = "would pass (report-only)" if self.status is Status.REPORT_ONLY else "passed"
        held = sum(row.outcome is Outcome.HELD for row in self.rows)
        terms = self._name_tolerances() + (f", {self.confidence_percent} confidence" if self.rule.asks_proof else "")
        text = f"{word}: {held} of {len(self.rows)} buckets held (rule {self.rule}, {terms})"
        undecided = sum(row.tolerated and row.tier is not Tier.ADVISORY for row in self.rows)
        if undecided:
            text += f", {undecided} inconclusive, which {self.rule} lets pass"
        if self.slipped:
            text += f"; worse if each were the only bucket: {_join([describe_move(row) for row in self.slipped])}"
        advisory = len(self.rows) - held - undecided
        if advisory:
            text += f", {advisory} advisory did not"
        if self.metrics:
            text += f"; {self._summarise_metrics()}"
        return text + warned + (f"; {describe_move(self.aggregate)}" if self.aggregate else "")

    @property
    def slipped(self) -> tuple[Row, ...]:
        """Return the rows that block nothing and would be proved worse if each were the only bucket."""
        alpha = 1 - Fraction(self.confidence)
        return tuple(
            row
            for row in self.rows
            if row.tolerated
            and row.evidence is not None
            and row.evidence.p_beyond_alone is not None
            and Fraction(row.evidence.p_beyond_alone) <= alpha
        )

    @property
    def confidence_percent(self) -> str:
        """Return the one-sided confidence of the proofs, as ``95 %``."""
        return f"{float(Fraction(self.confidence) * 100):g} %"

    def to_tree(self) -> dict[str, Json]:
        """Return the document as JSON values, its schema and the gate first."""
        tree: dict[str, Json] = self.model_dump(mode="json", by_alias=True)
        return {key: tree[key] for key in ("schema", "gate") if key in tree} | tree

    def to_json(self) -> bytes:
        """Return the document; `parse_verdict` gives the same value back."""
        return pretty_json(self.to_tree())

    def _name_tolerances(self) -> str:
        """Return the tolerance that is in force, or the range of those of the rows that may block."""
        found = sorted({row.tolerance_pp for row in self.rows if row.tier is not Tier.ADVISORY}, key=Fraction)
        if not found:
            return f"{self.tolerance_pp} pp"
        return f"{found[0]} pp" if len(found) == 1 else f"{found[0]} to {found[-1]} pp"

    def _summarise_failure(self) -> str:
        word = "would fail" if self.status is Status.REPORT_ONLY else "failed"
        text = f"{word}: {'; '.join(self.reasons[:_MOST_REASONS])}"
        more = len(self.reasons) - _MOST_REASONS
        return f"{text}; and {more} more" if more > 0 else text

    def _summarise_metrics(self) -> str:
        held = sum(row.outcome is Outcome.HELD for row in self.metrics)
        slipped = len(self.metrics) - held
        text = f"{held} of {_count(len(self.metrics), 'metric')} held"
        return text + (f", {slipped} advisory did not" if slipped else "")

    @property
    def _all_rows(self) -> tuple[Row, ...]:
        return self.rows if self.aggregate is None else (self.aggregate, *self.rows)

    @property
    def _gated(self) -> bool:
        return any(row.tier is not Tier.ADVISORY for row in self._all_rows) or any(
            row.tier != "advisory" for row in self.metrics
        )


class VerdictV1(Verdict):
    """`lynxgate.verdict/1`, as gates before 0.2.0 wrote it."""

    schema_: Literal["lynxgate.verdict/1"] = Field(alias="schema")


class VerdictV2(Verdict):
    """`lynxgate.verdict/2`; ``gate`` is the version that wrote the reasons."""

    schema_: Literal["lynxgate.verdict/2"] = Field(alias="schema")
    gate: Gate


VERDICTS: Final[Mapping[str, type[Verdict]]] = MappingProxyType({"lynxgate.verdict/1": VerdictV1, SCHEMA: VerdictV2})


def parse_verdict(data: bytes, *, where: str = "the verdict") -> Verdict:
    """Parse a verdict of any version. Never decide by a stored verdict: make the decision again from its inputs.

    Raises:
        CannotJudge: the document is not a verdict; names ``where``, the path inside the document, and the reason.
    """
    tree = parse_json(data, where=where)
    schema = tree.get("schema") if isinstance(tree, dict) else None
    # A document that names no known version is refused with the reasons of the newest one.
    kind = VERDICTS.get(schema, VerdictV2) if isinstance(schema, str) else VerdictV2
    return parse_document(data, kind, where=where)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _join(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_SLIPPED])
    return shown if len(names) <= _MOST_SLIPPED else f"{shown} and {len(names) - _MOST_SLIPPED} more"


def describe_move(row: Row) -> str:
    """Return the two accuracies of a row and their difference, as short text."""
    before, now = (figure.share if figure else None for figure in (row.baseline, row.candidate))
    shares = " -> ".join("none" if share is None else format_percent(share) for share in (before, now))
    return f"{visible(row.bucket)} {shares}" + (f" ({describe_difference(row)})" if row.difference_pp else "")


def describe_difference(row: Row) -> str:
    """Return the difference of a row in percentage points, never rounded to a tolerance that it missed."""
    if row.difference_pp is None:
        return ""
    return f"{format_points(Fraction(row.difference_pp), -Fraction(row.tolerance_pp))} pp"
