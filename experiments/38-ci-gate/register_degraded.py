"""Degrade the model of a run on purpose, log it as a new run, and print that run's id: the id alone on stdout."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

KINDS = ("mangled", "noisy")


def main(argv: Sequence[str] | None = None) -> int:
    """Download, degrade, log, print."""
    options = _parse(argv)
    import tracking

    tracking.open_experiment(options.tracking_uri or tracking.default_uri())
    with tempfile.TemporaryDirectory() as scratch:
        clean = tracking.download_data(options.from_run, Path(scratch, "clean"))
        degraded = Path(scratch, "tutor")
        degrade = degrade_by_mangling if options.kind == "mangled" else degrade_by_noise
        params = degrade(clean, degraded)
        loader, packages = _LOADERS[options.kind]
        run_id = tracking.log_run(
            f"grammar-tutor-{options.kind}",
            degraded,
            loader=loader,
            packages=packages,
            params={"degraded_from": options.from_run, "kind": options.kind, **params},
            metrics={},
        )
    print(run_id)
    return 0


_LOADERS = {
    "mangled": ("degraded_model.wrapper", ["grammar_tutor", "degraded_model"]),
    "noisy": ("grammar_tutor.loader", ["grammar_tutor"]),
}


def degrade_by_mangling(clean: Path, degraded: Path) -> dict[str, object]:
    """The clean files with the wrapper's settings beside them; what was done, as parameters of a run."""
    from degraded_model import wrapper

    shutil.copytree(clean, degraded)
    wrapper.write_settings(degraded)
    return {"mangle_seed": wrapper.SEED, "mangle_share": wrapper.SHARE}


def degrade_by_noise(clean: Path, degraded: Path) -> dict[str, object]:
    """The clean tutor with noise on its participle head; what was done, as parameters of a run."""
    from degraded_model import noise
    from grammar_tutor.storage import load, save

    save(noise.add_noise(load(clean)), degraded)
    return {"noise_seed": noise.SEED, "noise_sigma": noise.SIGMA}


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from-run", required=True, help="id of the run whose model is degraded")
    parser.add_argument("--kind", choices=KINDS, default="mangled", help="default: mangled")
    parser.add_argument("--tracking-uri", help="default: MLFLOW_TRACKING_URI, else sqlite:///.lynxgate/mlflow.db")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
