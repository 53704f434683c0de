"""A case as an eval set with its task file, in the format that its columns ask for."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from minieval.data.schema import Kind
from tests.matrix.cases import Case

TYPES = {int: "integer", float: "number", str: "text", bool: "boolean"}
SCORER = '''"""Right when both are the same, floats within a millionth: their sums depend on the size of a batch."""

import math


def score(expected, answer, features):
    return float(same(expected, answer))


def same(a, b):
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, float) or isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-6)
    return a == b
'''


def write_eval_set(case: Case, folder: Path) -> tuple[Path, Path]:
    """Write the case with one wrong label, the first; return the eval set and its task file."""
    labels = [next(each for each in case.expected if each != case.expected[0]), *case.expected[1:]]
    parts = ["even" if row % 2 == 0 else "odd" for row in range(len(labels))]
    kinds = {column.kind for column in case.columns}
    simple = type(labels[0]) in TYPES
    if Kind.NATIVE in kinds:
        path = folder / "rows.parquet"
        pyarrow.parquet.write_table(
            case.features.append_column("part", pa.array(parts)).append_column("expected", pa.array(labels)), path
        )
    elif simple and kinds <= {Kind.NUMBER, Kind.TEXT}:
        path = folder / "rows.csv"
        _write_csv(path, case, parts, labels)
    else:
        path = folder / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in _rows(case, parts, labels)))
    task = folder / "rows.toml"
    task.write_text("\n".join(_task(case, labels[0], typed=path.suffix == ".csv")))
    (folder / "scoring.py").write_text(SCORER)
    return path, task


def _write_csv(path: Path, case: Case, parts: Sequence[str], labels: Sequence[Any]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*case.features.column_names, "part", "expected"])
        writer.writerows(
            [*row.values(), part, str(label).lower() if isinstance(label, bool) else label]
            for row, part, label in zip(case.features.to_pylist(), parts, labels, strict=True)
        )


def _rows(case: Case, parts: Sequence[str], labels: Sequence[Any]) -> list[dict[str, Any]]:
    written = {column.name for column in case.columns if column.kind is Kind.JSON}
    return [
        {name: json.loads(cell) if name in written else cell for name, cell in row.items()}
        | {"part": part, "expected": label}
        for row, part, label in zip(case.features.to_pylist(), parts, labels, strict=True)
    ]


def _task(case: Case, label: Any, *, typed: bool) -> list[str]:
    """The lines of the task file; text in JSON is text in TOML."""
    lines = ['schema = "minieval.task/1"', f"features = {json.dumps(case.features.column_names)}"]
    if typed:
        types = {column.name: column.kind.value for column in case.columns} | {"expected": TYPES[type(label)]}
        cells = ", ".join(f"{json.dumps(name)} = {json.dumps(kind)}" for name, kind in types.items())
        lines.append(f"types = {{ {cells} }}")
    lines += ["[buckets]", 'columns = ["part"]', "[score]"]
    if isinstance(label, float):
        lines += ['kind = "numeric"', "rtol = 1e-6"]
    elif type(label) in TYPES:
        lines += ['kind = "exact"']
    else:
        lines += ['python = "scoring.py"']
    if case.params:
        cells = ", ".join(f"{name} = {json.dumps(value)}" for name, value in case.params.items())
        lines += ["[model]", f"params = {{ {cells} }}"]
    return [*lines, ""]
