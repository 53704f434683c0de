"""Compare a stored verdict with the decision made again from its documents. Pure.

- Words are not decisions. A verdict of this version of the gate must be equal in everything, its reasons included. A
  verdict of another version, and every `lynxgate.verdict/1`, must be equal in everything except its words.
- What counts: rule, status, terms, inputs, candidate and baseline, each condition's outcome, and of the aggregate and
  each bucket and metric the outcome, tier, limits and figures. The exit code follows from these.
- A version that adds a figure to a verdict must leave it out here for verdicts from before it.
"""

from __future__ import annotations

from lynxgate.decision.verdict import Gate, Verdict, VerdictV2, parse_verdict
from minieval.contract.documents import Json, parse_json, pretty_json


def written_by(verdict: Verdict) -> Gate | None:
    """Return the gate that a verdict names; `None` for a `lynxgate.verdict/1`, which names none."""
    return verdict.gate if isinstance(verdict, VerdictV2) else None


def find_difference(stored: Json, again: Verdict) -> str | None:
    """Return what differs between a stored verdict and the decision ``again``, as a clause; `None` when they agree.

    ``stored`` is the parsed JSON of the verdict.

    Raises:
        CannotJudge: ``stored`` is not a verdict.
    """
    verdict = parse_verdict(pretty_json(stored))
    if written_by(verdict) == written_by(again):
        # Through JSON text and back, so that both trees have numbers of the same Python types.
        return _first_difference(stored, parse_json(again.to_json(), where="the verdict"))
    return _first_difference(_drop_words(verdict), _drop_words(again))


def _drop_words(verdict: Verdict) -> dict[str, Json]:
    """Return the document without the sentences in it, nor the version that wrote them."""
    tree = verdict.to_tree()
    del tree["schema"]
    tree.pop("gate", None)
    rows = [*tree["conditions"], *tree["rows"], *tree.get("metrics", ())]
    if tree["aggregate"] is not None:
        rows.append(tree["aggregate"])
    for row in rows:
        del row["reason"]
        if "warning" in row:
            row["warning"] = row["warning"] is not None  # that it warns is decided, its sentence is not
    return tree


def _first_difference(stored: Json, again: Json) -> str | None:
    if stored == again:
        return None
    for table, name in (("rows", "bucket"), ("metrics", "metric")):
        for old, new in zip(stored.get(table, ()), again.get(table, ()), strict=False):
            if keys := _differing_keys(old, new):
                return f"the {name} {new[name]!r} differs in {keys}"
    return f"it differs in {_differing_keys(stored, again)}"


def _differing_keys(stored: Json, again: Json) -> str:
    names = [*again, *(key for key in stored if key not in again)]
    # Two absent values are equal, and an absent one differs from a null.
    return ", ".join(key for key in names if (key in stored, stored.get(key)) != (key in again, again.get(key)))
