"""Measure the cost of the gate: `lynxgate gate`, and a script that only downloads the same model and predicts.

``python benchmarks/gate.py [rounds]``. Whole processes, interleaved, on the demo's model: MLflow on SQLite, an empty
cache and a fresh registry each time. With ``--demo`` the whole demo is measured instead, once.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from processes import BIN, Cost, middle, report, run

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("eval_baseline.json", "requirements.lock", "data", ".dvc", ".dvcignore", "experiments")
BARE = """
import json, logging, sys
logging.disable(logging.WARNING)
import mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
folder = mlflow.artifacts.download_artifacts(run_id=sys.argv[2], artifact_path="model", dst_path=sys.argv[3])
model = mlflow.pyfunc.load_model(folder)
rows = [json.loads(line) for line in open("data/eval/phase-20.jsonl")]
frame = pandas.DataFrame([{"id": row["id"], "prompt": row["prompt"]} for row in rows])
right = 0
for start in range(0, len(rows), 256):
    said = model.predict(frame[start:start + 256])
    right += sum(str(answer) in row["accepted"] for answer, row in zip(said, rows[start:start + 256]))
print(right)
"""


def main() -> int:
    """Measure and print."""
    if "--demo" in sys.argv:
        report({"just demo, without the install": [run([sys.executable, "experiments/38-ci-gate/demo.py"], cwd=ROOT)]})
        return 0
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run_id = prepare(folder)
        costs: dict[str, list[Cost]] = {"download and predict": [], "lynxgate gate": []}
        for number in range(rounds + 1):
            here = folder / f"round{number}"
            bare = [sys.executable, "-W", "ignore", "-c", BARE, "sqlite:///mlflow.db", run_id, str(here)]
            here.mkdir()
            shutil.rmtree(folder / ".lynxgate/cache", ignore_errors=True)
            both = {"download and predict": run(bare, cwd=folder), "lynxgate gate": run_gate(folder, here, run_id)}
            for name, cost in both.items():
                if number:
                    costs[name].append(cost)
    report(costs)
    ratio = middle(costs["lynxgate gate"]).wall_s / middle(costs["download and predict"]).wall_s
    print(f"lynxgate gate takes {ratio:.2f} times downloading and predicting")
    return 0


def prepare(folder: Path) -> str:
    """What the gate needs of the checkout, the eval set's bytes, and a trained run; its id."""
    for name in NEEDED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    run(["git", "init", "--quiet"], cwd=folder)
    run([str(BIN / "lynxgate"), "pull"], cwd=folder)
    train = [sys.executable, "experiments/38-ci-gate/train.py", "--tracking-uri", "sqlite:///mlflow.db"]
    done = subprocess.run(train, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split()[-1]


def run_gate(folder: Path, here: Path, run_id: str) -> Cost:
    """One gate into a registry of its own."""
    command = [str(BIN / "lynxgate"), "gate", "--run-id", run_id, "--semver", "v0.3.1", "--bundle", f"{here}/candidate"]
    command += ["--evaluation", f"{here}/candidate_eval.json", "--verdict", f"{here}/verdict.json"]
    command += ["--registry", f"{here}/registry", "--tracking-uri", "sqlite:///mlflow.db"]
    return run(command, cwd=folder, LYNX_ENV="dev")


if __name__ == "__main__":
    sys.exit(main())
