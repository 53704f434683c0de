"""The tutor's arithmetic: a hidden layer over character features, one softmax over edit scripts per tense.

    hidden = tanh(x (E + dE)),   logits = hidden (W + dW)^T + b

- The base is ``E`` (features, hidden), ``W`` (scripts, hidden) and ``b`` (scripts).
- The adapter is LoRA: ``dE = embed_a embed_b`` and ``dW = head_b head_a``, of rank `RANK`.
- A tense owns a slice of the rows of ``W``, ``b`` and ``head_b``, and answers out of that slice alone.
- Nothing here trains, and nothing here knows MLflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grammar_tutor.edits import Edit
from grammar_tutor.features import Array, encode
from grammar_tutor.prompts import read_prompt

HIDDEN = 96
RANK = 12


@dataclass(frozen=True)
class Vocabulary:
    """What the rows and columns of the weights mean."""

    features: tuple[str, ...]
    scripts: dict[str, tuple[Edit, ...]]  # per tense, in the order of its slice

    @property
    def slices(self) -> dict[str, slice]:
        """The rows of the head that belong to each tense."""
        found, start = {}, 0
        for tense, scripts in self.scripts.items():
            found[tense] = slice(start, start + len(scripts))
            start += len(scripts)
        return found


@dataclass(frozen=True)
class Base:
    """Weights learned from the regular verbs."""

    embed: Array  # (features, HIDDEN)
    head: Array  # (scripts, HIDDEN)
    bias: Array  # (scripts,)


@dataclass(frozen=True)
class Adapter:
    """The low-rank change that brings in the irregular verbs."""

    embed_a: Array  # (features, RANK)
    embed_b: Array  # (RANK, HIDDEN)
    head_b: Array  # (scripts, RANK)
    head_a: Array  # (RANK, HIDDEN)


@dataclass(frozen=True)
class Tutor:
    """A whole model; without an adapter it is the base alone."""

    vocabulary: Vocabulary
    base: Base
    adapter: Adapter | None = None

    def inflect(self, prompts: Sequence[str]) -> list[str]:
        """One form per prompt, in their order.

        Raises:
            ValueError: when a prompt is none of the tutor's.
        """
        if not prompts:
            return []
        questions = [read_prompt(prompt) for prompt in prompts]
        logits = self._logits([lemma for _, lemma in questions])
        slices = self.vocabulary.slices
        return [
            self.vocabulary.scripts[tense][int(np.argmax(row[slices[tense]]))].apply(lemma)
            for (tense, lemma), row in zip(questions, logits, strict=True)
        ]

    def _logits(self, lemmas: Sequence[str]) -> Array:
        embed, head = merge(self.base, self.adapter)
        hidden = np.tanh(encode(lemmas, self.vocabulary.features) @ embed)
        logits: Array = hidden @ head.T + self.base.bias
        return logits


def merge(base: Base, adapter: Adapter | None) -> tuple[Array, Array]:
    """The embedding and the head with the adapter added."""
    if adapter is None:
        return base.embed, base.head
    return base.embed + adapter.embed_a @ adapter.embed_b, base.head + adapter.head_b @ adapter.head_a
