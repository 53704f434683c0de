"""Measure the start of `lynxgate compare`, compared with an empty Python, its libraries, and `dvc metrics diff`.

``python benchmarks/start.py [rounds]``. Whole processes, interleaved, byte-compiled by a round that is not counted.
The limit: compare takes at most 0.4 times `dvc metrics diff`; more ends with exit 1.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from processes import BIN, Cost, middle, report, run

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 0.4


def main() -> int:
    """Measure, print, judge."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare_compare(folder)
        prepare_dvc(folder)
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            'python -c "import typer, pydantic"': [sys.executable, "-c", "import typer, pydantic"],
            "lynxgate compare": [str(BIN / "lynxgate"), "compare"],
            "dvc metrics diff": [str(BIN / "dvc"), "metrics", "diff"],
        }
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                cost = run(command, cwd=folder)
                if number:
                    costs[name].append(cost)
    report(costs)
    walls = {name: middle(each).wall_s for name, each in costs.items()}
    compare = walls.pop("lynxgate compare")
    for name, wall in walls.items():
        print(f"lynxgate compare takes {compare / wall:.2f} times {name}")
    return 0 if compare <= LIMIT * walls["dvc metrics diff"] else 1


def prepare_compare(folder: Path) -> None:
    """The committed baseline, and an evaluation with its figures."""
    shutil.copy(ROOT / "eval_baseline.json", folder)
    baseline = json.loads((folder / "eval_baseline.json").read_text())
    evaluation = {
        "schema": "minieval.evaluation/1",
        "candidate": baseline["source"] | {"mlflow_run_id": "0" * 32},
        "eval_set": {
            "path": baseline["eval_set"],
            "dvc_md5": baseline["eval_set_dvc_hash"],
            "sha256": baseline["eval_set_sha256"],
            "rows": baseline["aggregate"]["n"],
        },
        "aggregate": baseline["aggregate"],
        "buckets": baseline["buckets"],
    }
    evaluation["candidate"].pop("semver", None)
    (folder / "candidate_eval.json").write_text(json.dumps(evaluation))


def prepare_dvc(folder: Path) -> None:
    """A DVC repository whose metrics moved since its last commit."""
    metrics = folder / "metrics.json"
    metrics.write_text(json.dumps({f"bucket{number}": 0.9 for number in range(11)}))
    (folder / "dvc.yaml").write_text("metrics:\n  - metrics.json\n")
    git = ["git", "-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    commands = [["git", "init", "--quiet"], [str(BIN / "dvc"), "init", "--quiet"], ["git", "add", "--all"]]
    for command in [*commands, [*git, "commit", "--quiet", "--message", "metrics"]]:
        run(command, cwd=folder, DVC_NO_ANALYTICS="1")
    metrics.write_text(json.dumps({f"bucket{number}": 0.89 for number in range(11)}))


if __name__ == "__main__":
    sys.exit(main())
