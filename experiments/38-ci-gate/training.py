"""Training of the grammar tutor: the base on regular verbs, then the adapter on all, with the base frozen.

- The same verbs and the same seed give the same weights on one machine.
- It runs in double precision and the weights are kept in single: another CPU's last bits stay below what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from grammar_tutor.edits import derive_edit
from grammar_tutor.features import Array, choose_features, encode
from grammar_tutor.model import HIDDEN, RANK, Adapter, Base, Tutor, Vocabulary, merge
from grammar_tutor.prompts import TENSES
from verbs import Verb

Weights = dict[str, Array]
Progress = Callable[[str, int, int, float], None]  # phase, epoch, epochs, mean loss per verb
Perturb = Callable[[Array], Array]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast one phase trains; the step size falls linearly to zero."""

    epochs: int
    rate: float
    decay: float  # pulls weights to zero, per step and unit of step size
    batch: int = 128


BASE = Schedule(epochs=8, rate=0.004, decay=0.02)
ADAPTER = Schedule(epochs=12, rate=0.004, decay=0.02)
RARE = 2  # a feature that fewer verbs have is left out


def train(
    verbs: Sequence[Verb],
    seed: int,
    *,
    progress: Progress = lambda *_: None,
    perturb: Perturb = lambda array: array,
) -> Tutor:
    """Train a tutor; ``perturb`` sees every initial weight and every gradient, and stands for another CPU."""
    vocabulary = build_vocabulary(verbs)
    rng = np.random.default_rng(seed)
    regular = [verb for verb in verbs if verb.regular]

    base = _start_base(vocabulary, rng)
    data = _Data.of(regular, vocabulary)
    learned = _descend(vars(base), data, BASE, rng, _base_gradients, phase="base", progress=progress, perturb=perturb)
    base = Base(**learned)

    adapter = _start_adapter(vocabulary, rng)
    data = _Data.of(verbs, vocabulary)

    def adapter_gradients(weights: Weights, batch: _Data) -> tuple[float, Weights]:
        return _adapter_gradients(base, weights, batch)

    learned = _descend(
        vars(adapter), data, ADAPTER, rng, adapter_gradients, phase="adapter", progress=progress, perturb=perturb
    )
    return _single(Tutor(vocabulary, base, Adapter(**learned)))


def build_vocabulary(verbs: Sequence[Verb]) -> Vocabulary:
    """The features and edit scripts that these verbs show."""
    scripts = {
        tense: tuple(sorted({derive_edit(verb.lemma, verb.forms[tense][0]) for verb in verbs})) for tense in TENSES
    }
    return Vocabulary(choose_features([verb.lemma for verb in verbs], at_least=RARE), scripts)


@dataclass(frozen=True)
class _Data:
    """Verbs as numbers: features (verbs, features) and, per tense, the row of the right script in the head."""

    inputs: Array
    targets: np.ndarray[tuple[int, ...], np.dtype[np.int64]]  # (verbs, tenses)
    slices: tuple[slice, ...]

    @classmethod
    def of(cls, verbs: Sequence[Verb], vocabulary: Vocabulary) -> _Data:
        slices = vocabulary.slices
        rows = {
            tense: {edit: slices[tense].start + number for number, edit in enumerate(edits)}
            for tense, edits in vocabulary.scripts.items()
        }
        targets = [[rows[tense][derive_edit(verb.lemma, verb.forms[tense][0])] for tense in TENSES] for verb in verbs]
        inputs = encode([verb.lemma for verb in verbs], vocabulary.features, np.float64)
        return cls(inputs, np.array(targets), tuple(slices[tense] for tense in TENSES))

    def pick(self, rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> _Data:
        return replace(self, inputs=self.inputs[rows], targets=self.targets[rows])


def _start_base(vocabulary: Vocabulary, rng: np.random.Generator) -> Base:
    features, scripts = len(vocabulary.features), sum(map(len, vocabulary.scripts.values()))
    return Base(
        embed=rng.normal(0, 0.1, (features, HIDDEN)),
        head=rng.normal(0, 0.1, (scripts, HIDDEN)),
        bias=np.zeros(scripts),
    )


def _start_adapter(vocabulary: Vocabulary, rng: np.random.Generator) -> Adapter:
    """One factor of each product starts at zero: an untrained adapter changes nothing."""
    features, scripts = len(vocabulary.features), sum(map(len, vocabulary.scripts.values()))
    return Adapter(
        embed_a=np.zeros((features, RANK)),
        embed_b=rng.normal(0, 0.3, (RANK, HIDDEN)),
        head_b=np.zeros((scripts, RANK)),
        head_a=rng.normal(0, 0.3, (RANK, HIDDEN)),
    )


def _base_gradients(weights: Weights, batch: _Data) -> tuple[float, Weights]:
    loss, embed, head, bias = _gradients(weights["embed"], weights["head"], weights["bias"], batch)
    return loss, {"embed": embed, "head": head, "bias": bias}


def _adapter_gradients(base: Base, weights: Weights, batch: _Data) -> tuple[float, Weights]:
    embed, head = merge(base, Adapter(**weights))
    loss, to_embed, to_head, _ = _gradients(embed, head, base.bias, batch)
    return loss, {
        "embed_a": to_embed @ weights["embed_b"].T,
        "embed_b": weights["embed_a"].T @ to_embed,
        "head_b": to_head @ weights["head_a"].T,
        "head_a": weights["head_b"].T @ to_head,
    }


def _gradients(embed: Array, head: Array, bias: Array, batch: _Data) -> tuple[float, Array, Array, Array]:
    """Mean cross-entropy per verb, summed over tenses, and its gradients."""
    count = len(batch.inputs)
    hidden = np.tanh(batch.inputs @ embed)
    errors = hidden @ head.T + bias
    loss = 0.0
    for number, rows in enumerate(batch.slices):
        logits = errors[:, rows]
        logits -= logits.max(axis=1, keepdims=True)
        chances = np.exp(logits)
        chances /= chances.sum(axis=1, keepdims=True)
        errors[:, rows] = chances
        right = (np.arange(count), batch.targets[:, number])
        loss -= float(np.log(errors[right]).sum()) / count
        errors[right] -= 1
    errors /= count
    to_hidden = (errors @ head) * (1 - hidden * hidden)
    return loss, batch.inputs.T @ to_hidden, errors.T @ hidden, errors.sum(axis=0)


def _descend(
    start: Weights,
    data: _Data,
    schedule: Schedule,
    rng: np.random.Generator,
    gradients: Callable[[Weights, _Data], tuple[float, Weights]],
    *,
    phase: str,
    progress: Progress,
    perturb: Perturb,
) -> Weights:
    """Adam with decoupled weight decay."""
    weights = {name: perturb(array) for name, array in start.items()}
    first = {name: np.zeros_like(array) for name, array in weights.items()}
    second = {name: np.zeros_like(array) for name, array in weights.items()}
    steps = schedule.epochs * -(-len(data.inputs) // schedule.batch)
    step = 0
    for epoch in range(schedule.epochs):
        order = rng.permutation(len(data.inputs))
        losses = []
        for begin in range(0, len(order), schedule.batch):
            loss, slopes = gradients(weights, data.pick(order[begin : begin + schedule.batch]))
            losses.append(loss)
            rate = schedule.rate * (1 - step / steps)
            step += 1
            for name, slope in slopes.items():
                nudged = perturb(slope)
                first[name] += 0.1 * (nudged - first[name])
                second[name] += 0.01 * (nudged * nudged - second[name])
                mean, spread = first[name] / (1 - 0.9**step), second[name] / (1 - 0.99**step)
                weights[name] -= rate * (mean / (np.sqrt(spread) + 1e-8) + schedule.decay * weights[name])
        progress(phase, epoch + 1, schedule.epochs, float(np.mean(losses)))
    return weights


def _single(tutor: Tutor) -> Tutor:
    """The tutor with weights in single precision, as it is stored."""

    def narrow(part: Base | Adapter) -> Weights:
        return {name: array.astype(np.float32) for name, array in vars(part).items()}

    adapter = Adapter(**narrow(tutor.adapter)) if tutor.adapter else None
    return replace(tutor, base=Base(**narrow(tutor.base)), adapter=adapter)
