"""The task file: every key, what is refused and with which words, and the digest that covers the scorer."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from minieval.contract.digests import digest_bytes
from minieval.contract.exits import CannotJudge
from minieval.task.document import CONVENTIONS, Kind, Threshold, parse_task, read_task

EVERY_KEY = """\
schema = "minieval.task/1"
id = "row_id"
expected = "label"
accepted = "others"
features = ["age", "text"]
group = "customer"
trials = 3
types = { age = "integer" }

[buckets]
lists = ["buckets"]
columns = ["region"]
bins = { age = [18, 65.5] }
cross = [["region", "label"]]

[prediction]
column = "label"
reduce = { threshold = 0.5 }
classes = ["no", "yes"]

[score]
kind = "text"
ignore = ["case", "space"]

[model]
python = "gate"
params = { temperature = 0.7, stop = ["a"], deep = { n = 1 } }
memory_mb = 512
timeout_s = 60
batch_size = 16

[files]
columns = ["text"]
"""


def parse(text: str) -> object:
    return parse_task(f'schema = "minieval.task/1"\n{text}'.encode(), where="task.toml")


def test_every_key_has_its_value() -> None:
    task = parse_task(EVERY_KEY.encode(), where="task.toml")
    assert (task.id, task.expected, task.accepted, task.group) == ("row_id", "label", "others", "customer")
    assert (task.features, task.trials, dict(task.types)) == (("age", "text"), 3, {"age": "integer"})
    assert dict(task.buckets.bins) == {"age": (Decimal(18), Decimal("65.5"))}
    assert task.buckets.named == ("buckets", "region", "age", "label")
    assert task.prediction.reduce == Threshold(threshold=Decimal("0.5"))
    assert (task.prediction.column, task.prediction.classes) == ("label", ("no", "yes"))
    assert (task.score.kind, task.score.ignore) == (Kind.TEXT, ("case", "space"))
    assert (task.model.memory_mb, task.model.timeout_s, task.model.batch_size) == (512, 60, 16)
    assert json.loads(json.dumps(dict(task.model.params))) == {"temperature": 0.7, "stop": ["a"], "deep": {"n": 1}}
    assert task.files.columns == ("text",)
    assert task.graded, "three trials have four outcomes"


def test_what_is_left_out_has_its_default() -> None:
    task = parse_task(b'schema = "minieval.task/1"\n[buckets]\nlists = ["b"]\n', where="task.toml")
    assert (task.id, task.expected, task.accepted, task.group, task.features) == (None, "expected", None, None, None)
    assert (task.trials, task.score.kind, task.graded) == (1, Kind.EXACT, False)
    assert (task.model.memory_mb, task.model.timeout_s, task.model.batch_size) == (8192, 1800, 8192)
    assert (CONVENTIONS.id, CONVENTIONS.accepted, CONVENTIONS.buckets.lists) == ("id", "accepted", ("buckets",))


B = '[buckets]\nlists = ["b"]\n'
REFUSED = {
    "not TOML": ("a = ", "task.toml: not TOML: Invalid value"),
    "a number too long to read": (f"a = {'9' * 5000}", "task.toml: not TOML: "),
    "no bucket": ("", "buckets: is missing"),
    "empty buckets": ("[buckets]", "buckets: names no bucket"),
    "an unknown key": (f"expect = 'x'\n{B}", "expect: unknown key"),
    "trials": (f"trials = 101\n{B}", "trials: .*less than or equal to 100"),
    "no trial": (f"trials = 0\n{B}", "trials: .*greater than or equal to 1"),
    "a type": (f"types = {{ a = 'float' }}\n{B}", "types.a: .*'boolean', 'integer', 'number' or 'text'"),
    "no feature": (f"features = []\n{B}", "features: is empty"),
    "a feature twice": (f"features = ['a', 'b', 'a']\n{B}", "features: names 'a' twice"),
    "a list twice": ("[buckets]\nlists = ['a', 'a']", r"buckets\.lists: names 'a' twice"),
    "bins overlap": ("[buckets]\nbins = { age = [18, 65, 65] }", "bins.age: the edges overlap"),
    "bins without an edge": ("[buckets]\nbins = { age = [] }", "bins.age: is empty"),
    "bins at infinity": ("[buckets]\nbins = { age = [inf] }", "is not finite"),
    "an edge that fills the memory": ("[buckets]\nbins = { n = [1e999999999] }", "1e999999999 is out of range"),
    "an edge too small to write": ("[buckets]\nbins = { n = [1e-999999999] }", "the number 1e-9+ is out of range"),
    "an exponent too long to read": (f"{B}[score]\nkind = 'numeric'\nrtol = 1e{'9' * 20}", "is out of range"),
    "columns and bins": ("[buckets]\ncolumns = ['age']\nbins = { age = [1] }", "in `columns` and in `bins`"),
    "a cross of one": ("[buckets]\ncross = [['a']]", "buckets.cross.0: "),
    "a cross with itself": ("[buckets]\ncross = [['a', 'a']]", "names 'a' twice"),
    "a cross twice": ("[buckets]\ncross = [['a', 'b'], ['a', 'b']]", r"cross has \['a', 'b'\] twice"),
    "a threshold without classes": (f"{B}[prediction]\nreduce = {{ threshold = 0.5 }}", "name them, the negative one"),
    "a threshold of three classes": (
        f"{B}[prediction]\nreduce = {{ threshold = 0.5 }}\nclasses = [1, 2, 3]", "chooses between two classes"
    ),
    "reduce and top": (f"{B}[prediction]\nreduce = 'argmax'\ntop = 2", "leave one out"),
    "classes without effect": (f"{B}[prediction]\nclasses = [1]", "`classes` has an effect with"),
    "a kind": (f"{B}[score]\nkind = 'exakt'", "score.kind: "),
    "an option of another kind": (f"{B}[score]\natol = 1", "atol has no effect on scores of kind 'exact'"),
    "top_k without k": (f"{B}[score]\nkind = 'top_k'", "kind 'top_k' needs k"),
    "error without cap": (f"{B}[score]\nkind = 'error'", "kind 'error' needs cap"),
    "a cap of nothing": (f"{B}[score]\nkind = 'error'\ncap = 0", "score.cap: "),
    "a kind and a scorer": (f"{B}[score]\nkind = 'text'\npython = 'a.py'", "python has no effect on scores of kind"),
    "classes of a graded score": (f"{B}[score]\nkind = 'overlap'\ngate_classes = ['a']", "kind 'exact'"),
    "two classes of one name": (f"{B}[score]\ngate_classes = [1, '1']", "names '1' twice"),
    "classes over trials": (f"trials = 2\n{B}[score]\ngate_classes = ['a']", "leave out `trials`"),
    "another Python": (f"{B}[model]\npython = '3.9'", "model.python: "),
    "a date as a param": (f"{B}[model.params]\nday = 2025-01-01", "is a date, which JSON does not have"),
    "an infinite param": (f"{B}[model.params]\na = inf", "is not finite"),
    "a class without a name": (f"{B}[score]\ngate_classes = ['']", "the name of a class has"),
    "a class of a control character": (f'{B}[score]\ngate_classes = ["a\\u001b"]', "the name of a class has"),
    "a class too long for its metric": (f"{B}[score]\ngate_classes = ['{'a' * 181}']", "the name of a class has"),
    "a class that is a comment": (f"{B}[score]\ngate_classes = ['_comment']", "the name of a class has"),
    "a long integer": (f"{B}[model.params]\na = [0x{'f' * 5000}]", "an integer has more than 40 digits"),
    "a command of nothing": (f"{B}[evaluator]\ncommand = []", "evaluator.command: is empty"),
    "a command as text": (f"{B}[evaluator]\ncommand = 'a b'", "evaluator.command: "),
    "an empty argument": (f"{B}[evaluator]\ncommand = ['a', '']", "an argument has 1 to 4096 characters"),
    "an unknown variable": (f"{B}[evaluator]\ncommand = ['a', '{{HOME}}']", r"\{HOME\} is no variable of the command"),
    "a variable as a program": (f"{B}[evaluator]\ncommand = ['{{MINIEVAL_BUNDLE}}']", "its first word is a program"),
    "a script elsewhere": (f"{B}[evaluator]\ncommand = ['python', '../a.py']", "not the name of a file in the folder"),
    "a file elsewhere": (f"{B}[evaluator]\ncommand = ['a']\nfiles = ['/etc/passwd']", "is not the name of a file"),
    "a hidden file": (f"{B}[evaluator]\ncommand = ['a']\nfiles = ['.env']", "is not the name of a file"),
    "an evaluator and a score": (f"{B}[score]\nkind = 'exact'\n[evaluator]\ncommand = ['a']", "score has no effect"),
    "an evaluator and its memory": (
        f"{B}[model]\nmemory_mb = 5\n[evaluator]\ncommand = ['a']", "model.memory_mb has no effect where"
    ),
    "a control character": (f'expected = "a\\u001b"\n{B}', "expected: a name has"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_one_sentence_with_its_key(text: str, words: str) -> None:
    with pytest.raises(CannotJudge, match=f"^task.toml: .*{words.removeprefix('task.toml: ')}") as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "schema = 1", 'schema = "minieval.task/2"'])
def test_another_schema_is_refused(text: str) -> None:
    with pytest.raises(CannotJudge, match=r'write schema = "minieval\.task/1"'):
        parse_task(text.encode(), where="task.toml")
    with pytest.raises(CannotJudge, match="not TOML"):
        parse_task(b"\xff", where="task.toml")


def test_the_digest_is_that_of_the_bytes_and_of_the_scorer(tmp_path: Path) -> None:
    path, scorer = tmp_path / "task.toml", tmp_path / "scoring.py"
    text = 'schema = "minieval.task/1"\n[buckets]\nlists = ["b"]\n'
    path.write_text(text)
    found = read_task(path)
    assert (found.sha256, found.path, found.scorer) == (digest_bytes(text.encode()), path, None)
    path.write_text(f'{text}[score]\npython = "scoring.py"\n')
    scorer.write_text("def score(e, a, f): return 1")
    first = read_task(path)
    assert first.scorer == scorer.read_bytes()
    assert first.task.score.kind is Kind.PYTHON and not first.task.graded
    scorer.write_text("def score(e, a, f): return 0")
    assert read_task(path).sha256 != first.sha256
    scorer.write_text("def score(e, a, f): return 1")
    assert read_task(path).sha256 == first.sha256
    path.write_text(path.read_text() + "# a comment\n")
    assert read_task(path).sha256 != first.sha256


def test_the_digest_covers_each_file_of_an_evaluator_and_its_name(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    text = 'schema = "minieval.task/1"\n[buckets]\nlists = ["b"]\n[evaluator]\ncommand = ["python", "judge.py", "x"]\n'
    path.write_text(text + 'files = ["rubric.txt"]\ngraded = true\n')
    with pytest.raises(CannotJudge, match=r"judge\.py: no such file; .*task\.toml names it as its evaluator"):
        read_task(path)
    for name in ("judge.py", "rubric.txt"):
        (tmp_path / name).write_text(name)
    first = read_task(path)
    assert dict(first.evaluator) == {"judge.py": b"judge.py", "rubric.txt": b"rubric.txt"}
    assert first.files == (path, tmp_path / "judge.py", tmp_path / "rubric.txt")
    assert first.task.graded and first.task.scores_are_graded
    for name in ("judge.py", "rubric.txt"):
        (tmp_path / name).write_text("changed")
        assert read_task(path).sha256 != first.sha256
        (tmp_path / name).write_text(name)
    assert read_task(path).sha256 == first.sha256
    (tmp_path / "judge.py").write_text("rubric.txt")
    (tmp_path / "rubric.txt").write_text("judge.py")
    assert read_task(path).sha256 != first.sha256, "two files were exchanged"
    (tmp_path / "rubric.txt").unlink()
    (tmp_path / "rubric.txt").symlink_to("judge.py")
    with pytest.raises(CannotJudge, match="a link"):
        read_task(path)


ELSEWHERE = ["../scoring.py", "/etc/scoring.py", "sub/scoring.py", "scoring.txt", "..", ".", "./scoring.py"]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_scorer_lies_beside_its_task_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for folder in (tmp_path, tmp_path / "a", tmp_path / "a" / "sub"):
        folder.mkdir(exist_ok=True)
        (folder / "scoring.py").write_text("def score(e, a, f): return 1")
    path = tmp_path / "a" / "task.toml"
    path.write_text(f'schema = "minieval.task/1"\n[buckets]\nlists = ["b"]\n[score]\npython = "{name}"\n')
    with pytest.raises(CannotJudge, match=r"name one \.py file in the folder of the task file"):
        read_task(path)


def test_a_scorer_that_is_a_link_or_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    path.write_text('schema = "minieval.task/1"\n[buckets]\nlists = ["b"]\n[score]\npython = "scoring.py"\n')
    with pytest.raises(CannotJudge, match=r"scoring\.py: no such file; .*task\.toml names it as its scorer"):
        read_task(path)
    (tmp_path / "other.py").write_text("def score(e, a, f): return 1")
    (tmp_path / "scoring.py").symlink_to("other.py")
    with pytest.raises(CannotJudge, match=r"scoring\.py: a link"):
        read_task(path)
    with pytest.raises(CannotJudge, match=r"nothing\.toml: no such file"):
        read_task(tmp_path / "nothing.toml")
