"""pyfunc models of every kind, each saved by its function; imports MLflow, so a test imports it."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow
import mlflow.pyfunc
import pandas as pd
import pyarrow as pa
import pydantic
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from minieval.data.schema import Column, Kind
from tests.matrix.cases import Case
from tests.minieval.runner.tables import column, table

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no bundle imports this repository
PROMPTS = ["one", "two", "three", "four", "five", "six", "sieben \u00e9"]


class Question(pydantic.BaseModel):
    """A row of the model with a pydantic hint."""

    prompt: str
    weight: float
    tags: list[str] = []
    note: str | None = None


def save(place: Path, predict: Any, **options: Any) -> None:
    """Save a model that is written here by value, with nothing of this repository."""
    mlflow.pyfunc.save_model(place, python_model=predict, pip_requirements=[], **options)


def prompts(*, kind: Kind = Kind.TEXT) -> tuple[list[Column], pa.Table]:
    columns = [column("prompt", kind)]
    return columns, table(columns, {"prompt": PROMPTS})


def save_class(place: Path) -> Case:
    class Upper(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [prompt.upper() for prompt in model_input["prompt"]]

    save(place, Upper())
    return Case(*prompts(), [prompt.upper() for prompt in PROMPTS])


def save_from_code(place: Path) -> Case:
    save(place, str(Path(__file__).with_name("from_code.py")))
    return Case(*prompts(), [prompt[::-1] for prompt in PROMPTS])


def save_texts(place: Path) -> Case:
    """A hint of texts, and a number beside the text, which it cannot mean."""

    class Lengths(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, model_input: list[str]) -> list[int]:
            return [len(text) for text in model_input]

    save(place, Lengths())
    columns = [column("level", Kind.INTEGER), column("prompt", Kind.TEXT)]
    cells: dict[str, list[Any]] = {"level": list(range(len(PROMPTS))), "prompt": PROMPTS}
    return Case(columns, table(columns, cells), [len(prompt) for prompt in PROMPTS])


def save_dicts(place: Path) -> Case:
    class Join(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, model_input: list[dict[str, str]]) -> list[str]:
            return [f"{row['prompt']}/{row['level']}" for row in model_input]

    save(place, Join())
    columns = [column("prompt", Kind.TEXT), column("level", Kind.INTEGER)]
    cells: dict[str, list[Any]] = {"level": list(range(len(PROMPTS))), "prompt": PROMPTS}
    return Case(columns, table(columns, cells), [f"{prompt}/{i}" for i, prompt in enumerate(PROMPTS)])


def save_pydantic(place: Path) -> Case:
    """Integers where it wants floats, an optional field with nulls, a list, and a feature that it does not name."""

    class Weigh(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, model_input: list[Question]) -> list[dict[str, Any]]:
            return [{"text": q.prompt * len(q.tags), "weight": q.weight, "note": q.note is None} for q in model_input]

    save(place, Weigh())
    columns = [
        column("extra", Kind.BOOLEAN), column("note", Kind.TEXT), column("tags", Kind.TEXTS),
        column("weight", Kind.INTEGER), column("prompt", Kind.TEXT),
    ]  # fmt: skip
    cells: dict[str, list[Any]] = {
        "extra": [True] * 7,
        "note": [None if i % 2 else "x" for i in range(7)],
        "tags": [["t"] * (i % 3) for i in range(7)],
        "weight": list(range(7)),
        "prompt": PROMPTS,
    }
    expected = [{"text": prompt * (i % 3), "weight": float(i), "note": bool(i % 2)} for i, prompt in enumerate(PROMPTS)]
    return Case(columns, table(columns, cells), expected)


def save_with_code(place: Path) -> Case:
    class Shout(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            import parts  # type: ignore[import-not-found]

            return model_input["prompt"].map(parts.shout)

    save(place, Shout(), code_paths=[str(Path(__file__).with_name("parts.py"))])
    return Case(*prompts(), [prompt.upper() for prompt in PROMPTS])


def save_with_artifacts(place: Path) -> Case:
    class Lookup(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def load_context(self, context: Any) -> None:
            from pathlib import Path as Place

            self.words = Place(context.artifacts["words"]).read_text().split()

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [prompt in self.words for prompt in model_input["prompt"]]

    words = place.parent / "words.txt"
    words.write_text("two four")
    save(place, Lookup(), artifacts={"words": str(words)})
    return Case(*prompts(), [prompt in {"two", "four"} for prompt in PROMPTS])


class Cut(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Cuts each prompt to a length that is a param."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return one text a row."""
        return [prompt[: params["length"]] for prompt in model_input["prompt"]]


def save_with_params(place: Path) -> Case:
    params = ParamSchema([ParamSpec("length", DataType.long, 1)])
    signature = ModelSignature(Schema([ColSpec("string", "prompt")]), Schema([ColSpec("string")]), params)
    save(place, Cut(), signature=signature)
    return Case(*prompts(), [prompt[:2] for prompt in PROMPTS], {"length": 2})


def save_types(place: Path) -> Case:
    """Every type of a signature, from columns that hold it in another way; names of columns are numbers once."""

    class Types(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            types = [str(dtype) for dtype in model_input.dtypes]
            return [[types, str(row)] for row in model_input.to_numpy(dtype=object).tolist()]

    kinds = ["integer", "float", "double", "boolean", "datetime", "long"]
    specs = [ColSpec(kind, kind) for kind in kinds] + [ColSpec("double", "absent", required=False)]
    save(place, Types(), signature=ModelSignature(Schema(specs), Schema([ColSpec("string")])))
    columns = [
        column("integer", Kind.NUMBER), column("float", Kind.INTEGER), column("double", Kind.JSON),
        column("boolean", Kind.INTEGER), column("datetime", Kind.TEXT), column("long", Kind.TEXT),
    ]  # fmt: skip
    cells: dict[str, list[Any]] = {
        "integer": [1.0, 2.0, 3.0, 4.0],
        "float": [20, 2**24, 3, 4],
        "double": [20, 9007199254740993, None, 0.5],
        "boolean": [0, 1, 1, 0],
        "datetime": ["2024-01-01", "2024-01-01T12:30:00", "2024-01-01T12:30:00+02:00", None],
        "long": ["1", "9007199254740993", "-3", "4"],
    }
    moments = ["2024-01-01 00:00:00", "2024-01-01 12:30:00", "2024-01-01 10:30:00", None]
    types = ["int32", "float32", "float64", "bool", "datetime64[ns]", "int64"]
    rows = zip(
        [1, 2, 3, 4], [20.0, 2.0**24, 3.0, 4.0], [20.0, 9007199254740992.0, float("nan"), 0.5],
        [False, True, True, False], [pd.Timestamp(moment) if moment else pd.NaT for moment in moments],
        [1, 9007199254740993, -3, 4], strict=True,
    )  # fmt: skip
    return Case(columns, table(columns, cells), [[types, str(list(row))] for row in rows])


def save_natives(place: Path) -> Case:
    """Types of Parquet, as a model without a signature gets them."""

    class Show(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [repr(row) for row in model_input.to_numpy(dtype=object).tolist()]

    save(place, Show())
    types = {
        "moment": pa.timestamp("us"), "day": pa.date32(), "money": pa.decimal128(8, 2), "blob": pa.binary(),
        "small": pa.float32(),
    }  # fmt: skip
    cells: dict[str, list[Any]] = {
        "moment": [datetime.datetime(2024, 5, 1, 12, 30), None, datetime.datetime(2024, 5, 2)],
        "day": [datetime.date(2024, 5, 1), None, datetime.date(2024, 5, 2)],
        "money": [pa.scalar("1.50").cast(types["money"]), None, pa.scalar("2.00").cast(types["money"])],
        "blob": [b"\x00\xff", None, b""],
        "small": [0.5, None, 1.5],
    }
    columns = [column(name, Kind.NATIVE, type_) for name, type_ in types.items()]
    frame = table(columns, cells)
    return Case(columns, frame, [repr(row) for row in frame.to_pandas().to_numpy(dtype=object).tolist()])


KINDS: dict[str, Callable[[Path], Case]] = {
    "a class": save_class,
    "a model from code": save_from_code,
    "a hint of texts": save_texts,
    "a hint of dicts": save_dicts,
    "a hint of pydantic models": save_pydantic,
    "with code": save_with_code,
    "with artifacts": save_with_artifacts,
    "with params": save_with_params,
    "every type of a signature": save_types,
    "types of Parquet": save_natives,
}


def numbers_signature(*kinds: str) -> ModelSignature:
    return ModelSignature(Schema([ColSpec(kind, name) for name, kind in zip("abc", kinds, strict=False)]))


UNFIT: dict[str, tuple[Any, list[Column], dict[str, list[Any]], str]] = {
    "a missing column": (
        numbers_signature("double", "double"), [column("a", Kind.NUMBER)], {"a": [1.0]},
        "needs 'b', which the task does not name as `features`; they are 'a'$",
    ),
    "a fraction as an integer": (
        numbers_signature("long"), [column("a", Kind.NUMBER)], {"a": [1.0, 1.5]},
        r"rows 1 to 2: the feature 'a' of row 2 is 1\.5, and the model's signature asks for the type long$",
    ),
    "an integer that is too large": (
        numbers_signature("integer"), [column("a", Kind.INTEGER)], {"a": [2**31]}, "is 2147483648, .* type integer$",
    ),
    "a missing integer": (
        numbers_signature("long"), [column("a", Kind.NUMBER)], {"a": [1.0, None]}, "'a' of row 2 is missing, .* long$",
    ),
    "a word as a number": (
        numbers_signature("double"), [column("a", Kind.TEXT)], {"a": ["abc"]}, "is 'abc', .* type double$",
    ),
    "a word as a truth": (
        numbers_signature("boolean"), [column("a", Kind.TEXT)], {"a": ["False"]}, "is 'False', .* type boolean$",
    ),
    "another number of columns": (
        infer_signature(pd.DataFrame({"a": [1.0], "b": [1.0]}).to_numpy()),
        [column(name, Kind.NUMBER) for name in "abc"], {name: [1.0] for name in "abc"},
        r"an array of shape \(-1, 2\), and the features are 'a', 'b', 'c'; name as many features in the task",
    ),
    "two texts for one": (
        ModelSignature(Schema([ColSpec("string")])), [column("a", Kind.TEXT), column("b", Kind.TEXT)],
        {"a": ["x"], "b": ["y"]}, "takes one string a row, and the features are 'a', 'b'; name the one",
    ),
}  # fmt: skip


class Read(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Answers with a file's text, and with the names of the files that are there."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return one list a row."""
        from pathlib import Path as Place

        folder = Place(model_input["image"].iloc[0]).parent
        names = sorted(path.name for path in folder.iterdir())
        return [[Place(name).read_text(), names] for name in model_input["image"]]
