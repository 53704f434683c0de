"""`python -m lynxgate`: the command ``lynxgate`` where its script is not on PATH."""

from __future__ import annotations

from lynxgate.cli.app import main

if __name__ == "__main__":
    main()
