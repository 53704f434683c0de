"""The main job, from nothing: train, gate a clean and a degraded candidate, promote one, refuse the other.

Embedded defaults only: MLflow on SQLite, the DVC remote inside the repository, a registry in a directory, all under
`.lynxgate/demo`, which is made anew. Every step is a command that is printed before it runs.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PLACE = Path(".lynxgate/demo")
REGISTRY = PLACE / "registry"


def main() -> int:
    """Run the demo; 0 when every step ended as it must."""
    started = time.monotonic()
    os.chdir(ROOT)
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    # Printed too: without them, a command that is copied from this output works elsewhere.
    settings = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{PLACE}/mlflow.db",
        "LYNXGATE_REGISTRY": str(REGISTRY),
        "LYNX_ENV": "dev",
    }
    os.environ.update(settings)
    title("The environment of every command below")
    for name, value in settings.items():
        print(f"$ export {name}={value}")

    title("The eval set, and that its hash holds")
    run("lynxgate", "pull")
    run("lynxgate", "check-eval-set")
    title("The baseline")
    run("lynxgate", "baseline", "show")
    title("The clean candidate")
    clean = run_id("train.py")
    run(*gate(clean, "v0.3.1", "clean"))
    title("The degraded candidate: one participle in ten is mangled")
    degraded = run_id("register_degraded.py", "--from-run", clean)
    run(*gate(degraded, "v0.3.2", "degraded"), expected=2)
    title("The same promotion again")
    sha = promoted_sha()
    again = ["--canonical-sha", sha, "--semver", "v0.3.1"]
    places = ["--bundle", str(PLACE / "clean/candidate"), "--evaluation", str(PLACE / "clean/candidate_eval.json")]
    run("lynxgate", "promote", *again, *places)
    title("Where to look")
    run("lynxgate", "registry", "list")
    run("lynxgate", "registry", "verify")
    print(f"registry   {REGISTRY}/tags.json, index.jsonl, entries/{sha[:12]}.../evidence")
    print(f"verdicts   {PLACE}/clean/verdict.json, {PLACE}/degraded/verdict.json")
    print(f"MLflow     mlflow ui --backend-store-uri sqlite:///{PLACE}/mlflow.db")
    print(f"took       {time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0


def title(text: str) -> None:
    """Print the heading of a part."""
    print(f"\n== {text}", flush=True)


def gate(run: str, semver: str, name: str) -> list[str]:
    """The gate's command for one candidate, its files under a folder of its own."""
    folder = PLACE / name
    files = {"bundle": "candidate", "evaluation": "candidate_eval.json", "verdict": "verdict.json"}
    places = [part for option, file in files.items() for part in (f"--{option}", str(folder / file))]
    return ["lynxgate", "gate", "--run-id", run, "--semver", semver, *places]


def run_id(script: str, *arguments: str) -> str:
    """Run a script of this folder, which prints a run id."""
    command = [sys.executable, str((HERE / script).relative_to(ROOT)), *arguments]
    print(f"$ {shlex.join(['python', *command[1:]])}", flush=True)
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    print(found, flush=True)
    return found


def run(*command: str, expected: int = 0) -> None:
    """Run a command and hold its exit code against what it must be."""
    print(f"$ {shlex.join(command)}", flush=True)
    code = subprocess.run(command, stderr=sys.stdout, check=False).returncode
    if expected:
        print(f"exit {code}", flush=True)
    if code != expected:
        sys.exit(f"demo: the command above ended with {code}, and {expected} was expected")


def promoted_sha() -> str:
    """The canonical SHA of v0.3.1, as the registry has it."""
    listing = subprocess.run(["lynxgate", "registry", "list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return listing.split()[2]


if __name__ == "__main__":
    sys.exit(main())
