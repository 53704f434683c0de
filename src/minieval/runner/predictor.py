"""The predictor: the process that runs the candidate. It gets features, and never a label.

`minieval.runner.sandbox` starts it as a script in the model's environment: it imports nothing of this package, and runs
on Python 3.9 and MLflow 2.9.

- Requests (`minieval.runner.wire`) arrive on the original stdin; answers go as JSON lines to the original stdout.
  Both are moved to other descriptors first: the candidate prints to stderr, and reads from /dev/null.
- Limits and capabilities are not set here: `minieval.runner.launcher` set them before this Python started.
- The model gets what its signature or its type hints ask for, as MLflow's scoring server would give it, and without
  a signature a frame of the features. A column has one dtype, whatever the rows of a batch are.
- A value that the asked type cannot hold (1.5 as an integer) is an error, where that server would change the value.
- Nothing here defends against the candidate, which shares this process: the reader of the answers checks everything.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import decimal
import enum
import functools
import gc
import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

MAX_REASON = 400  # characters of an error that are passed on
DTYPES = {  # of MLflow's types; strings are `_text()`
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "datetime": "datetime64[ns]",
    "binary": "object",
}

Series = Any  # pandas.Series
Column = dict[str, str]  # name, kind and type, as minieval.data.schema has them
Columns = dict[str, Series]  # the features of a batch by name, in their order
Form = Callable[[Columns, int], Any]  # from the features, and the first row's number, to the model's input


class UnfitFeatures(Exception):
    """The features cannot be given to this model; the message is one sentence without a row range."""


def main() -> int:
    """Load the bundle, report that it is ready, then answer each request with one line."""
    arguments = _arguments()
    if not getattr(sys.flags, "safe_path", False):  # a Python before 3.11 puts the script's folder first
        del sys.path[0]
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as answers:
        _move_standard_streams()

        def answer(message: dict[str, Any]) -> None:
            answers.write(json.dumps(message, ensure_ascii=False, allow_nan=False).encode() + b"\n")
            answers.flush()

        try:
            model = _load(arguments.bundle)
            ready = {"ready": True, "arrow": _has_arrow()}
            answer(ready)
            task = None
            for line in requests:
                header = json.loads(line)
                body = requests.read(header["bytes"])
                if header["form"] == "setup":
                    task = Task(model, json.loads(body), arguments.files)
                    answer(ready)
                elif task is None:
                    raise RuntimeError("rows came before the columns")
                else:
                    answer({"predictions": task.predict(header, body)})
        except BaseException as error:
            # Any exception of a candidate, SystemExit included, becomes one sentence.
            answer({"error": _describe(error)})
            return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--files", default="")
    return parser.parse_args()


def _move_standard_streams() -> None:
    """Give the candidate's prints to stderr, and nothing to read, before its first byte is loaded."""
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)


def _load(bundle: str) -> Any:
    # Objects of an import live to the end; searching them for garbage takes a seventh of the import's time.
    gc.disable()
    import mlflow.pyfunc
    import pandas  # noqa: F401

    gc.enable()
    return mlflow.pyfunc.load_model(bundle)


def _has_arrow() -> bool:
    try:
        import pyarrow.ipc  # noqa: F401
    except ImportError:
        return False
    return True


class Task:
    """A model with the columns that every batch has, the params, and the folder of files."""

    def __init__(self, model: Any, setup: dict[str, Any], folder: str) -> None:
        self._model = model
        self._columns: list[Column] = setup["columns"]
        self._files = dict.fromkeys(setup["files"], folder)
        self._options = {"params": setup["params"]} if setup["params"] else {}
        _check_params(model, setup["params"])
        self._form = _choose_form(model.metadata, self._columns)

    def predict(self, header: dict[str, Any], body: bytes) -> list[Any]:
        """Return the model's answers for a batch, as JSON."""
        features = _read_arrow(body, self._columns) if header["form"] == "arrow" else _read_json(body, self._columns)
        for name, folder in self._files.items():
            paths = [None if _is_missing(cell) else f"{folder}/{cell}" for cell in features[name]]
            features[name] = _series(paths, _text())
        result = self._model.predict(self._form(features, header["first"]), **self._options)
        return _list_answers(result, header["rows"])


def _check_params(model: Any, params: dict[str, Any]) -> None:
    schema = model.metadata.get_params_schema() if params else None
    known = [param.name for param in schema.params] if schema is not None else []
    unknown = [name for name in params if name not in known]
    if unknown:
        # MLflow itself only logs a warning, and predicts without them.
        takes = f"takes {', '.join(map(repr, known))}" if known else "takes none"
        raise UnfitFeatures(f"the model's signature does not have the param {unknown[0]!r} (it {takes})")


# What arrives: one pandas.Series a column, of a dtype that the column's kind decides alone.


def _read_arrow(body: bytes, columns: Sequence[Column]) -> Columns:
    import pyarrow
    import pyarrow.ipc

    table = pyarrow.ipc.open_stream(body).read_all()
    nested = pyarrow.types.is_nested
    return {
        column["name"]: _restore(cells.to_pylist() if nested(cells.type) else cells.to_pandas(), column)
        for column, cells in zip(columns, table.columns)
    }


def _read_json(body: bytes, columns: Sequence[Column]) -> Columns:
    return {
        column["name"]: _restore(_revive(cells, column), column) for column, cells in zip(columns, json.loads(body))
    }


def _restore(cells: Any, column: Column) -> Series:
    """Return a column of its kind's dtype: a batch of integers alone, or of nothing, has no dtype of its own."""
    import pandas

    kind = column["kind"]
    if kind == "json":
        return _series([None if _is_missing(cell) else json.loads(cell) for cell in cells], object)
    if kind == "native":
        return cells if isinstance(cells, pandas.Series) else _series(cells, object)
    dtype = {"boolean": bool, "integer": "int64", "number": "float64", "text": _text(), "texts": object}[kind]
    return cells.astype(dtype) if isinstance(cells, pandas.Series) and kind != "text" else _series(cells, dtype)


def _revive(cells: list[Any], column: Column) -> Any:
    """Return the cells of a type that JSON does not have, as Arrow would have given them."""
    import pandas

    kind = column["type"]
    if column["kind"] != "native":
        return cells
    if kind.startswith("timestamp"):
        unit, aware = kind[len("timestamp[") :].split("]")[0].split(",")[0], "tz=" in kind
        moments = pandas.to_datetime(pandas.Series(cells, dtype=object), utc=aware)
        return moments.dt.as_unit(unit) if hasattr(moments.dt, "as_unit") else moments  # pandas 1 has nanoseconds alone
    read: dict[str, Callable[[Any], Any]] = {
        "date": datetime.date.fromisoformat,
        "decimal": decimal.Decimal,
        "binary": base64.b64decode,
        "large_binary": base64.b64decode,
        "fixed_size_binary": base64.b64decode,
    }
    for name, function in read.items():
        if kind.startswith(name):
            return [None if cell is None else function(cell) for cell in cells]
    return pandas.Series(cells, dtype={"float": "float32", "halffloat": "float16"}.get(kind, kind))


def _series(cells: Any, dtype: Any) -> Series:
    import pandas

    return pandas.Series(cells, dtype=dtype)


@functools.cache
def _text() -> Any:
    """Return the dtype that pandas gives to strings of itself: `str` since 3.0, `object` before."""
    import pandas

    return "str" if int(pandas.__version__.split(".")[0]) >= 3 else object


# What the model gets.


def _choose_form(metadata: Any, columns: Sequence[Column]) -> Form:
    """Return the conversion that the signature asks for; a feature that it misses is an error before any row."""
    schema = metadata.get_input_schema()
    if schema is None or not schema.inputs:
        return lambda features, _: _frame(features)
    if getattr(metadata, "_is_signature_from_type_hint", bool)():
        return _choose_hint(schema.inputs[0].type, columns)
    if schema.is_tensor_spec():
        return _choose_tensors(schema, columns)
    if not schema.has_input_names():
        return _choose_unnamed(schema.inputs, columns)
    specs = _match_names(schema, columns)
    return lambda features, first: _frame(
        {spec.name: _cast(features[name], spec.type, name, first) for name, spec in specs.items()}
    )


def _choose_unnamed(specs: Sequence[Any], columns: Sequence[Column]) -> Form:
    names = [_find_lone(specs[0].type, columns)] if len(specs) == 1 else [column["name"] for column in columns]
    if len(names) != len(specs):
        raise UnfitFeatures(
            f"the model's signature has {len(specs)} columns without names, and the features are {_list(names)}; "
            "name as many features in the task, in the order of the model's training"
        )
    return lambda features, first: _frame(
        {index: _cast(features[name], spec.type, name, first) for index, (name, spec) in enumerate(zip(names, specs))}
    )


def _choose_tensors(schema: Any, columns: Sequence[Column]) -> Form:
    if schema.has_input_names():
        specs = _match_names(schema, columns)
        return lambda features, first: {
            spec.name: _stack({name: features[name]}, spec, first) for name, spec in specs.items()
        }
    spec, names = schema.inputs[0], [column["name"] for column in columns]
    if len(names) > 1 and (len(spec.shape) != 2 or spec.shape[1] not in {-1, len(names)}):
        raise UnfitFeatures(
            f"the model's signature has an array of shape {tuple(spec.shape)}, and the features are {_list(names)}; "
            "name as many features in the task, in the order of the model's training"
        )
    return lambda features, first: _stack(features, spec, first)


def _choose_hint(kind: Any, columns: Sequence[Column]) -> Form:
    """Return the conversion to a list of the type hint's items: one value, or one dict, a row.

    MLflow makes a pydantic model of a dict.
    """
    names, shape = [column["name"] for column in columns], type(kind).__name__
    if shape == "Object":
        fields = {field.name: field for field in kind.properties}
        _refuse_missing([name for name, field in fields.items() if field.required], names)
        kinds = {name: fields[name].dtype for name in names if name in fields}
    elif shape == "Map" or (shape == "AnyType" and len(names) > 1):
        kinds = dict.fromkeys(names, getattr(kind, "value_type", kind))
    else:
        lone = _find_lone(kind, columns)
        return lambda features, first: _list_values(_cast(features[lone], kind, lone, first))
    return lambda features, first: _list_rows(
        {name: _cast(features[name], each, name, first) for name, each in kinds.items()}
    )


def _match_names(schema: Any, columns: Sequence[Column]) -> dict[str, Any]:
    """Return the inputs that the features have, by feature, in the signature's order; names may be numbers there."""
    names = [column["name"] for column in columns]
    _refuse_missing([str(name) for name in schema.required_input_names()], names)
    return {str(spec.name): spec for spec in schema.inputs if str(spec.name) in names}


def _refuse_missing(required: Iterable[str], names: Sequence[str]) -> None:
    missing = [name for name in required if name not in names]
    if missing:
        raise UnfitFeatures(
            f"the model's signature needs {_list(missing)}, which the task does not name as `features`; they are "
            f"{_list(names)}"
        )


def _find_lone(kind: Any, columns: Sequence[Column]) -> str:
    """Return the one column that a model of one input can mean: the only one, or the only one of text for a string."""
    names = [column["name"] for column in columns]
    fitting = {"string": ("text",), "Array": ("texts", "json")}.get(_name_type(kind), ())
    lone = names if len(names) == 1 else [column["name"] for column in columns if column["kind"] in fitting]
    if len(lone) != 1:
        raise UnfitFeatures(
            f"the model takes one {_name_type(kind)} a row, and the features are {_list(names)}; "
            "name the one that it takes as the task's features"
        )
    return lone[0]


def _list(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _name_type(kind: Any) -> str:
    return kind.name if isinstance(kind, enum.Enum) else type(kind).__name__


def _frame(columns: dict[Any, Series]) -> Any:
    import pandas

    return pandas.DataFrame(columns)


def _list_values(cells: Series) -> list[Any]:
    return [None if _is_missing(cell) else cell for cell in cells.tolist()]


def _list_rows(columns: Columns) -> list[dict[str, Any]]:
    return [dict(zip(columns, cells)) for cells in zip(*map(_list_values, columns.values()))]


def _stack(columns: Columns, spec: Any, first: int) -> Any:
    """Return an array of the tensor's type and shape: from one column of numbers or lists, or one column a number."""
    import numpy

    dtype, rest = numpy.dtype(spec.type), tuple(spec.shape[1:])
    wanted = {"f": "double", "i": "long", "u": "long", "b": "boolean", "U": "string"}.get(dtype.kind, "")
    cells = next(iter(columns.values()))
    try:
        if len(columns) > 1 or not isinstance(cells.iloc[0], (list, numpy.ndarray)):
            scalars = [_cast(each, wanted, name, first).to_numpy() for name, each in columns.items()]
            array = numpy.stack(scalars, axis=1) if len(rest) == 1 else scalars[0]
        else:
            array = numpy.asarray(cells.tolist(), dtype="float64" if dtype.kind == "f" else None)
        cast = array.astype(dtype)
        if dtype.kind in "iu" and (cast != array).any():
            raise ValueError(f"a value is no {dtype}")
        return cast.reshape((len(cells), *rest)) if -1 not in rest else cast
    except (TypeError, ValueError) as error:
        shown = f"{_list(list(columns))} cannot become an array of {dtype} with the shape {tuple(spec.shape)}"
        raise UnfitFeatures(f"{shown}: {error}") from error


def _cast(cells: Series, kind: Any, name: str, first: int) -> Series:
    """Return a column as MLflow's type ``kind`` (or the name of one); every batch of it has one dtype."""
    wanted = kind if isinstance(kind, str) else _name_type(kind)
    had = cells.dtype.kind
    if had in {"float": "iufb", "double": "iufb", "long": "ib", "boolean": "b"}.get(wanted, ""):
        return cells.astype(DTYPES[wanted])
    if not wanted or (wanted == "string" and had == "O" and cells.dtype == "str"):
        return cells
    done = []
    for number, cell in enumerate(cells.tolist(), first):
        try:
            if _is_missing(cell) and wanted in {"boolean", "integer", "long"}:
                raise ValueError("missing")
            done.append(None if _is_missing(cell) else _cast_cell(cell, kind))
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            shown = "missing" if _is_missing(cell) else repr(cell)[:80]
            raise UnfitFeatures(
                f"the feature {name!r} of row {number} is {shown}, and the model's signature asks for the type {wanted}"
            ) from error
    return _series(done, _text() if wanted == "string" else DTYPES.get(wanted, object))


def _cast_cell(cell: Any, kind: Any) -> Any:
    """Return one value as MLflow's type ``kind``, which may be nested.

    Raises:
        TypeError, ValueError, ArithmeticError: the type cannot hold it.
    """
    shape = kind if isinstance(kind, str) else _name_type(kind)
    if cell is None:
        return None
    if shape == "Array" and isinstance(cell, list):
        return [_cast_cell(part, kind.dtype) for part in cell]
    if shape == "Object" and isinstance(cell, dict):
        kinds = {field.name: field.dtype for field in kind.properties}
        return {key: _cast_cell(part, kinds[key]) if key in kinds else part for key, part in cell.items()}
    if shape == "Map" and isinstance(cell, dict):
        return {key: _cast_cell(part, kind.value_type) for key, part in cell.items()}
    if shape in CASTS:
        return CASTS[shape](cell)
    if shape in {"Array", "Object", "Map"}:
        raise TypeError(shape)
    return cell


def _cast_boolean(cell: Any) -> bool:
    if isinstance(cell, str) or cell not in {0, 1}:
        raise ValueError(cell)
    return bool(cell)


def _cast_integer(cell: Any, *, bits: int) -> int:
    number = int(cell)
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) or (not isinstance(cell, str) and number != cell):
        raise ValueError(cell)
    return number


def _cast_string(cell: Any) -> str:
    if isinstance(cell, (list, dict, bytes)):
        raise TypeError(cell)
    return str(cell)


def _cast_datetime(cell: Any) -> Any:
    """Return a moment without a time zone, which is what MLflow's type has: that of UTC where the cell has a zone."""
    import pandas

    if not isinstance(cell, (str, datetime.date)):
        raise TypeError(cell)
    moment = pandas.Timestamp(cell)
    return moment if moment.tz is None else moment.tz_convert(None)


def _cast_binary(cell: Any) -> bytes:
    return cell if isinstance(cell, bytes) else base64.b64decode(cell, validate=True)


CASTS: dict[str, Callable[[Any], Any]] = {
    "boolean": _cast_boolean,
    "integer": functools.partial(_cast_integer, bits=32),
    "long": functools.partial(_cast_integer, bits=64),
    "float": float,
    "double": float,
    "string": _cast_string,
    "datetime": _cast_datetime,
    "binary": _cast_binary,
}


def _is_missing(cell: Any) -> bool:
    """Return whether a cell is None, NaN or NaT: the values that differ from themselves."""
    return cell is None or (isinstance(cell, (float, datetime.datetime)) and cell != cell)  # noqa: PLR0124


# What the model returns.


def _list_answers(result: Any, rows: int) -> list[Any]:
    """Return a model's result as one JSON value a row; the reader compares their number with that of the rows."""
    if hasattr(result, "columns") and hasattr(result, "to_dict"):
        return _list_frame(_by_index(result, rows))
    if isinstance(result, dict):
        return _list_columns(result, rows)
    if hasattr(result, "index") and hasattr(result, "tolist"):
        result = _by_index(result, rows)
    if hasattr(result, "toarray"):  # a sparse matrix
        result = result.toarray()
    if hasattr(result, "tolist"):
        result = _list_array(result)
    elif hasattr(result, "__next__"):
        result = list(itertools.islice(result, rows + 1))
    if isinstance(result, (list, tuple)):
        return [_to_json(value) for value in result]
    if rows == 1 and (result is None or isinstance(result, (bool, int, float, str)) or _to_fields(result) is not None):
        return [_to_json(result)]  # as `squeeze` leaves a batch of one
    raise TypeError(f"the model returned a {type(result).__name__}, not one answer a row")


def _by_index(result: Any, rows: int) -> Any:
    """Return a frame or series in the order of our rows, where its index is a permutation of theirs."""
    index = result.index.tolist()
    if len(index) == rows and index != list(range(rows)) and set(index) == set(range(rows)):
        return result.sort_index()
    return result


def _list_frame(frame: Any) -> list[Any]:
    columns = _by_text((name, frame.iloc[:, position].tolist()) for position, name in enumerate(frame.columns))
    return _merge_columns(columns) if columns else []


def _list_columns(result: dict[Any, Any], rows: int) -> list[Any]:
    columns = _by_text((key, _list_array(part) if hasattr(part, "tolist") else part) for key, part in result.items())
    if columns and all(isinstance(part, (list, tuple)) and len(part) == rows for part in columns.values()):
        return _merge_columns(columns)
    if rows == 1:
        return [_to_json(result)]
    raise TypeError(f"the model returned a dict whose values are not {rows} each, one a row")


def _merge_columns(columns: dict[str, Any]) -> list[Any]:
    if len(columns) == 1 or "prediction" in columns:
        return [_to_json(value) for value in columns.get("prediction", next(iter(columns.values())))]
    return [_to_json(dict(zip(columns, cells))) for cells in zip(*columns.values())]


def _by_text(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Return the values by name, which JSON has as text alone: 1 and "1" would be one, and a value would be lost."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if str(name) in found:
            raise ValueError(f"the model returned two values under the name {str(name)!r}")
        found[str(name)] = value
    return found


def _list_array(array: Any) -> Any:
    """Return an array as lists, in which moments of nanoseconds, integers to numpy, are those that a Series has."""
    import numpy
    import pandas

    moments: Any = array
    if not isinstance(array, (numpy.ndarray, numpy.datetime64)) or array.dtype != "datetime64[ns]":
        return array.tolist()
    return [_list_array(part) for part in moments] if array.ndim else pandas.Timestamp(moments[()])


def _to_json(value: Any) -> Any:  # noqa: PLR0911 - one line a kind
    """Return a value as JSON: what is not a finite number, a moment that is none, or a missing value becomes null."""
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, enum.Enum):
        return _to_json(value.value)
    if isinstance(value, (bool, int, str)):
        return int(value) if isinstance(value, int) else str(value)
    if isinstance(value, (list, tuple)):
        return [_to_json(part) for part in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_to_json(part) for part in value), key=json.dumps)
    if isinstance(value, dict):
        return _by_text((key, _to_json(part)) for key, part in value.items())
    if isinstance(value, datetime.date):
        return None if _is_missing(value) else value.isoformat()
    if isinstance(value, decimal.Decimal):
        return _to_json(int(value) if value.is_finite() and value == int(value) else float(value))
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if hasattr(value, "tolist"):
        return _to_json(_list_array(value))
    fields = _to_fields(value)
    if fields is None:
        raise TypeError(f"the model returned a {type(value).__name__}, which is not a value of JSON")
    return _to_json(fields)


def _to_fields(value: Any) -> Any:
    """Return the fields of a pydantic model (of 1 or 2) or of a dataclass; None of anything else."""
    for name in ("model_dump", "dict"):
        if hasattr(type(value), name):
            return getattr(value, name)()
    fields = getattr(type(value), "__dataclass_fields__", None)
    return None if fields is None else {name: getattr(value, name) for name in fields}


def _describe(error: BaseException) -> str:
    """Return an error's class and its end, which is where MLflow and others put the cause."""
    try:
        text = str(error)
        if isinstance(error, UnfitFeatures):
            words = text[:MAX_REASON]  # ours, and begins with what is wrong
        else:
            words = f"{type(error).__name__}: {text if len(text) <= MAX_REASON else f'... {text[-MAX_REASON:]}'}"
        return words.encode(errors="replace").decode()
    except BaseException:
        # An exception of the candidate's own class may raise another one when it is printed.
        return "an exception that cannot be printed"


if __name__ == "__main__":
    sys.exit(main())
