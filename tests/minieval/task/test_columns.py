"""What each column is for: the id and the labels are no features, and a mistake in a name is found."""

from __future__ import annotations

import pytest

from minieval.contract.exits import CannotJudge
from minieval.task.columns import assign_roles
from minieval.task.document import CONVENTIONS, Task, parse_task


def task(text: str) -> Task:
    return parse_task(f'schema = "minieval.task/1"\n{text}'.encode(), where="task.toml")


BY_REGION = "expected = 'label'\n[buckets]\ncolumns = ['region']\n"


def test_by_convention_all_but_the_labels_are_features() -> None:
    roles = assign_roles(CONVENTIONS, ["prompt", "id", "expected", "buckets", "n"], where="set.jsonl")
    assert (roles.id, roles.expected, roles.accepted, roles.group) == ("id", "expected", None, None)
    assert (roles.lists, roles.columns, roles.features) == (("buckets",), (), ("prompt", "n"))
    roles = assign_roles(CONVENTIONS, ["x", "id", "group", "expected", "accepted", "buckets"], where="set.jsonl")
    assert (roles.accepted, roles.group, roles.features) == ("accepted", "group", ("x",))


@pytest.mark.parametrize("name", ["Expected", "label", "answers", " id", "GROUPS", "accept"])
def test_by_convention_a_column_that_looks_like_a_label_is_refused(name: str) -> None:
    with pytest.raises(CannotJudge, match="looks like a label"):
        assign_roles(CONVENTIONS, ["id", "expected", "buckets", "x", name], where="set.jsonl")


def test_a_task_names_what_is_no_feature() -> None:
    names = ["row", "label", "age", "region", "text"]
    roles = assign_roles(task(BY_REGION), names, where="set.csv")
    assert (roles.id, roles.expected, roles.columns) == (None, "label", ("region",))
    assert roles.features == ("row", "age", "text"), "the columns that the task names nowhere"
    roles = assign_roles(task("id = 'row'\nfeatures = ['text', 'region']\n" + BY_REGION), names, where="set.csv")
    assert roles.features == ("text", "region"), "in the order of the task; a bucket's column may be a feature too"
    assert roles.used == ("row", "label", "region", "text")


WRONG = {
    "no such column": (BY_REGION, ["x", "region"], "no column 'label'; it has region, x"),
    "no such feature": ("features = ['y']\n" + BY_REGION, ["label", "region"], "no column 'y'"),
    "no such type": ("types = { y = 'integer' }\n" + BY_REGION, ["label", "region", "x"], "no column 'y'"),
    "no such id": ("id = 'nr'\n" + BY_REGION, ["label", "region", "x"], "no column 'nr'"),
    "no such group": ("group = 'g'\n" + BY_REGION, ["label", "region", "x"], "no column 'g'"),
    "the label as a feature": (
        "features = ['x', 'label']\n" + BY_REGION, ["label", "region", "x"], "'label' is an id or a label"
    ),
    "the id as a feature": (
        "id = 'nr'\nfeatures = ['nr']\n" + BY_REGION, ["label", "region", "nr"], "'nr' is an id or a label"
    ),
    "a list of buckets as a feature": (
        "features = ['b']\nexpected = 'label'\n[buckets]\nlists = ['b']\n", ["label", "b"], "'b' is an id or a label"
    ),
    "no feature": (BY_REGION, ["label", "region"], "no features; add what the model reads"),
    "id and label in one": ("id = 'label'\n" + BY_REGION, ["label", "region", "x"], "'label' is `id` and `expected`"),
    "files that are no feature": (BY_REGION + "[files]\ncolumns = ['region']\n", ["label", "region", "x"],
                                  "'region' names files and is no feature"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "names", "words"), WRONG.values(), ids=WRONG)
def test_a_column_that_does_not_fit_is_named(text: str, names: list[str], words: str) -> None:
    with pytest.raises(CannotJudge, match=f"^set.csv: .*{words}"):
        assign_roles(task(text), names, where="set.csv")


def test_a_star_in_features_stands_for_columns_that_are_no_labels() -> None:
    task = Task.model_validate(
        {"id": "id", "expected": "label", "features": ["mean_*", "age", "*"], "buckets": {"columns": ["age"]}}
    )
    names = ["id", "label", "worst_a", "mean_b", "age", "mean_a"]
    assert assign_roles(task, names, where="set.csv").features == ("mean_b", "mean_a", "age", "worst_a")
    nothing = task.model_copy(update={"features": ("none_*",)})
    with pytest.raises(CannotJudge, match="no features"):
        assign_roles(nothing, names, where="set.csv")
