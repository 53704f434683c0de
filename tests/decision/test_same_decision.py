"""A verdict of another version is compared by what was decided: its words may differ, and nothing else may.

Every value of every verdict that commit 5ac7d5b wrote is changed in turn.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from lynxgate import __version__
from lynxgate.decision.decide import decide_bytes_again, parse_tolerance
from lynxgate.decision.groups import read_groups
from lynxgate.decision.same_decision import find_difference, written_by
from lynxgate.decision.verdict import Verdict, parse_verdict
from lynxgate.errors import CannotJudge
from tests.evidence.test_written_before import CASES, VERDICTS
from tests.samples import baseline, evaluation, judge

Path = tuple[str | int, ...]
WORDS = {"reason", "warning"}


@cache
def decided_again(name: str) -> Verdict:
    folder, case = VERDICTS / name, CASES[name]
    groups = read_groups(folder / "eval.jsonl") if case["eval_set"] else None
    tolerance = parse_tolerance(case["tolerance"]) if case["tolerance"] else None
    documents = (folder / "evaluation.json").read_bytes(), (folder / "baseline.json").read_bytes()
    return decide_bytes_again(*documents, tolerance, groups=groups, version=1)[0]


def stored(name: str) -> Any:
    return json.loads((VERDICTS / name / "verdict.json").read_bytes())


def values(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is neither an object nor a list, with its place."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in children:
        if isinstance(value, dict | list):
            yield from values(value, (*path, key))
        else:
            yield (*path, key), value


def parts(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Every key of an object and every entry of a list, of any kind."""
    children = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree))
    for key, value in children:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from parts(value, (*path, key))


def place(tree: Any, path: Path) -> Any:
    for key in path[:-1]:
        tree = tree[key]
    return tree


def changed(tree: Any, path: Path, value: Any) -> Any:
    tree = copy.deepcopy(tree)
    place(tree, path)[path[-1]] = value
    return tree


def without(tree: Any, path: Path) -> Any:
    tree = copy.deepcopy(tree)
    del place(tree, path)[path[-1]]
    return tree


def others(value: Any) -> list[Any]:
    """Values of the same kind, as far as the document has one: a flipped outcome, a larger count, another figure."""
    if value is None:
        return ["held", "1.0", 1]  # an outcome, a figure, a count
    if isinstance(value, int):
        return [value + 1]
    enumerations = (
        ("held", "regressed", "inconclusive", "missing", "unmeasured", "new"),
        ("critical", "standard", "advisory"),
        ("point", "guard", "noninferior"),
        ("active", "report-only"),
        ("proof", "no proof of harm"),
        ("paired", "clustered", "unpaired"),
    )
    for known in enumerations:
        if value in known:
            return [each for each in known if each != value][:2]
    return [f"{value}1", "0" * len(value)]


def differs(tree: Any, again: Verdict) -> bool:
    """Whether the change is found: as another decision, or because it is no longer a verdict."""
    try:
        return find_difference(tree, again) is not None
    except CannotJudge:
        return True


@pytest.mark.parametrize("name", CASES)
def test_other_words_are_the_same_decision(name: str) -> None:
    tree, again = stored(name), decided_again(name)
    assert find_difference(tree, again) is None
    sentences = [(path, value) for path, value in values(tree) if path[-1] in WORDS and value is not None]
    assert sentences
    for path, _ in sentences:
        tree = changed(tree, path, "in quite other words")
        assert find_difference(tree, again) is None, path
    assert find_difference(dict(reversed(tree.items())), again) is None, "the order of keys is not a decision"


@pytest.mark.parametrize("name", CASES)
@pytest.mark.slow
def test_any_other_value_is_another_decision(name: str) -> None:
    tree, again = stored(name), decided_again(name)
    tried = 0
    for path, value in values(tree):
        if path[-1] in WORDS and value is not None:
            assert differs(changed(tree, path, None), again), path
            continue
        for other in others(value):
            if other != value:
                assert differs(changed(tree, path, other), again), (path, other)
                tried += 1
    assert tried > 50


@pytest.mark.parametrize("name", CASES)
@pytest.mark.slow
def test_nothing_can_be_left_out(name: str) -> None:
    """A key may be left out only where its value is the one that an absent key has: null, or a confidence of 0.95."""
    tree, again = stored(name), decided_again(name)
    empty = {path for path, value in values(tree) if value is None or (path, value) == (("confidence",), "0.95")}
    for path in parts(tree):
        if path not in empty:
            assert differs(without(tree, path), again), path


@pytest.mark.parametrize("name", CASES)
def test_nothing_can_be_added(name: str) -> None:
    tree, again = stored(name), decided_again(name)
    for table in ("conditions", "rows", "metrics"):
        for row in tree.get(table, ()):
            assert differs({**tree, table: [*tree[table], row]}, again)
    assert differs({**tree, "passed": True}, again)


def test_of_this_version_every_word_counts() -> None:
    again = judge(evaluation(), baseline())
    tree = json.loads(again.to_json())
    assert tree["gate"] == {"name": "lynxgate", "version": __version__}
    assert find_difference(tree, again) is None
    for path, value in values(tree):
        if path[-1] == "reason":
            assert find_difference(changed(tree, path, f"{value}."), again) is not None, path
    other = changed(tree, ("gate", "version"), f"{__version__}.1")
    assert find_difference(changed(other, ("rows", 0, "reason"), "other words"), again) is None
    assert find_difference(changed(other, ("rows", 0, "outcome"), "regressed"), again) is not None
    assert find_difference(changed(tree, ("gate", "name"), "another gate"), again) is None


def test_verdict_1_names_no_gate_and_verdict_2_must() -> None:
    tree = json.loads(judge(evaluation(), baseline()).to_json())
    assert list(tree)[:2] == ["schema", "gate"]
    assert written_by(parse_verdict(json.dumps(tree).encode())) is not None
    assert written_by(parse_verdict((VERDICTS / "point-passed" / "verdict.json").read_bytes())) is None
    for wrong in (without(tree, ("gate",)), {**tree, "schema": "lynxgate.verdict/1"}, {**tree, "schema": "x/1"}):
        with pytest.raises(CannotJudge):
            parse_verdict(json.dumps(wrong).encode())
