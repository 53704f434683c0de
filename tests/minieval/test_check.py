"""`minieval check`: what is understood, what is worth a warning, and what is refused, without a model."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from minieval.check import check_task, find_eval_set
from minieval.command import run
from minieval.contract.exits import CannotJudge
from minieval.runner.sandbox import Isolation
from minieval.task.document import read_task
from tests.minieval.candidates import write_rows

TASK = """\
schema = "minieval.task/1"
id = "row_id"
expected = "label"
[buckets]
columns = ["region"]
bins = { age = [18, 65] }
"""


def customers(n: int) -> list[dict[str, Any]]:
    """Rows in a random order: two classes, three regions, ages on both sides of 18."""
    chance = random.Random(1)
    return [
        {
            "row_id": number,
            "age": chance.randint(10, 60),
            "region": chance.choice(["eu", "us", None]),
            "text": f"word {number}",
            "label": chance.choice(["yes", "no"]),
        }
        for number in range(n)
    ]


def write(folder: Path, rows: list[dict[str, Any]], task: str = TASK, **files: str) -> Path:
    write_rows(folder / "set.jsonl", rows)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "set.toml").write_text(task)
    return folder / "set.toml"


def warnings(folder: Path, rows: list[dict[str, Any]], task: str = TASK, **files: str) -> list[str]:
    path = write(folder, rows, task, **files)
    return list(check_task(read_task(path), folder / "set.jsonl", isolation=Isolation.PROCESS).warnings)


def test_it_prints_columns_with_kinds_and_roles_buckets_with_sizes_and_three_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = customers(200)
    assert run(["check", str(write(tmp_path, rows))]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for line in ("row_id integer id", "age integer buckets", "region text buckets", "text text feature",
                 "label text expected", "200 rows; score exact (right or wrong); trials 1"):  # fmt: skip
        assert line in lines
    young, eu = sum(row["age"] < 18 for row in rows), sum(row["region"] == "eu" for row in rows)
    assert {f"age.<18 {young}", f"age.18-65 {200 - young}", f"region.eu {eu}"} <= set(lines)
    assert not [line for line in lines if line.startswith(("age.>=65", "age.(null)"))], "no row is in them"
    assert [line for line in lines if "row_id:" in line] == ["- row_id: 0", "- row_id: 1", "- row_id: 2"]
    assert "warnings" not in lines


def test_the_eval_set_beside_the_task_is_found_by_name(tmp_path: Path) -> None:
    task = tmp_path / "phase-20.toml"
    with pytest.raises(CannotJudge, match=r"no phase-20\.jsonl, \.csv, \.parquet or folder beside it"):
        find_eval_set(task)
    (tmp_path / "phase-20.csv").write_text("")
    assert find_eval_set(task) == tmp_path / "phase-20.csv"
    (tmp_path / "phase-20").mkdir()
    with pytest.raises(CannotJudge, match=r"phase-20 and phase-20\.csv beside it; name the eval set with --eval-set"):
        find_eval_set(task)


def test_answers_that_come_in_blocks_are_a_warning(tmp_path: Path) -> None:
    rows = customers(200)
    assert warnings(tmp_path, rows) == []
    (warning,) = warnings(tmp_path, sorted(rows, key=lambda row: str(row["label"])))
    assert warning.startswith("the answers in 'label' come in blocks: 2 where a random order has about 1")
    distinct = [{**row, "label": f"answer {row['row_id']}"} for row in rows]
    assert warnings(tmp_path, distinct) == [], "answers that are all different have no blocks"
    same = [{**row, "label": "yes"} for row in rows]
    assert warnings(tmp_path, same) == []


def test_a_bucket_too_small_to_prove_anything_is_a_warning(tmp_path: Path) -> None:
    rows = customers(200)
    for number, row in enumerate(rows[:9]):
        row["region"] = "is" if number < 4 else "no"
    (warning,) = warnings(tmp_path, rows)
    assert warning.startswith("too small to prove anything: region.is (4); ")


def test_a_feature_that_is_the_answer_is_refused_and_one_that_nearly_is_a_warning(tmp_path: Path) -> None:
    rows = [{**row, "text": row["label"]} for row in customers(200)]
    with pytest.raises(CannotJudge, match="the feature 'text' is the right answer in every row"):
        warnings(tmp_path, rows)
    rows[7]["text"] = "maybe"
    (warning,) = warnings(tmp_path, rows)
    assert "the feature 'text' is the right answer in 199 of 200 rows" in warning


def test_what_an_evaluation_refuses_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = customers(30)
    rows[20]["label"] = None
    assert run(["check", str(write(tmp_path, rows))]) == 3
    assert "set.jsonl, line 21: no expected answer" in capsys.readouterr().err
    rows[20]["label"], rows[20]["row_id"] = "yes", 3
    assert run(["check", str(write(tmp_path, rows))]) == 3
    assert "the id '3' is already in" in capsys.readouterr().err
    assert run(["check", str(write(tmp_path, customers(30), TASK.replace('"label"', '"lable"')))]) == 3
    assert "no column 'lable'" in capsys.readouterr().err
    assert run(["check", str(tmp_path / "nothing.toml")]) == 3


def test_labels_of_the_wrong_kind_for_the_score_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotJudge, match=r"set\.jsonl, line 1: the answer is text, and a number is needed"):
        warnings(tmp_path, customers(30), TASK + '[score]\nkind = "error"\ncap = 10\n')


LISTS = {"top_k": ("k = 3", "yes"), "any_of": ("", ["yes", "y"]), "set": ("", ["a", "b"])}


@pytest.mark.parametrize(("kind", "options", "label"), [(kind, *rest) for kind, rest in LISTS.items()], ids=LISTS)
def test_scores_of_lists_are_tried_with_answers_of_their_form(
    kind: str, options: str, label: Any, tmp_path: Path
) -> None:
    rows = [{**row, "label": label} for row in customers(50)]
    assert warnings(tmp_path, rows, f'{TASK}[score]\nkind = "{kind}"\n{options}\n') == []


PURE = "def score(expected, answer, features):\n    return len(set(expected) & set(answer)) / len(set(expected))"
SCORER = TASK + '[score]\npython = "scoring.py"\ngraded = true\n'


@pytest.mark.slow
def test_a_scorer_that_depends_on_the_order_of_the_rows_is_refused(tmp_path: Path) -> None:
    rows = customers(50)
    assert warnings(tmp_path, rows, SCORER, scoring=PURE) == []
    counts = "seen = []\ndef score(expected, answer, features):\n    seen.append(1)\n    return 1 / len(seen)"
    with pytest.raises(CannotJudge, match=r"line 1: the scorer \S+scoring\.py gives 1 in one order of the rows and"):
        warnings(tmp_path, rows, SCORER, scoring=counts)
    chance = "import random\ndef score(*_): return random.random()"
    with pytest.raises(CannotJudge, match="a score follows from its row alone"):
        warnings(tmp_path, rows, SCORER, scoring=chance)


@pytest.mark.slow
def test_a_scorer_that_fails_or_is_too_strict_is_seen_before_a_model_is(tmp_path: Path) -> None:
    rows = customers(50)
    with pytest.raises(CannotJudge, match=r"line 1: .* opens the file"):
        warnings(tmp_path, rows, SCORER, scoring="def score(*_):\n    return len(open('/etc/hosts').read())")
    (warning,) = warnings(tmp_path, rows, SCORER, scoring="def score(e, answer, f):\n    return answer['text'] == e")
    assert "could not be tried with the labels as answers" in warning and "raised TypeError" in warning
    (warning,) = warnings(tmp_path, rows, SCORER, scoring="def score(e, answer, f):\n    return answer == 'yes'")
    assert "the right answer itself does not get the full score in" in warning


def test_what_it_prints_of_an_eval_set_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "::error::\x1b[2J##[group]\u202e"
    rows = [{**row, hostile: hostile, "region": hostile} for row in customers(20)]
    assert run(["check", str(write(tmp_path, rows))]) == 0
    out = capsys.readouterr().out
    assert all(character.isprintable() for line in out.splitlines() for character in line)
    assert "##[" not in out
    assert not [line for line in out.splitlines() if line.lstrip().startswith("::")]


def test_a_million_classes_are_not_kept() -> None:
    """The order of answers is looked at while there are few different ones."""
    from minieval.check import MOST_CLASSES, _Order

    order = _Order()
    for start in range(0, 20_000, 1000):
        order.add([json.dumps(number) for number in range(start, start + 1000)])
    assert len(order.counts) <= MOST_CLASSES + 1000
    assert list(order.warn("label")) == []
