"""`python -m scripts.mlops.registry promote ...`: `lynxgate registry` by the name CI calls it."""

from __future__ import annotations

import sys

from lynxgate.cli.app import run

if __name__ == "__main__":
    sys.exit(run(["registry", *sys.argv[1:]]))
