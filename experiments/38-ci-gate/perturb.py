"""How far last-bit differences between CPUs move the experiment's figures: train the shipped seed under many.

- A perturbation adds or takes an ulp, at random, at every initial weight and every gradient of training: an ulp of
  the array's largest number, since sums that cancel lose more than an ulp of their own. Exact zeros stay zero.
- Exit 1 when a bucket of the clean model, `spelling.*` aside, moves by 2 pp or more, or when a degraded model
  loses 2 pp or more anywhere but in past participles, or less than that there.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if TYPE_CHECKING:
    from accuracy import Row, Score
    from grammar_tutor.features import Array
    from grammar_tutor.model import Tutor

Scores = Mapping[str, "Score"]
DEGRADED_BUCKET = "tense.past_participle"
LIMIT_PP = 2.0
ULP = 2.0**-52


def main(argv: Sequence[str] | None = None) -> int:
    """Train the shipped seed plainly and under each perturbation; print the ranges."""
    options = _parse(argv)
    from accuracy import read_rows
    from train import SEED, show_progress
    from training import train
    from verbs import read_verbs, split

    verbs, _ = split(read_verbs())
    rows = read_rows()
    trained = []
    for number in range(options.runs + 1):
        name = f"perturbation {number}/{options.runs}" if number else "the shipped training"
        print(name, file=sys.stderr)
        perturb = nudge(number, ulps=options.ulps) if number else _leave
        trained.append(score_all(train(verbs, SEED, progress=show_progress, perturb=perturb), rows))
    print(render_ranges(trained))
    faults = list(find_faults(trained))
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def nudge(seed: int, *, ulps: float = 1) -> Callable[[Array], Array]:
    """Add or take, at random, so many ulps of an array's largest number at each of its numbers save exact zeros."""
    import numpy as np

    rng = np.random.default_rng(seed)

    def perturb(array: Array) -> Array:
        signs = rng.integers(0, 2, array.shape, dtype=np.int8) * 2.0 - 1
        nudged: Array = array + np.where(array == 0, 0, signs) * (ulps * ULP * np.abs(array).max())
        return nudged

    return perturb


def score_all(tutor: Tutor, rows: Sequence[Row]) -> dict[str, Scores]:
    """The scores of the clean tutor and of its degraded copies, by name."""
    from accuracy import score
    from degraded_model.noise import add_noise
    from degraded_model.wrapper import SEED, SHARE, is_hit, mangle

    def answer_mangled(prompts: list[str]) -> list[str]:
        forms = zip(prompts, tutor.inflect(prompts), strict=True)
        return [mangle(form) if is_hit(prompt, seed=SEED, share=SHARE) else form for prompt, form in forms]

    return {
        "clean": score(rows, tutor.inflect),
        "mangled": score(rows, answer_mangled),
        "noisy": score(rows, add_noise(tutor).inflect),
    }


def render_ranges(trained: Sequence[Mapping[str, Scores]]) -> str:
    """A Markdown table: per bucket the shipped accuracy, and its range over the perturbations, per model."""
    shipped, others = trained[0], trained[1:] or trained[:1]
    lines = ["| bucket | n |" + "".join(f" {model} | range |" for model in shipped), "|---|---|" + "---|---|" * 3]
    for bucket, figures in shipped["clean"].items():
        cells = []
        for model, scores in shipped.items():
            seen = sorted(other[model][bucket].accuracy for other in others)
            cells.append(f" {scores[bucket].accuracy:.4f} | {seen[0]:.4f} to {seen[-1]:.4f} |")
        lines.append(f"| {bucket} | {figures.n} |" + "".join(cells))
    return "\n".join(lines)


def find_faults(trained: Sequence[Mapping[str, Scores]]) -> Iterator[str]:
    """What would flip the demo: sentences, none when all is well. Drops are against the shipped clean model."""
    shipped = trained[0]["clean"]
    for number, models in enumerate(trained):
        for model, scores in models.items():
            for bucket in (bucket for bucket in shipped if not bucket.startswith("spelling.")):
                drop = 100 * (shipped[bucket].accuracy - scores[bucket].accuracy)
                should_fall = model != "clean" and bucket == DEGRADED_BUCKET
                if (drop >= LIMIT_PP) != should_fall:
                    yield f"training {number}, {model}: {bucket} falls by {drop:.2f} pp"


def _leave(array: Array) -> Array:
    return array


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the shipped seed under last-bit perturbations.")
    parser.add_argument("--runs", type=int, default=20, help="perturbations to try (default: 20)")
    parser.add_argument("--ulps", type=float, default=1, help="size of a perturbation (default: 1)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
