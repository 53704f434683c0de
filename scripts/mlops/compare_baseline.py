"""`python -m scripts.mlops.compare_baseline`: `lynxgate compare` by the name CI calls it, options and codes alike."""

from __future__ import annotations

import sys

from lynxgate.cli.app import run

if __name__ == "__main__":
    sys.exit(run(["compare", *sys.argv[1:]]))
