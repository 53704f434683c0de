"""A task file for an eval set that does not follow the conventions, from what its columns hold. Pure.

- It is a proposal: its comments name the choices that a person should look at.
- The same survey gives the same bytes.
- What it proposes is valid for the task file's own parser; whether it fits the rows is for the readers to check.
"""

from __future__ import annotations

import bisect
import itertools
import json
import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic import TypeAdapter, ValidationError

from lynxgate.errors import CannotJudge
from lynxgate.setup.survey import MOST_VALUES, Survey, Surveyed
from minieval.contract.documents import list_reasons
from minieval.contract.fields import Name
from minieval.task.document import SCHEMA, Task

EXPECTED = ("label", "target", "expected", "class", "y")
LABELS = ("id", "expected", "buckets")  # the columns that an eval set of the conventions has
LISTS = "texts"
MOST_COLUMNS = 5  # that make buckets, or are tried for bins: further ones are left to a person
ROWS_A_BUCKET = 5  # in half of its values, for a feature to make buckets
ROWS_A_CLASS = 2  # in half of the values, for right answers to be classes
DIGITS = 3  # of the edge of a bin
NUMBERS = ("integer", "number")
WIDTH = 100
NAMED = TypeAdapter(Name)
BARE = re.compile("[A-Za-z0-9_-]+")  # a key of TOML that needs no quotes


@dataclass(frozen=True, slots=True)
class Plan:
    """Which columns the proposal is about: the label, the id, those that make buckets, and candidates for bins.

    ``is_regression``: the right answers are numbers that are no classes.
    """

    expected: Surveyed
    is_regression: bool
    id: str | None
    accepted: str | None
    group: str | None
    lists: tuple[str, ...]
    columns: tuple[str, ...]
    binned: tuple[str, ...]
    features: tuple[str, ...]


def follows_conventions(names: Sequence[str]) -> bool:
    """Return whether the columns are those that need no task file."""
    return set(LABELS) <= set(names)


def check_names(names: Sequence[str], *, where: str) -> None:
    """Check that a task file can name every column.

    Raises:
        CannotJudge: one is empty, too long, or has control characters.
    """
    for name in names:
        try:
            NAMED.validate_python(name)
        except ValidationError as error:
            reason = list_reasons(error)[0][1]
            raise CannotJudge(
                f"{where}: a task file cannot name the column {name[:80]!r}: {reason}; rename it"
            ) from error


def choose_expected(names: Sequence[str], wanted: str | None, *, where: str) -> str:
    """Return the column of the right answers: the wanted one, else the only one whose name says so (`EXPECTED`).

    Raises:
        CannotJudge: there is no such column, or there are several.
    """
    listed = ", ".join(name[:80] for name in names[:10]) + (", ..." if len(names) > 10 else "")
    if wanted is not None:
        if wanted not in names:
            raise CannotJudge(f"{where}: no column {wanted[:80]!r} for --expected; it has {listed}")
        return wanted
    found = [name for name in names if name.strip().casefold() in EXPECTED]
    if len(found) != 1:
        why = f"{found[0][:80]!r} and {found[1][:80]!r} could both be" if found else "no column is called like"
        raise CannotJudge(f"{where}: {why} the right answer; name its column with --expected (it has {listed})")
    return found[0]


def make_provisional_task(names: Sequence[str], expected: str, types: Mapping[str, str] | None = None) -> Task:
    """Return a task that reads every column, to look at them; the names are those that `check_names` takes."""
    others = [name for name in names if name != expected]
    document = {"expected": expected, "types": types or {}, "buckets": {"columns": [expected]}}
    return Task.model_validate(document | ({"features": others} if others else {}))


def list_types(survey: Survey) -> dict[str, str]:
    """Return the types to state for columns of CSV that are no text; other formats have types of their own."""
    if not survey.inferred:
        return {}
    return {column.name: column.type for column in survey.columns if column.type != "text"}


def plan_task(survey: Survey, expected: str) -> Plan:
    """Return which columns the task is about."""
    by_name = {column.name: column for column in survey.columns}
    label = by_name[expected]
    identity = next((column.name for column in survey.columns if column.unique and column.name != expected), None)
    accepted, lists = (
        name if name in by_name and by_name[name].type == LISTS and name != expected else None
        for name in ("accepted", "buckets")
    )
    group = "group" if "group" in by_name and expected != "group" else None
    taken = {expected, identity, accepted, lists, group}
    classes = _has_classes(label, ROWS_A_CLASS)
    features = [column for column in survey.columns if column.name not in taken]
    few = [column.name for column in features if _has_classes(column, ROWS_A_BUCKET)][:MOST_COLUMNS]
    return Plan(
        expected=label,
        is_regression=label.type in NUMBERS and not classes,
        id=identity,
        accepted=accepted,
        group=group,
        lists=(lists,) if lists else (),
        columns=(*few, *([expected] if classes else [])),
        binned=()
        if few or lists
        else tuple(column.name for column in features if column.type in NUMBERS)[:MOST_COLUMNS],
        features=tuple(column.name for column in features),
    )


def choose_bins(numbers: Mapping[str, Sequence[float]]) -> dict[str, tuple[Decimal, ...]]:
    """Return the quartiles of the first column that has three different ones; none where no column has.

    ``numbers`` are sorted. Edges have `DIGITS` significant digits where the bins stay different by that.
    """
    for name, cells in numbers.items():
        if not cells:
            continue
        edges = [cells[len(cells) * part // 4] for part in (1, 2, 3)]
        for rounded in ([_round(edge) for edge in edges], [Decimal(repr(edge)) for edge in edges]):
            if _fills_every_bin(cells, rounded):
                return {name: tuple(rounded)}
    return {}


def choose_cap(labels: Sequence[float]) -> Decimal:
    """Return an error that counts as wholly wrong: the distance between the quartiles of the sorted labels, rounded."""
    spread = labels[len(labels) * 3 // 4] - labels[len(labels) // 4] or labels[-1] - labels[0] or 1.0
    return _round(spread, digits=1)


def write_task(survey: Survey, plan: Plan, bins: Mapping[str, Sequence[Decimal]], cap: Decimal | None) -> bytes:
    """Return the task file.

    Raises:
        CannotJudge: no column makes buckets.
    """
    if not (plan.lists or plan.columns or bins):
        raise CannotJudge(
            "no column has few enough values to make buckets; add one (such as `kind`) to the eval set, or write a "
            "task file and name it with --task"
        )
    lines = ["# Proposed by `lynxgate init`; a choice worth a look has a comment.", f'schema = "{SCHEMA}"']
    roles = {"id": plan.id, "expected": plan.expected.name, "accepted": plan.accepted, "group": plan.group}
    lines += [f"{role} = {_quote(name)}" for role, name in roles.items() if name is not None]
    lines += _write_list("features", plan.features)
    if types := list_types(survey):
        lines += ["", "[types]", *(f"{_key(name)} = {_quote(kind)}" for name, kind in types.items())]
    lines += ["", "[buckets]"]
    lines += _write_list("lists", plan.lists) if plan.lists else []
    lines += _write_list("columns", plan.columns) if plan.columns else []
    for name, edges in bins.items():
        lines.append(f"bins = {{ {_key(name)} = [{', '.join(f'{edge:f}' for edge in edges)}] }}  # at the quartiles")
    if cap is not None:
        lines += ["", "[score]", 'kind = "error"']
        lines.append(f"cap = {cap:f}  # an error of this size or more scores 0; choose what is useless to you")
    return ("\n".join(lines) + "\n").encode()


def _has_classes(column: Surveyed, rows_a_class: int) -> bool:
    """Return whether a column has few values, most of them in several rows, and none of them a fraction."""
    values = column.values
    if values is None or not 2 <= len(values) <= MOST_VALUES or statistics.median(values.values()) < rows_a_class:
        return False
    return not any(map(_is_fraction, values))


def _fills_every_bin(cells: Sequence[float], edges: Sequence[Decimal]) -> bool:
    starts = [bisect.bisect_left(cells, float(edge)) for edge in edges]
    return all(start < end for start, end in itertools.pairwise([0, *starts, len(cells)]))


def _is_fraction(value: object) -> bool:
    if isinstance(value, str):  # a cell of CSV
        return "." in value and value.replace(".", "", 1).lstrip("-").isdigit() and not value.endswith(".0")
    return isinstance(value, float) and not value.is_integer()


def _round(number: float, digits: int = DIGITS) -> Decimal:
    if number == 0 or not math.isfinite(number):
        return Decimal(0)
    exact = Decimal(repr(number))
    return round(exact, digits - 1 - exact.adjusted()).normalize()


def _quote(text: str) -> str:
    # A basic string of TOML is one of JSON, but that TOML escapes the delete character too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _quote(name)


def _write_list(key: str, names: Sequence[str]) -> Iterator[str]:
    """Yield a list on one line where it fits, else on several."""
    line = f"{key} = [{', '.join(map(_quote, names))}]"
    if len(line) <= WIDTH:
        yield line
        return
    yield f"{key} = ["
    row = ""
    for name in map(_quote, names):
        if row and len(row) + len(name) + 3 > WIDTH:
            yield row
            row = ""
        row += f"{' ' if row else '  '}{name},"
    yield from (row, "]")
