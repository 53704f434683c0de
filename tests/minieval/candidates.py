"""Bundles and eval sets written by hand: real MLflow model directories, without importing mlflow to make them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MLMODEL = """\
artifact_path: model
flavors:
  python_function:
    code: code
    loader_module: candidate
    python_version: 3.11.7
mlflow_version: 3.17.2
model_id: m-0123
run_id: 0123456789abcdef0123456789abcdef
utc_time_created: '2025-01-01 00:00:00.000000'
"""


def write_bundle(folder: Path, source: str, *, files: Mapping[str, bytes] | None = None) -> Path:
    """A pyfunc bundle whose loader module is ``source``; it must define ``_load_pyfunc``."""
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text(MLMODEL)
    (folder / "code" / "candidate.py").write_text(textwrap.dedent(source))
    for name, data in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def model(predict: str) -> str:
    """Source of a loader module whose model's ``predict(frame)`` has the given body."""
    body = textwrap.indent(textwrap.dedent(predict).strip(), " " * 8)
    return f"class Model:\n    def predict(self, frame):\n{body}\n\ndef _load_pyfunc(path):\n    return Model()\n"


UPPER = model("return [prompt.upper() for prompt in frame['prompt']]")


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files with these texts by relative path, and return the folder."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())
    return folder


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """An eval set of ``rows``, one JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def upper_rows(n: int) -> list[dict[str, Any]]:
    """Rows for the model `UPPER`: every third one it gets wrong; two buckets a row."""
    return [
        {
            "id": f"row-{i}",
            "prompt": f"word {i}",
            "expected": "wrong" if i % 3 == 0 else f"WORD {i}",
            "buckets": ["all", "parity.even" if i % 2 == 0 else "parity.odd"],
        }
        for i in range(n)
    ]
