"""The task file, `minieval.task/1`: how an eval set is read and scored. TOML, reviewed like the baseline.

- Every key has an effect; an unknown one is refused.
- The digest of a task covers the scorer that it names, and the files of an evaluator: whoever reviews one reviews all.
- Without a task file the conventions hold (`CONVENTIONS`): the columns `id`, `expected`, `accepted`, `buckets`,
  `group`, all others are features, and an answer is right when it equals an expected or accepted one.
"""

from __future__ import annotations

import itertools
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from minieval.contract.digests import digest_bytes
from minieval.contract.documents import MAX_NUMBER_DIGITS, Document, Json, is_note, list_reasons, read_bytes
from minieval.contract.exits import CannotJudge
from minieval.contract.fields import Name, Number, Table

SCHEMA: Final = "minieval.task/1"
MAX_BUCKETS: Final = 10_000
LONGEST_ARGUMENT: Final = 4096
# The variables that a command of one's own gets (`OwnEvaluator`).
VARIABLES: Final = (
    "MINIEVAL_BUNDLE", "MINIEVAL_EVAL_SET", "MINIEVAL_EVALUATION", "MINIEVAL_ROWS", "MINIEVAL_RUN_ID", "MINIEVAL_TASK"
)  # fmt: skip
PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
FILE_NAME: Final = re.compile(r"[\w.-]{1,100}", re.ASCII)
LONGEST_CLASS: Final = 180  # characters: a metric is named after it, as "precision.yes", and a name has 200


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"names {name[:80]!r} twice; remove one")
    return names


Names = Annotated[tuple[Name, ...], Field(strict=False), AfterValidator(_once)]
Scalar = str | int | bool | Decimal
Classes = Annotated[tuple[Scalar, ...], Field(strict=False, min_length=1)]
ColumnType = Literal["boolean", "integer", "number", "text"]


class Buckets(Document):
    """Which buckets a row is in: names that it lists, values of columns, bins of numbers, and crosses of columns.

    ``bins`` are half-open: the edges 18 and 65 give below 18, 18 up to but not 65, and 65 or more.
    """

    lists: Names = ()
    columns: Names = ()
    bins: Annotated[
        Table[Annotated[tuple[Number, ...], Field(strict=False, min_length=1)]],
        Field(default_factory=dict, validate_default=True),
    ]
    cross: Annotated[tuple[Annotated[Names, Field(min_length=2)], ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _is_sound(self) -> Buckets:
        for column, edges in self.bins.items():
            if any(low >= high for low, high in itertools.pairwise(edges)):
                raise ValueError(f"bins.{column}: the edges overlap; write each above the one before it")
        if both := set(self.columns) & set(self.bins):
            raise ValueError(f"column {min(both)!r} is in `columns` and in `bins`, and its buckets would mix")
        for index, crossed in enumerate(self.cross):
            if crossed in self.cross[:index]:
                raise ValueError(f"cross has {list(crossed)} twice; remove one")
        if not (self.lists or self.columns or self.bins or self.cross):
            raise ValueError("names no bucket; give it lists, columns, bins or cross")
        return self

    @property
    def named(self) -> tuple[str, ...]:
        """Return every column that makes buckets, once, in the order of the task file."""
        crossed = (column for columns in self.cross for column in columns)
        return tuple(dict.fromkeys((*self.lists, *self.columns, *self.bins, *crossed)))


class Threshold(Document):
    """Read a probability as the second of two classes when it is at least ``threshold``."""

    threshold: Number


class Reading(Document):
    """How an answer is read from what the model returned for a row."""

    column: Name | None = None
    reduce: Literal["argmax"] | Threshold | None = None
    classes: Classes | None = None
    top: Annotated[int, Field(ge=1, le=1000)] | None = None

    @model_validator(mode="after")
    def _is_sound(self) -> Reading:
        if self.reduce is not None and self.top is not None:
            raise ValueError("`reduce` gives one class and `top` several; leave one out")
        if isinstance(self.reduce, Threshold) and (self.classes is None or len(self.classes) != 2):
            raise ValueError("a threshold chooses between two classes; name them, the negative one first, in `classes`")
        if self.classes is not None and self.reduce is None and self.top is None:
            raise ValueError('`classes` has an effect with `reduce` or `top` only; add reduce = "argmax"')
        return self


class Kind(StrEnum):
    """How a row is scored: right or wrong up to `SET`, graded from `OVERLAP` on; `PYTHON` decides for itself."""

    EXACT = "exact"
    TEXT = "text"
    NUMERIC = "numeric"
    TOP_K = "top_k"
    ANY_OF = "any_of"
    SET = "set"
    OVERLAP = "overlap"
    ERROR = "error"
    PYTHON = "python"


# The options of each kind; an option of another kind would have no effect, and is refused.
OPTIONS: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.EXACT: frozenset(),
    Kind.TEXT: frozenset({"ignore"}),
    Kind.NUMERIC: frozenset({"atol", "rtol"}),
    Kind.TOP_K: frozenset({"k"}),
    Kind.ANY_OF: frozenset(),
    Kind.SET: frozenset(),
    Kind.OVERLAP: frozenset({"of"}),
    Kind.ERROR: frozenset({"cap", "unit"}),
    Kind.PYTHON: frozenset({"python", "graded"}),
}
NEEDED: Final[Mapping[Kind, str]] = {Kind.TOP_K: "k", Kind.ERROR: "cap", Kind.PYTHON: "python"}


def name_class(value: Scalar) -> str:
    """Return what an evaluation calls a class."""
    return value if isinstance(value, str) else str(value).lower()


def _check_class(name: str) -> None:
    """Refuse a class that the evaluation could not name, after the model has predicted every row."""
    if (
        not name
        or len(name) > LONGEST_CLASS
        or any(ord(each) < 32 or ord(each) == 127 for each in name)
        or is_note(name)
    ):
        raise ValueError(
            f"gate_classes has {name[:80]!r}; the name of a class has 1 to {LONGEST_CLASS} characters, no control "
            "characters, and is none of a comment"
        )


class Scoring(Document):
    """How a row is scored, and the classes whose precision and F1 are kept."""

    kind: Annotated[Kind, Field(strict=False)] = Kind.EXACT
    gate_classes: Annotated[tuple[Scalar, ...], Field(strict=False)] = ()
    ignore: Annotated[tuple[Literal["case", "space", "punctuation", "articles"], ...], Field(strict=False)] = ()
    atol: Annotated[Number, Field(ge=0)] = Decimal(0)
    rtol: Annotated[Number, Field(ge=0)] = Decimal(0)
    k: Annotated[int, Field(ge=1, le=1000)] | None = None
    of: Literal["tokens", "items"] = "tokens"
    cap: Annotated[Number, Field(gt=0)] | None = None
    unit: Name | None = None
    python: Name | None = None
    graded: bool = False

    @model_validator(mode="before")
    @classmethod
    def _name_kind(cls, value: Json) -> Json:
        """Read ``python = "scoring.py"`` alone as its kind."""
        if isinstance(value, dict) and "python" in value and "kind" not in value:
            return {**value, "kind": "python"}
        return value

    @model_validator(mode="after")
    def _has_the_options_of_its_kind(self) -> Scoring:
        given = self.model_fields_set - {"kind", "gate_classes"}
        if idle := sorted(given - OPTIONS[self.kind]):
            raise ValueError(f"{idle[0]} has no effect on scores of kind {self.kind.value!r}; remove it")
        needed = NEEDED.get(self.kind)
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"kind {self.kind.value!r} needs {needed}")
        # Two of one name, as 1 and "1", could not be told apart in the evaluation.
        _once(tuple(map(name_class, self.gate_classes)))
        for value in self.gate_classes:
            _check_class(name_class(value))
        if self.gate_classes and self.kind is not Kind.EXACT:
            raise ValueError("gate_classes are read from answers that are classes: kind 'exact'")
        return self

    @property
    def is_graded(self) -> bool:
        """Whether a row's score lies between wrong and right."""
        return self.graded or self.kind in (Kind.OVERLAP, Kind.ERROR)


def _to_json(value: Json) -> Json:
    """Return a value of TOML as one of JSON."""
    if isinstance(value, Decimal):
        number = float(value)
        if not math.isfinite(number):
            raise ValueError(f"{value} is not finite")
        return number
    if isinstance(value, dict):
        return {key: _to_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_to_json(each) for each in value]
    if not isinstance(value, str | int):
        raise ValueError(f"{value} is a {type(value).__name__}, which JSON does not have; write it as text")
    return value


class Model(Document):
    """What the model needs: its interpreter, the parameters of its signature, memory, time, and rows at once.

    ``python`` is ``gate``, ``model`` (built from the bundle's requirements) or an absolute path.
    """

    python: Annotated[str, Field(pattern=r"^(gate|model|/[^\x00-\x1f\x7f]{1,500})$")] = "gate"
    params: Annotated[Table[Json], BeforeValidator(_to_json), Field(default_factory=dict, validate_default=True)]
    memory_mb: Annotated[int, Field(ge=1)] = 8192
    timeout_s: Annotated[int, Field(ge=1)] = 1800
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 8192


class Files(Document):
    """Columns whose values are paths of files in the eval set's folder; the model gets the files."""

    columns: Names = ()


def _check_argument(text: str) -> str:
    if not text or len(text) > LONGEST_ARGUMENT or "\0" in text:
        raise ValueError(f"an argument has 1 to {LONGEST_ARGUMENT} characters, and no NUL")
    for name in PLACEHOLDER.findall(text):
        if name not in VARIABLES:
            raise ValueError(f"{{{name[:80]}}} is no variable of the command; there are {', '.join(VARIABLES)}")
    return text


Argument = Annotated[str, AfterValidator(_check_argument)]


class OwnEvaluator(Document):
    """A command of the repository that evaluates a candidate in place of minieval.

    Arguments may hold variables of its environment, as ``{MINIEVAL_BUNDLE}``; no shell reads them. Arguments that end
    in ``.py``, and ``files``, are files beside the task file; the command gets these, and its folder holds no others.
    ``graded`` is how it scores rows.
    """

    command: Annotated[tuple[Argument, ...], Field(strict=False, min_length=1, max_length=100)]
    files: Names = ()
    graded: bool = False

    @model_validator(mode="after")
    def _names_a_program(self) -> OwnEvaluator:
        if PLACEHOLDER.search(self.command[0]):
            raise ValueError("command: its first word is a program, not a variable")
        for name in self.all_files:
            if FILE_NAME.fullmatch(name) is None or name.startswith("."):
                raise ValueError(f"{name[:80]!r} is not the name of a file in the folder of the task file")
        return self

    @property
    def all_files(self) -> tuple[str, ...]:
        """Return the files beside the task file that the command gets, once each."""
        scripts = (each for each in self.command[1:] if each.endswith(".py") and not PLACEHOLDER.search(each))
        return tuple(dict.fromkeys((*scripts, *self.files)))


class Task(Document):
    """A task, every default filled in."""

    schema_: Annotated[Literal["minieval.task/1"], Field(alias="schema")] = SCHEMA
    id: Name | None = None
    expected: Name = "expected"
    accepted: Name | None = None
    group: Name | None = None
    features: Annotated[Names, Field(min_length=1)] | None = None
    trials: Annotated[int, Field(ge=1, le=100)] = 1
    types: Annotated[Table[ColumnType], Field(default_factory=dict, validate_default=True)]
    buckets: Buckets
    prediction: Reading = Reading()
    score: Scoring = Scoring()
    model: Annotated[Model, Field(default_factory=lambda: Model.model_validate({}))]
    files: Files = Files()
    evaluator: OwnEvaluator | None = None

    @model_validator(mode="after")
    def _is_sound(self) -> Task:
        if self.evaluator is not None:
            self._refuse_idle()
        if self.score.gate_classes and self.trials > 1:
            raise ValueError("gate_classes count one answer a row; leave out `trials`")
        return self

    def _refuse_idle(self) -> None:
        """Refuse what has no effect where a command evaluates."""
        given: list[str] = [name for name in ("prediction", "score", "files") if name in self.model_fields_set]
        given += [f"model.{name}" for name in sorted(self.model.model_fields_set - {"timeout_s"})]
        if given:
            raise ValueError(f"{given[0]} has no effect where [evaluator] names a command; remove it")

    @property
    def graded(self) -> bool:
        """Whether a row has more than two outcomes: a graded score, or several trials."""
        return self.scores_are_graded or self.trials > 1

    @property
    def scores_are_graded(self) -> bool:
        """Whether a row's score lies between wrong and right."""
        return self.score.is_graded if self.evaluator is None else self.evaluator.graded


CONVENTIONS: Final = Task.model_validate(
    {"id": "id", "accepted": "accepted", "group": "group", "buckets": {"lists": ["buckets"]}}
)


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A task as it was read: its path, the digest that a baseline and an evaluation name, and its scorer's source.

    ``evaluator`` has the bytes of each file that a command of its own gets, by name.
    """

    task: Task
    sha256: str
    path: Path
    scorer: bytes | None = None
    evaluator: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the paths of all that the digest covers: the task file, its scorer, the files of its evaluator."""
        scorer = self.task.score.python
        names = (*(() if scorer is None else (scorer,)), *self.evaluator)
        return (self.path, *(self.path.parent / name for name in names))


NO_TASK_FILE: Final = TaskFile(CONVENTIONS, "", Path())


def parse_task(data: bytes, *, where: str) -> Task:
    """Parse a task file; ``where`` is what messages call it.

    Raises:
        CannotJudge: it is not TOML, or not a valid task; the message names the key and the reason.
    """
    try:
        tree = tomllib.loads(data.decode("utf-8"), parse_float=_read_number)
    except _OutOfRange as error:
        raise CannotJudge(f"{where}: {error}") from error
    except (ValueError, RecursionError) as error:  # also of bytes that are not UTF-8, and of numbers too long to read
        raise CannotJudge(f"{where}: not TOML: {error}") from error
    if _has_long_integer(tree):
        raise CannotJudge(f"{where}: an integer has more than {MAX_NUMBER_DIGITS} digits")
    try:
        if tree.get("schema") != SCHEMA:
            raise CannotJudge(f'{where}: schema is {str(tree.get("schema"))[:80]!r}; write schema = "{SCHEMA}"')
        return Task.model_validate(tree)
    except ValidationError as error:
        place, reason = list_reasons(error)[0]
        raise CannotJudge(f"{where}: {f'{place}: ' if place else ''}{reason}") from error


def _has_long_integer(tree: Json) -> bool:
    """Return whether a value holds an integer of more digits than any number of a document, as only TOML's hex can."""
    level = [tree]
    while level:
        if any(isinstance(node, int) and abs(node) >= 10**MAX_NUMBER_DIGITS for node in level):
            return True
        nested = [node.values() if isinstance(node, dict) else node for node in level if isinstance(node, dict | list)]
        level = list(itertools.chain.from_iterable(nested))
    return False


class _OutOfRange(ValueError):
    """A number whose exponent no document has."""


def _read_number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent of more than 18 digits
        number = None
    # Written out, as in the name of a bin, such a number fills the memory. A zero has an exponent too.
    if number is None or (number.is_finite() and abs(number.adjusted()) > MAX_NUMBER_DIGITS):
        raise _OutOfRange(f"the number {text[:80]} is out of range: its exponent is beyond {MAX_NUMBER_DIGITS}")
    return number


def read_task(path: Path) -> TaskFile:
    """Read a task file, and the scorer or the evaluator's files that it names, which are in the same folder.

    Raises:
        CannotJudge: a file is missing, a link, or invalid, or the scorer lies elsewhere.
    """
    data = read_bytes(path, missing="name the task file that the eval set needs")
    task = parse_task(data, where=str(path))
    if task.evaluator is not None:
        files = {name: _read_beside(path, name, "evaluator") for name in task.evaluator.all_files}
        # The digest of digests, as of a scorer; the names are part of it, and have no line breaks.
        every = f"{digest_bytes(data)}\n" + "".join(f"{digest_bytes(files[name])} {name}\n" for name in sorted(files))
        return TaskFile(task, digest_bytes(every.encode()), path, evaluator=files)
    if task.score.python is None:
        return TaskFile(task, digest_bytes(data), path)
    scorer = _read_beside(path, scorer_path(path, task.score.python).name, "scorer")
    # The digest of two digests: no change of one file can be undone by a change of the other.
    both = f"{digest_bytes(data)}\n{digest_bytes(scorer)}\n".encode()
    return TaskFile(task, digest_bytes(both), path, scorer)


def scorer_path(path: Path, name: str) -> Path:
    """Return the path of the scorer that the task file at ``path`` names.

    Raises:
        CannotJudge: it is not the name of a file beside the task file.
    """
    if Path(name).name != name or not name.endswith(".py"):
        raise CannotJudge(f"{path}: score.python is {name[:80]!r}; name one .py file in the folder of the task file")
    return path.parent / name


def _read_beside(path: Path, name: str, role: str) -> bytes:
    """Return the bytes of a file beside the task file at ``path``, which names it as its ``role``."""
    found = path.parent / name
    if found.is_symlink():
        raise CannotJudge(f"{found}: a link; the {role} is made of files beside its task file")
    return read_bytes(found, missing=f"{path} names it as its {role}")
