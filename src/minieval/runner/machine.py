"""Describe the machine of an evaluation. Figures that depend on it are comparable only under an equal fingerprint."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

from minieval.contract.digests import digest_bytes
from minieval.contract.documents import canonical_json
from minieval.contract.report import Environment

THAT_PREDICT = ("mlflow", "numpy", "pandas")  # their versions move latency, so they are in the fingerprint


def describe_environment(
    *, isolation: str, batch_size: int, packages: Mapping[str, str], python: str | None = None
) -> Environment:
    """Return Python, CPU, and a fingerprint of these, the cores, the isolation, the batch size and three packages.

    ``python`` is the version that the model ran in, by default that of this process; ``packages`` are those in it.
    """
    python, cpu = python or platform.python_version(), _cpu()
    facts = {
        "python": f"{platform.python_implementation()} {python}",
        "machine": platform.machine(),
        "cpu": cpu,
        "cores": os.cpu_count() or 1,
        "isolation": isolation,
        "batch_size": batch_size,
        "packages": {name: packages.get(name) for name in THAT_PREDICT},
    }
    return Environment(python=python, cpu=cpu, fingerprint=digest_bytes(canonical_json(facts)))


def _cpu() -> str:
    """Return the processor's name from Linux, or its architecture where Linux names none."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        text = ""
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, "")[:200] or platform.machine() or "unknown"
