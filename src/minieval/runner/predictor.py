"""The predictor: the process that runs the candidate. It gets features, and never a label.

`minieval.runner.sandbox` starts it as a script. It imports nothing of this package, and runs on Python 3.9 and MLflow
2.9: in another environment than the gate's, it is this one file.

- A request is one line of JSON with the number of bytes that follow it, and these bytes (`minieval.runner.wire`). An
  answer is one line of JSON. Both streams are moved to other descriptors first: the candidate prints to stderr, and
  reads from /dev/null.
- A model gets what its signature or its type hints ask for; without them, a data frame of the features.
- Capabilities are dropped and limits are set before the candidate's first byte is loaded: even a root without
  bwrap cannot raise the limits again, or look into the memory of a parent that has closed it.
- Nothing here defends against the candidate, which shares this process: the reader of the answers checks everything.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import math
import os
import resource
import signal
import sys
from typing import Any

MIB = 1024 * 1024
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION_3 = 0x20080522
MAX_REASON = 400  # characters of an error that are passed on, from its end
SCALARS = {  # types of a signature, as numpy names them
    "boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64",
}  # fmt: skip


def main() -> int:
    """Load the bundle, report that it is ready, then answer each request with one line."""
    arguments = _arguments()
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as answers:
        _move_standard_streams()
        _drop_capabilities()
        _limit(memory=arguments.memory_mb * MIB, file=arguments.file_mb * MIB, cpu_seconds=arguments.cpu_seconds)

        def answer(message: dict[str, Any]) -> None:
            answers.write(json.dumps(message, allow_nan=False).encode() + b"\n")
            answers.flush()

        try:
            model = _load(arguments.bundle)
            answer({"ready": True, "arrow": _has_arrow()})
            form = _Form(model, arguments.files)
            for line in requests:
                request = json.loads(line)
                data = requests.read(request["bytes"])
                if request["form"] == "setup":
                    form.configure(json.loads(data))
                    answer({"ready": True})
                else:
                    answer({"predictions": form.predict(data, request["form"], request["rows"])})
        except BaseException as error:
            # Any exception of a candidate, SystemExit included, becomes one sentence.
            answer({"error": _describe(error)})
            return 1
    return 0


class _Form:
    """The form in which a model takes rows, and in which it returns answers."""

    def __init__(self, model: Any, files: str) -> None:
        self._model, self._files = model, files
        self._kinds: dict[str, str] = {}
        self._file_columns: list[str] = []
        self._params: dict[str, Any] = {}
        self._column: str | None = None

    def configure(self, setup: dict[str, Any]) -> None:
        """Take the kinds of the columns, which hold for the whole eval set, and the parameters of the model."""
        self._kinds = dict(setup["columns"])
        self._file_columns, self._params, self._column = setup["files"], setup["params"], setup["column"]

    def predict(self, data: bytes, form: str, rows: int) -> list[Any]:
        """Return one answer a row, in the order of the rows."""
        columns = _read_arrow(data, self._kinds) if form == "arrow" else _read_json(data, self._kinds)
        for name in self._file_columns:
            columns[name] = _series(
                [None if cell is None else os.path.join(self._files, cell) for cell in columns[name]], "text"
            )
        given = _shape(columns, self._model, rows)
        result = self._model.predict(given, params=self._params) if self._params else self._model.predict(given)
        return _list_answers(result, rows, self._column)


def _has_arrow() -> bool:
    try:
        import pyarrow.ipc  # noqa: F401, PLC0415 - only once the limits hold
    except ImportError:
        return False
    return True


def _read_arrow(data: bytes, kinds: dict[str, str]) -> dict[str, Any]:
    """Return each column of an Arrow stream as a series of pandas."""
    import pyarrow.ipc  # noqa: PLC0415 - only once the limits hold

    table = pyarrow.ipc.open_stream(data).read_all()
    found = {}
    for name in table.column_names:
        cells, kind = table.column(name), kinds[name]
        if kind in ("boolean", "integer", "number"):
            found[name] = _series(cells.to_numpy(), kind)
        elif kind == "native" and not pyarrow.types.is_nested(cells.type):
            found[name] = cells.to_pandas()
        else:
            found[name] = _series(cells.to_pylist(), kind)
    return found


def _read_json(data: bytes, kinds: dict[str, str]) -> dict[str, Any]:
    """Return each column of a JSON object of lists as a series of pandas."""
    return {name: _series(cells, kinds[name]) for name, cells in json.loads(data).items()}


def _series(cells: Any, kind: str) -> Any:
    """Return cells as a series whose type follows from the kind, and not from the values of this batch."""
    import pandas  # noqa: PLC0415 - only once the limits hold

    if kind == "json":
        cells = [None if cell is None else json.loads(cell) for cell in cells]
    names = {"boolean": "bool", "integer": "int64", "number": "float64"}
    if kind == "text" and int(pandas.__version__.split(".")[0]) >= 3:
        return pandas.Series(cells, dtype="str")  # what read_csv gives there; before, it was object
    return pandas.Series(cells, dtype=names.get(kind, "object"))


def _shape(columns: dict[str, Any], model: Any, rows: int) -> Any:
    """Return the rows in the form that the model's signature asks for."""
    import pandas  # noqa: PLC0415 - only once the limits hold

    frame = pandas.DataFrame(columns, index=pandas.RangeIndex(rows))
    schema = model.metadata.get_input_schema() if getattr(model, "metadata", None) is not None else None
    if schema is None:
        return frame
    if schema.is_tensor_spec():
        return _shape_tensors(frame, schema)
    if not schema.has_input_names():
        return _shape_unnamed(frame, schema)
    missing = [name for name in _required(schema) if name not in frame.columns]
    if missing:
        raise ValueError(f"the model needs the column {missing[0]!r}, and the eval set's features are {list(columns)}")
    wanted = [name for name in schema.input_names() if name in frame.columns]
    types = {spec.name: spec.type for spec in schema.inputs}
    return pandas.DataFrame({name: _cast(frame[name], types[name]) for name in wanted}, index=frame.index)


def _shape_unnamed(frame: Any, schema: Any) -> Any:
    """Return rows for a signature without names: of type hints such as ``list[str]``, or of examples without names."""
    (*_, spec) = schema.inputs
    name = getattr(spec.type, "name", "")
    if len(schema.inputs) > 1:
        return frame
    if name in SCALARS or name == "string":
        if len(frame.columns) != 1:
            raise ValueError(
                f"the model takes one {name} a row, and the eval set has the features {list(frame.columns)}; name one "
                "of them as `features` in the task file"
            )
        return _cast(frame.iloc[:, 0], spec.type).tolist()
    if len(frame.columns) == 1 and not isinstance(_first(frame.iloc[:, 0]), str):
        return frame.iloc[:, 0].tolist()
    return [{key: _plain(value) for key, value in row.items()} for row in frame.to_dict(orient="records")]


def _shape_tensors(frame: Any, schema: Any) -> Any:
    """Return arrays: one of all features where the tensor has no name, else one a name."""
    import numpy  # noqa: PLC0415 - only once the limits hold

    def stack(column: Any, dtype: Any) -> Any:
        return numpy.array(column.tolist(), dtype=dtype)

    if schema.has_input_names():
        return {spec.name: stack(frame[spec.name], spec.type) for spec in schema.inputs}
    (spec,) = schema.inputs
    if len(frame.columns) == 1 and isinstance(_first(frame.iloc[:, 0]), (list, numpy.ndarray)):
        return stack(frame.iloc[:, 0], spec.type)
    return frame.to_numpy().astype(spec.type)


def _required(schema: Any) -> list[str]:
    return [spec.name for spec in schema.inputs if getattr(spec, "required", True)]


def _cast(column: Any, wanted: Any) -> Any:
    """Return a column in a type of the signature, as MLflow's scoring server casts it."""
    import pandas  # noqa: PLC0415 - only once the limits hold

    name = getattr(wanted, "name", "")
    try:
        if name in ("integer", "long") and column.dtype.kind == "f" and (column.dropna() % 1).any():
            raise ValueError("it has fractions")
        if name in SCALARS:
            return column.astype(SCALARS[name])
        if name == "string":
            return column if column.dtype.kind not in "biuf" else column.map(str)
        if name == "datetime":
            return pandas.to_datetime(column)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the column {column.name!r} cannot be cast to {name}, which the model needs: {error}"
        ) from error
    return column


def _first(column: Any) -> Any:
    return next(iter(column), None)


def _list_answers(result: Any, rows: int, column: str | None) -> list[Any]:
    """Return what a model returned as one answer a row, each made of plain values."""
    answers = _by_row(result, rows, column)
    if len(answers) != rows:
        raise ValueError(f"the model returned {len(answers)} answers for {rows} rows")
    if all(type(answer) is str for answer in answers):
        return answers
    return [_plain(answer) for answer in answers]


def _by_row(result: Any, rows: int, column: str | None) -> list[Any]:
    if hasattr(result, "columns") and hasattr(result, "iloc"):
        return _frame_by_row(result, rows, column)
    if hasattr(result, "toarray"):
        result = result.toarray()  # a sparse matrix
    if hasattr(result, "index") and hasattr(result, "iloc"):
        return list(_in_order(result, rows).tolist())
    if isinstance(result, dict):
        columns = {name: _by_row(values, rows, None) for name, values in result.items()}
        if len(columns) == 1 or column in columns:
            return columns[column] if column in columns else next(iter(columns.values()))
        return [dict(zip(columns, cells)) for cells in zip(*columns.values())]  # noqa: B905 - Python 3.9
    if hasattr(result, "tolist"):
        values = result.tolist()
        if getattr(result, "ndim", 1) == 2 and result.shape[1] == 1:
            return [row[0] for row in values]
        return values if isinstance(values, list) else [values]
    if isinstance(result, str) and rows == 1:
        return [result]
    if not isinstance(result, (list, tuple)):
        raise TypeError(f"the model returned a {type(result).__name__}, not one answer a row")
    return list(result)


def _frame_by_row(frame: Any, rows: int, column: str | None) -> list[Any]:
    frame = _in_order(frame, rows)
    names = list(frame.columns)
    chosen = column if column in names else "prediction" if "prediction" in names else None
    if chosen is None and len(names) == 1:
        (chosen,) = names
    if chosen is not None:
        return list(frame[chosen].tolist())
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict(orient="records")]


def _in_order(result: Any, rows: int) -> Any:
    """Return a frame or series in the order of the rows, which its index names where it is a permutation of them."""
    index = result.index.tolist()
    if len(index) == rows and index != list(range(rows)) and set(index) == set(range(rows)):
        return result.loc[list(range(rows))]
    return result


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; NaN, infinities and missing values become null."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump())
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each) for each in value]
    if hasattr(value, "isoformat"):
        return None if value != value else value.isoformat()  # noqa: PLR0124 - NaT differs from itself
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if type(value).__name__ == "NAType":
        return None
    if type(value).__name__ == "Decimal":
        return float(value)
    raise TypeError(f"the model returned a {type(value).__name__}, which has no form in JSON")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--files", default="")
    parser.add_argument("--memory-mb", type=int, required=True)
    parser.add_argument("--file-mb", type=int, required=True)
    parser.add_argument("--cpu-seconds", type=int, required=True)
    return parser.parse_args()


def _move_standard_streams() -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)


def _drop_capabilities() -> None:
    """Drop them permanently: with no_new_privs, a program that root executes does not get them back either."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, none_of_them = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.capset(header, none_of_them):
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def _limit(*, memory: int, file: int, cpu_seconds: int) -> None:
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: file,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 8192,
    }
    for which, wanted in limits.items():
        _, hard = resource.getrlimit(which)
        bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(which, (bound, bound))


def _load(bundle: str) -> Any:
    # Objects of an import live to the end; searching them for garbage takes a seventh of the import's time.
    gc.disable()
    import mlflow.pyfunc  # noqa: PLC0415 - only once the limits hold
    import pandas  # noqa: F401, PLC0415 - as above

    gc.enable()
    return mlflow.pyfunc.load_model(bundle)


def _describe(error: BaseException) -> str:
    """Return the kind of an exception and the end of its message, where the cause is."""
    try:
        kind, message = type(error).__name__, str(error)
        return f"{kind}: {message}" if len(message) <= MAX_REASON else f"{kind}: ... {message[-MAX_REASON:]}"
    except BaseException:
        # An exception of the candidate's own class may raise another one when it is printed.
        return "an exception that cannot be printed"


if __name__ == "__main__":
    sys.exit(main())
