"""The predictor gives a model what its signature asks for, and reads every form that a model may return.

Each model here is one that MLflow saved, or a bundle written by hand, in a process of its own. One that echoes what it
got is asked row by row and all at once: the answers must be the same.
"""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

from minieval.contract.exits import CannotJudge
from minieval.data.schema import Column, Kind
from minieval.runner.predictions import Predictor
from minieval.runner.sandbox import Isolation
from tests.minieval.candidates import model, write_bundle
from tests.minieval.runner.tables import column, predict_in_batches, predictor, table
from tests.sampling import some_of

pytestmark = pytest.mark.filterwarnings("ignore")

# What a model got, one text a row: for a frame the dtype, the type and the value of each cell.
ECHO = """
def show(cell):
    return f"{type(cell).__name__} {cell!r}"

class Model:
    def predict(self, given, params=None):
        if hasattr(given, "columns"):
            assert repr(given.index) == f"RangeIndex(start=0, stop={len(given)}, step=1)"
            names = [(name, given[name].dtype, given[name].tolist()) for name in given.columns]
            rows = ["; ".join(f"{n} {d} {show(cells[i])}" for n, d, cells in names) for i in range(len(given))]
        elif isinstance(given, dict):
            rows = ["; ".join(f"{n} {a.dtype} {a[i].tolist()}" for n, a in given.items()) for i in range(size(given))]
        else:
            rows = [f"{given.dtype} {row.tolist()}" for row in given]
        return [row + (f" {sorted(params.items())}" if params else "") for row in rows]

def size(given):
    return len(next(iter(given.values())))

def _load_pyfunc(path):
    return Model()
"""

NUMBERS = [column("a", Kind.INTEGER), column("b", Kind.NUMBER)]
CELLS: dict[str, list[Any]] = {"a": [1, 2, 3], "b": [0.5, 2.0, None]}


def save_echo(place: Path, inputs: Schema | None, params: ParamSchema | None = None) -> Path:
    """A model that MLflow saved, with this signature, which echoes its input."""
    (place / "src").mkdir(parents=True)
    code = place / "src" / "candidate.py"
    code.write_text(ECHO)
    signature = None if inputs is None else ModelSignature(inputs=inputs, params=params)
    bundle = place / "bundle"
    mlflow.pyfunc.save_model(
        bundle, loader_module="candidate", code_paths=[str(code)], signature=signature, pip_requirements=[]
    )
    return bundle


def save_hinted(place: Path, body: str) -> Path:
    """A model from code, whose type hints are its signature."""
    script = place / "hinted.py"
    script.write_text("import mlflow, pydantic\n" + textwrap.dedent(body) + "\nmlflow.models.set_model(Model())\n")
    mlflow.pyfunc.save_model(place / "bundle", python_model=str(script), pip_requirements=[])
    return place / "bundle"


def ask(
    found: Predictor, columns: Sequence[Column], cells: Mapping[str, Sequence[Any]], params: Mapping[str, Any] = {}
) -> list[Any]:
    """The answers: the same with Arrow and with JSON, row by row and all at once."""
    features = table(columns, cells)
    ways = []
    for found.arrow in (True, False):
        ways += [predict_in_batches(found, columns, features, size, params) for size in (1, features.num_rows)]
    assert ways == [ways[0]] * 4
    return ways[0]


# Without a signature.

EVERY_KIND = [
    column("flag", Kind.BOOLEAN), column("whole", Kind.INTEGER), column("real", Kind.NUMBER),
    column("text", Kind.TEXT), column("texts", Kind.TEXTS), column("free", Kind.JSON),
    column("day", Kind.NATIVE, pa.date32()), column("moment", Kind.NATIVE, pa.timestamp("ms", tz="UTC")),
    column("small", Kind.NATIVE, pa.float32()), column("raw", Kind.NATIVE, pa.binary()),
]  # fmt: skip
MOMENT = datetime.datetime(2026, 3, 1, 12, 30, tzinfo=datetime.UTC)
EVERY_CELL: dict[str, list[Any]] = {
    "flag": [True, False],
    "whole": [2**53 + 1, -1],
    "real": [1.0, None],
    "text": ["\U0001f600", "5"],
    "texts": [["a", "b"], []],
    "free": [{"k": [1, None]}, 2.5],
    "day": [MOMENT.date(), datetime.date(1999, 12, 31)],
    "moment": [MOMENT, MOMENT + datetime.timedelta(days=1)],
    "small": [0.1, 2.0],
    "raw": [b"\xff\0", b""],
}


@pytest.mark.slow
def test_without_a_signature_a_model_gets_a_frame_of_the_features(tmp_path: Path) -> None:
    with predictor(save_echo(tmp_path, None)) as found:
        first, second = ask(found, EVERY_KIND, EVERY_CELL)
    parts = first.split("; ")
    assert parts[:4] == [
        "flag bool bool True",
        f"whole int64 int {2**53 + 1}",
        "real float64 float 1.0",
        "text str str '\U0001f600'",
    ]
    assert parts[4:7] == [
        "texts object list ['a', 'b']",
        "free object dict {'k': [1, None]}",
        "day object date datetime.date(2026, 3, 1)",
    ]
    assert parts[7] == "moment datetime64[ms, UTC] Timestamp Timestamp('2026-03-01 12:30:00+0000', tz='UTC')"
    assert parts[8].startswith("small float32 float 0.1000000")
    assert parts[9] == "raw object bytes b'\\xff\\x00'"
    assert "real float64 float nan; text str str '5'; texts object list []; free object float 2.5" in second


# With one.


@pytest.mark.slow
def test_a_column_has_the_type_of_the_signature(tmp_path: Path) -> None:
    """In the signature's order, without the columns that it does not name; an optional one may be missing."""
    inputs = Schema([
        ColSpec("double", "b"), ColSpec("float", "a"), ColSpec("long", "l"), ColSpec("integer", "i"),
        ColSpec("string", "s"), ColSpec("boolean", "t"), ColSpec("datetime", "d"),
        ColSpec("double", "o", required=False), ColSpec("double", "p", required=False),
    ])  # fmt: skip
    columns = [
        column("i", Kind.NUMBER), column("unnamed", Kind.TEXT), column("a", Kind.INTEGER), column("b", Kind.INTEGER),
        column("s", Kind.INTEGER), column("l", Kind.TEXT), column("t", Kind.INTEGER), column("d", Kind.TEXT),
        column("p", Kind.NUMBER),
    ]  # fmt: skip
    cells: dict[str, list[Any]] = {
        "i": [3.0, -4.0],
        "unnamed": ["x", "y"],
        "a": [1, 2],
        "b": [1, 2],
        "s": [7, 8],
        "l": ["12", str(2**53 + 1)],
        "t": [1, 0],
        "d": ["2026-03-01T12:30:00Z", "2026-03-02"],
        "p": [None, 1.5],
    }
    with predictor(save_echo(tmp_path, inputs)) as found:
        first, second = ask(found, columns, cells)
    assert first == (
        "b float64 float 1.0; a float32 float 1.0; l int64 int 12; i int32 int 3; s str str '7'; t bool bool True; "
        "d datetime64[ns] Timestamp Timestamp('2026-03-01 12:30:00'); p float64 float nan"
    )
    assert f"l int64 int {2**53 + 1}; i int32 int -4" in second
    assert second.endswith("p float64 float 1.5")


@pytest.mark.slow
def test_params_of_the_task_reach_the_model(tmp_path: Path) -> None:
    params = ParamSchema([ParamSpec("top", "long", 1), ParamSpec("rate", "double", 0.5)])
    with predictor(save_echo(tmp_path, Schema([ColSpec("long", "a")]), params)) as found:
        assert ask(found, NUMBERS[:1], {"a": [1]}, {"top": 3}) == ["a int64 int 1 [('rate', 0.5), ('top', 3)]"]
        with pytest.raises(CannotJudge, match=r"does not have the param 'tpo' \(it takes 'top', 'rate'\)"):
            found.configure(NUMBERS[:1], {"tpo": 3})


@pytest.mark.slow
def test_a_param_of_another_type_is_refused(tmp_path: Path) -> None:
    params = ParamSchema([ParamSpec("top", "long", 1)])
    with predictor(save_echo(tmp_path, Schema([ColSpec("long", "a")]), params)) as found:
        found.configure(NUMBERS[:1], {"top": "many"})
        with pytest.raises(CannotJudge, match=r"failed on rows 1 to 1: .*top"):
            found.predict(table(NUMBERS[:1], {"a": [1]}), first=1)


@pytest.mark.slow
def test_columns_without_names_are_taken_in_order(tmp_path: Path) -> None:
    inputs = Schema([ColSpec("double"), ColSpec("double")])
    with predictor(save_echo(tmp_path, inputs)) as found:
        assert ask(found, NUMBERS, CELLS)[0] == "0 float64 float 1.0; 1 float64 float 0.5"
        with pytest.raises(CannotJudge, match="has 2 columns without names, and the features are 'a', 'b', 'c'"):
            found.configure([*NUMBERS, column("c", Kind.TEXT)], {})


@pytest.mark.slow
def test_a_tensor_gets_an_array(tmp_path: Path) -> None:
    """Of one column a number, or of one column of lists."""
    with predictor(save_echo(tmp_path, Schema([TensorSpec(np.dtype("float32"), (-1, 2))]))) as found:
        assert ask(found, NUMBERS, CELLS)[:2] == ["float32 [1.0, 0.5]", "float32 [2.0, 2.0]"]
        lists = {"pixels": [[1, 2], [0.5, 4]]}
        assert ask(found, [column("pixels", Kind.JSON)], lists) == ["float32 [1.0, 2.0]", "float32 [0.5, 4.0]"]


@pytest.mark.slow
def test_named_tensors_get_a_dict_of_arrays(tmp_path: Path) -> None:
    inputs = Schema([TensorSpec(np.dtype("int64"), (-1, 2, 2), "grid"), TensorSpec(np.dtype("float64"), (-1,), "age")])
    columns = [column("age", Kind.INTEGER), column("grid", Kind.JSON)]
    cells: dict[str, list[Any]] = {"age": [7, 8], "grid": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}
    with predictor(save_echo(tmp_path, inputs)) as found:
        assert ask(found, columns, cells) == [
            "grid int64 [[1, 2], [3, 4]]; age float64 7.0",
            "grid int64 [[5, 6], [7, 8]]; age float64 8.0",
        ]


HINTED: dict[str, tuple[str, str, list[Column], dict[str, list[Any]], list[Any]]] = {
    "texts": (
        "list[str]", "[text.upper() for text in model_input]",
        [column("n", Kind.INTEGER), column("q", Kind.TEXT)], {"n": [1, 2], "q": ["a", "b"]}, ["A", "B"],
    ),
    "dicts": (
        "list[dict[str, int]]", "[row['a'] - row['b'] for row in model_input]",
        [column("a", Kind.INTEGER), column("b", Kind.INTEGER)], {"a": [5, 6], "b": [1, 1]}, [4, 5],
    ),
    "lists": (
        "list[list[float]]", "[sum(row) for row in model_input]",
        [column("x", Kind.JSON)], {"x": [[1, 2], [0.5]]}, [3.0, 0.5],
    ),
    "pydantic models": (
        "list[Row]", "[Answer(label=row.name, size=row.size or -1) for row in model_input]",
        [column("name", Kind.TEXT), column("size", Kind.INTEGER), column("other", Kind.TEXT)],
        {"name": ["a", "b"], "size": [1, 2], "other": ["x", "y"]},
        [{"label": "a", "size": 1}, {"label": "b", "size": 2}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HINTED)
@pytest.mark.slow
def test_type_hints_are_a_signature(name: str, tmp_path: Path) -> None:
    hint, result, columns, cells, expected = HINTED[name]
    body = f"""
    class Row(pydantic.BaseModel):
        name: str
        size: int | None = None

    class Answer(pydantic.BaseModel):
        label: str
        size: int

    class Model(mlflow.pyfunc.PythonModel):
        def predict(self, model_input: {hint}, params=None):
            return {result}
    """
    with predictor(save_hinted(tmp_path, body)) as found:
        assert ask(found, columns, cells) == expected


UNFIT = {
    "a missing feature": (
        [column("x", Kind.TEXT)], {"x": ["?"]},
        "needs 'a', 'b', which the task does not name as `features`; they are 'x'$",
    ),
    "a fraction": (
        [column("a", Kind.NUMBER), column("b", Kind.NUMBER)], {"a": [1.0, 1.5], "b": [0.0, 0.0]},
        "failed on rows 41 to 42: the feature 'a' of row 42 is 1.5, and the model's signature asks for the type long$",
    ),
    "a word": (
        [column("a", Kind.INTEGER), column("b", Kind.TEXT)], {"a": [1, 2], "b": ["\x1b[2J", "2"]},
        "the feature 'b' of row 41 is '.*2J', and the model's signature asks for the type double$",
    ),
    "a missing value": (
        [column("a", Kind.NUMBER), column("b", Kind.NUMBER)], {"a": [1.0, None], "b": [0.0, 0.0]},
        "the feature 'a' of row 42 is missing, and the model's signature asks for the type long$",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "cells", "words"), UNFIT.values(), ids=UNFIT.keys())
@pytest.mark.slow
def test_features_that_do_not_fit_are_one_sentence(
    columns: list[Column], cells: dict[str, list[Any]], words: str, tmp_path: Path
) -> None:
    bundle = save_echo(tmp_path, Schema([ColSpec("long", "a"), ColSpec("double", "b")]))
    with predictor(bundle) as found, pytest.raises(CannotJudge, match=words) as caught:
        found.configure(columns, {})
        found.predict(table(columns, cells), first=41)
    assert str(caught.value).isprintable()


# What a model returns: it is asked for a form by the text of its rows.

FORMS = """
import dataclasses, datetime, decimal, enum, random
import numpy, pandas, pydantic, scipy.sparse

class Color(enum.Enum):
    RED = "red"

class Answer(pydantic.BaseModel):
    label: str
    score: float

@dataclasses.dataclass
class Plain:
    label: str

class Model:
    def predict(self, frame):
        n = len(frame)
        return eval(frame["form"][0], {**globals(), "n": n})

def _load_pyfunc(path):
    return Model()
"""
DICT = [{"a": 0, "b": "x"}, {"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
RETURNED: dict[str, list[Any]] = {
    "list('abc')": ["a", "b", "c"],
    "tuple('abc')": ["a", "b", "c"],
    "(c for c in 'abc')": ["a", "b", "c"],
    "numpy.array(['a', 'b', 'c'])": ["a", "b", "c"],
    "numpy.array([1, 2, 3], dtype='int8')": [1, 2, 3],
    "numpy.array([2**63 + 1] * 3, dtype='uint64')": [2**63 + 1] * 3,
    "[2**70, -2**53 - 1, True]": [2**70, -(2**53) - 1, True],
    "numpy.array([True, False, True])": [True, False, True],
    "numpy.array([0.5, numpy.nan, numpy.inf])": [0.5, None, None],
    "numpy.array([[0.25, 0.75]] * 3, dtype='float32')": [[0.25, 0.75]] * 3,
    "numpy.array([[1], [2], [3]])": [[1], [2], [3]],
    "numpy.array(['2026-03-01', 'NaT', '2026-03-02'], dtype='datetime64[D]')": ["2026-03-01", None, "2026-03-02"],
    "[numpy.float32(0.5), numpy.int64(2), numpy.bool_(True)]": [0.5, 2, True],
    "[numpy.str_('a'), numpy.array([1, 2]), numpy.array(3)]": ["a", [1, 2], 3],
    "scipy.sparse.csr_matrix([[0, 1], [1, 0], [0, 0]])": [[0, 1], [1, 0], [0, 0]],
    "pandas.Series(['a', 'b', 'c'])": ["a", "b", "c"],
    "pandas.Series([1, None, 3], dtype='Int64')": [1, None, 3],
    "pandas.Series(['a', None, 'c'])": ["a", None, "c"],
    "pandas.Series(['a', 'b', 'c'], dtype='category')": ["a", "b", "c"],
    "pandas.Series(['b', 'c', 'a'], index=[1, 2, 0])": ["a", "b", "c"],
    "pandas.Series(['a', 'b', 'c'], index=['x', 'y', 'z'])": ["a", "b", "c"],
    "pandas.Series(['a', 'b', 'c'], index=[7, 8, 9])": ["a", "b", "c"],
    "pandas.to_datetime(pandas.Series(['2026-03-01', None, '2026-03-02']))": [
        "2026-03-01T00:00:00", None, "2026-03-02T00:00:00",
    ],
    "pandas.DataFrame({'anything': [1, 2, 3]})": [1, 2, 3],
    "pandas.DataFrame({'x': 0, 'prediction': [1, 2, 3]})": [1, 2, 3],
    "pandas.DataFrame({'a': [0, 1, 2], 'b': 'x'})": DICT,
    "pandas.DataFrame({'a': [2, 0, 1], 'b': 'x'}, index=[2, 0, 1])": DICT,
    "numpy.array(['2026-03-01T12', 'NaT', '2026-03-02'], dtype='datetime64[ns]')": [
        "2026-03-01T12:00:00",
        None,
        "2026-03-02T00:00:00",
    ],
    "[numpy.datetime64('2026-03-01', 'ns'), numpy.datetime64('2026-03-01'), numpy.datetime64('NaT', 'ns')]": [
        "2026-03-01T00:00:00",
        "2026-03-01",
        None,
    ],
    "numpy.array([['2026-03-01']] * 3, dtype='datetime64[ns]')": [["2026-03-01T00:00:00"]] * 3,
    "pandas.DataFrame({0: [0.5] * 3, 1: [0.5] * 3})": [{"0": 0.5, "1": 0.5}] * 3,
    "{'a': [0, 1, 2], 'b': numpy.array(['x'] * 3)}": DICT,
    "{'label': ['a', 'b', 'c']}": ["a", "b", "c"],
    "[{'a': numpy.int64(1), 2: None}] * n": [{"a": 1, "2": None}] * 3,
    "[Answer(label='a', score=0.5)] * n": [{"label": "a", "score": 0.5}] * 3,
    "[Plain('a')] * n": [{"label": "a"}] * 3,
    "[Color.RED] * n": ["red"] * 3,
    "[{3, 1, 2}, frozenset(), (1, 2)]": [[1, 2, 3], [], [1, 2]],
    "[decimal.Decimal('0.5'), decimal.Decimal('1E+2'), decimal.Decimal('NaN')]": [0.5, 100, None],
    "[datetime.date(2026, 3, 1), pandas.NaT, pandas.NA]": ["2026-03-01", None, None],
    "[None, float('nan'), [float('-inf'), {'x': float('nan')}]]": [None, None, [None, {"x": None}]],
    "['\\x00\\u2028\\U0001f600', '', ' ']": ["\x00\u2028\U0001f600", "", " "],
}  # fmt: skip
WRONG_FORMS = {
    "'abc'": "the model returned a str, not one answer a row",
    "None": "the model returned a NoneType, not one answer a row",
    "3": "returned a int, not one answer a row",
    "numpy.float64(3)": "returned",
    "{'a': [1, 2]}": "a dict whose values are not 3 each",
    "{}": "a dict whose values are not 3 each",
    "{'a': 'xyz'}": "a dict whose values are not 3 each",
    "['a', 'b']": r"the model returned 2 answers for 3 rows \(rows 1 to 3\)",
    "numpy.array([['a', 'b', 'c']])": "returned 1 answers for 3 rows",
    "(i for i in iter(int, 1))": "returned 4 answers for 3 rows",
    "pandas.DataFrame()": "returned 0 answers for 3 rows",
    "pandas.DataFrame([[1, 2]] * 3, columns=['x', 'x'])": "two values under the name 'x'",
    "{1: [1, 2, 3], '1': [4, 5, 6]}": "two values under the name '1'",
    "[{1: 0, '1': 1}] * 3": "two values under the name '1'",
    "[b'a'] * 3": "bytes, which is not a value of JSON",
    "[object()] * 3": "object, which is not a value of JSON",
    "[1 + 2j] * 3": "complex, which is not a value of JSON",
    "['\\ud800'] * 3": "UnicodeEncodeError",
    "(lambda x: x.append(x) or x * 3)([])": "RecursionError",
    "1 / 0": "failed on rows 1 to 3: ZeroDivisionError: division by zero",
    'exec(\'raise KeyError("x" * 10**6 + " the cause")\')': "KeyError: .*x the cause",
    "exit(0)": "failed on rows 1 to 3: SystemExit: 0",
    "[input()] * 3": "EOFError",
}
FORM = [column("form", Kind.TEXT)]


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("forms") / "bundle", FORMS)


@pytest.fixture(scope="module")
def returning(forms: Path) -> Iterator[Predictor]:
    """A predictor that returns what the text of its rows is the Python expression of."""
    with predictor(forms) as found:
        found.configure(FORM, {})
        yield found


@pytest.mark.parametrize(("form", "expected"), RETURNED.items(), ids=RETURNED.keys())
@pytest.mark.slow
def test_every_form_is_read(form: str, expected: list[Any], returning: Predictor) -> None:
    answers = returning.predict(table(FORM, {"form": [form] * 3}), first=1)
    assert repr(answers) == repr(expected), "with its types: to Python, 1 == 1.0 == True"


ONE = {
    "'abc'": "abc", "3": 3, "numpy.float64(0.5)": 0.5, "numpy.array(7)": 7, "None": None, "float('nan')": None,
    "{'a': 1, 'b': [1, 2]}": {"a": 1, "b": [1, 2]}, "Answer(label='a', score=1)": {"label": "a", "score": 1.0},
    "{'label': ['a']}": "a",
}  # fmt: skip


@pytest.mark.parametrize(("form", "expected"), ONE.items(), ids=ONE.keys())
@pytest.mark.slow
def test_a_batch_of_one_may_be_answered_with_one_value(form: str, expected: Any, returning: Predictor) -> None:
    assert repr(returning.predict(table(FORM, {"form": [form]}), first=1)) == repr([expected])


@pytest.mark.slow
@pytest.mark.parametrize("form", some_of(WRONG_FORMS, 3))
def test_another_form_is_refused(form: str, forms: Path) -> None:
    words = WRONG_FORMS[form]
    with predictor(forms) as found:
        found.configure(FORM, {})
        with pytest.raises(CannotJudge, match=words) as caught:
            found.predict(table(FORM, {"form": [form] * 3}), first=1)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


# Files.

READ_FILE = model("""
import os
def look(path):
    try:
        open(path, "a").close()
        can = "written"
    except OSError:
        can = "read"
    return [open(path).read(), can, os.path.dirname(path), sorted(os.listdir(os.path.dirname(path)))]
return [look(path) if isinstance(path, str) else None for path in frame["image"]]
""")


@pytest.mark.parametrize("isolation", [Isolation.BWRAP, Isolation.PROCESS])
@pytest.mark.slow
def test_a_column_of_files_has_paths_in_the_folder_that_is_shown(isolation: Isolation, tmp_path: Path) -> None:
    files = tmp_path / "shown"
    files.mkdir()
    (files / "1.txt").write_text("one")
    columns = [column("image", Kind.TEXT)]
    with predictor(write_bundle(tmp_path / "bundle", READ_FILE), isolation=isolation, files=files) as found:
        found.configure(columns, {}, ["image"])
        (answer, none) = found.predict(table(columns, {"image": ["1.txt", None]}), first=1)
    folder = "/files" if isolation is Isolation.BWRAP else str(files)
    assert answer[0] == "one" and answer[2:] == [folder, ["1.txt"]]
    assert isolation is Isolation.PROCESS or answer[1] == "read"
    assert none is None
