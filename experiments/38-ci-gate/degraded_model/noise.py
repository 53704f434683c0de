"""The other degradation: noise on the adapter's head_b rows that belong to past participles.

One recorded sigma and seed, chosen together on the shipped model: what a given sigma costs differs wildly from
seed to seed, and most seeds hit the irregular verbs, a small bucket, as hard as the participles.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grammar_tutor.model import Tutor
from grammar_tutor.prompts import PAST_PARTICIPLE

SEED = 140
SIGMA = 1.25  # in standard deviations of the rows themselves


def add_noise(tutor: Tutor, *, seed: int = SEED, sigma: float = SIGMA) -> Tutor:
    """The tutor with Gaussian noise on the participle rows of ``head_b``.

    Raises:
        ValueError: when the tutor has no adapter.
    """
    if tutor.adapter is None:
        raise ValueError("a tutor without an adapter has no rows to add noise to")
    rows = tutor.vocabulary.slices[PAST_PARTICIPLE]
    head_b = tutor.adapter.head_b.copy()
    noise = np.random.default_rng(seed).normal(0, 1, head_b[rows].shape)
    head_b[rows] += (sigma * head_b[rows].std() * noise).astype(head_b.dtype)
    return replace(tutor, adapter=replace(tutor.adapter, head_b=head_b))
