"""A tutor as files: ``vocabulary.json`` and one ``.npy`` an array. No pickle, and the same bytes every time.

``.npy`` rather than ``.npz``, which is a zip and would carry the time of writing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np

from grammar_tutor.edits import Edit
from grammar_tutor.features import Array
from grammar_tutor.model import Adapter, Base, Tutor, Vocabulary

VOCABULARY = "vocabulary.json"


def save(tutor: Tutor, directory: Path) -> None:
    """Write a tutor to a directory (made when missing), its weights as float32."""
    directory.mkdir(parents=True, exist_ok=True)
    tree = {
        "features": tutor.vocabulary.features,
        "scripts": {tense: [list(edit) for edit in edits] for tense, edits in tutor.vocabulary.scripts.items()},
    }
    (directory / VOCABULARY).write_text(json.dumps(tree, indent=0) + "\n", encoding="utf-8")
    _save_arrays(directory, "base", vars(tutor.base))
    if tutor.adapter is not None:
        _save_arrays(directory, "adapter", vars(tutor.adapter))


def load(directory: Path) -> Tutor:
    """Read what `save` wrote."""
    tree = json.loads((directory / VOCABULARY).read_text(encoding="utf-8"))
    scripts = {tense: tuple(Edit(drop, add) for drop, add in edits) for tense, edits in tree["scripts"].items()}
    base = Base(**_load_arrays(directory, "base", [field.name for field in fields(Base)]))
    has_adapter = any(directory.glob("adapter.*.npy"))
    adapter = Adapter(**_load_arrays(directory, "adapter", [f.name for f in fields(Adapter)])) if has_adapter else None
    return Tutor(Vocabulary(tuple(tree["features"]), scripts), base, adapter)


def _save_arrays(directory: Path, part: str, arrays: Mapping[str, Array]) -> None:
    for name, array in arrays.items():
        np.save(directory / f"{part}.{name}.npy", np.ascontiguousarray(array, dtype=np.float32), allow_pickle=False)


def _load_arrays(directory: Path, part: str, names: list[str]) -> dict[str, Array]:
    return {name: np.load(directory / f"{part}.{name}.npy", allow_pickle=False) for name in names}
