"""Character features of a lemma: its endings, its beginnings, and the shape of its last letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

LONGEST_ENDING = 6
LONGEST_BEGINNING = 4
SHAPE_LETTERS = 5
_CLASS = dict.fromkeys("aeiou", "V") | {"y": "y", "w": "w", "x": "x"}


def spell_features(lemma: str) -> Iterator[str]:
    """The names of the features that are 1 for this lemma; all others are 0."""
    whole = f"^{lemma}"
    for length in range(1, min(LONGEST_ENDING, len(whole)) + 1):
        yield f"-{whole[-length:]}"
    for length in range(2, min(LONGEST_BEGINNING, len(whole)) + 1):
        yield f"{whole[:length]}-"
    shape = "".join(_CLASS.get(letter, "C") for letter in lemma)
    for length in range(2, SHAPE_LETTERS + 1):
        yield f"shape {shape[-length:]}"
    yield f"syllables {_count_syllables(shape)}"
    yield f"syllables {_count_syllables(shape)} {shape[-3:]}{lemma[-1:]}"


def choose_features(lemmas: Sequence[str], *, at_least: int) -> tuple[str, ...]:
    """The features that at least so many of these lemmas have, sorted."""
    counts = Counter(name for lemma in lemmas for name in spell_features(lemma))
    return tuple(sorted(name for name, count in counts.items() if count >= at_least))


def encode(lemmas: Sequence[str], features: Sequence[str], dtype: npt.DTypeLike = np.float32) -> Array:
    """A 0/1 matrix of shape (lemmas, features)."""
    column = {name: number for number, name in enumerate(features)}
    matrix = np.zeros((len(lemmas), len(features)), dtype=dtype)
    for row, lemma in enumerate(lemmas):
        known = [column[name] for name in spell_features(lemma) if name in column]
        matrix[row, known] = 1
    return matrix


def _count_syllables(shape: str) -> int:
    """Groups of vowels, as many as matter."""
    groups = sum(1 for before, letter in zip("C" + shape, shape, strict=False) if letter == "V" and before != "V")
    return min(groups, 3)
