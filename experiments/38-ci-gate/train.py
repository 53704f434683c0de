"""Train the grammar tutor, log it to MLflow, and print the run's id: the id alone on stdout."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# Sums come out in another order on another number of threads; set before numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

SEED = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Train, log, print."""
    options = _parse(argv)
    from dataclasses import replace

    from accuracy import ALL, read_rows, render_table, score
    from grammar_tutor.storage import save
    from training import train
    from verbs import read_verbs, split, training_data_sha256

    verbs, _ = split(read_verbs())
    tutor = train(verbs, options.seed, progress=show_progress)
    rows = read_rows()
    scores = score(rows, tutor.inflect)
    base = score(rows, replace(tutor, adapter=None).inflect)
    print(render_table({"base": base, "with adapter": scores}), file=sys.stderr)

    import tracking

    tracking.open_experiment(options.tracking_uri or tracking.default_uri())
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch, "tutor")
        save(tutor, data)
        run_id = tracking.log_run(
            f"grammar-tutor-seed-{options.seed}",
            data,
            loader="grammar_tutor.loader",
            packages=["grammar_tutor"],
            params={"seed": options.seed, "training_data_sha256": training_data_sha256(verbs)},
            metrics={"accuracy": scores[ALL].accuracy},
        )
    print(run_id)
    return 0


def show_progress(phase: str, epoch: int, epochs: int, loss: float) -> None:
    """One line on a terminal, written over; elsewhere a line when a phase ends."""
    line = f"training the {phase:<8} {'#' * epoch}{'.' * (epochs - epoch)} {epoch}/{epochs}  loss {loss:.3f}"
    if sys.stderr.isatty():
        print(f"\r{line}", end="\n" if epoch == epochs else "", file=sys.stderr, flush=True)
    elif epoch == epochs:
        print(line, file=sys.stderr)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help=f"default: {SEED}, the seed the experiment ships")
    parser.add_argument("--tracking-uri", help="default: MLFLOW_TRACKING_URI, else sqlite:///.lynxgate/mlflow.db")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
