"""The scenario table in docs/scenarios.md: each scenario's test makes its row anew and holds the page to it.

`LYNX_WRITE_SCENARIOS=1 pytest tests/act` writes the rows instead.
"""

from __future__ import annotations

import fcntl
import os

from tests.act.conftest import PULL, Scene
from tests.act.repository import ROOT
from tests.act.runner import Ran

PAGE = ROOT / "docs/scenarios.md"
JOBS = ("request", "evaluate", "count", "announce", "promote", "report")


def hold(name: str, scene: Scene, ran: Ran, registry: str) -> None:
    """Hold the page to what this scenario did; ``registry`` is what the test asserted of it."""
    row = f"| {name} | {_describe_jobs(ran)} | {_headline(scene)} | {registry} |"
    if os.environ.get("LYNX_WRITE_SCENARIOS"):
        _write(name, row)
    assert row in PAGE.read_text().splitlines(), f"docs/scenarios.md is not what happened:\n{row}"


def _describe_jobs(ran: Ran) -> str:
    parts = []
    for job in JOBS:
        failed = [each.name for each in ran.steps if (each.job, each.result) == (job, "failure")]
        if failed:
            parts.append(f"{job} failed at *{failed[0]}*")
        elif job in ran.jobs:
            parts.append(f"{job} {'ok' if ran.jobs[job] == 'success' else ran.jobs[job]}")
    return ", ".join(parts) or "nothing"


def _headline(scene: Scene) -> str:
    bodies = scene.comments
    checks = [call.body["conclusion"] for call in scene.github.calls("POST", "/check-runs") if call.status == 201]
    said = [line.removeprefix("### Lynxgate: ") for body in bodies for line in body.splitlines() if line[:3] == "###"]
    posted = len([call for call in scene.github.calls("POST", f"/issues/{PULL}/comments") if call.status == 201])
    assert posted == len(bodies)
    check = f"; check: {checks[-1]}" if checks else ""
    return (" / ".join(said) or "none") + check


def _write(name: str, row: str) -> None:
    with PAGE.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lines = PAGE.read_text().splitlines()
        found = [number for number, line in enumerate(lines) if line.startswith(f"| {name} |")]
        last = max(number for number, line in enumerate(lines) if line.startswith("|"))
        if found:
            lines[found[0]] = row
        else:
            lines.insert(last + 1, row)
        PAGE.write_text("\n".join(lines) + "\n")
    PAGE.with_suffix(".lock").unlink(missing_ok=True)
