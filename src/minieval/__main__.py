"""The program ``minieval``, also `python -m minieval`: it handles Ctrl-C before anything slow is imported."""

from __future__ import annotations

import sys

from minieval.contract.interrupts import take_interrupts


def main() -> None:
    """Run the command and end the process with its exit code."""
    take_interrupts()
    from minieval.command import run  # noqa: PLC0415 - slow

    sys.exit(run())


if __name__ == "__main__":
    main()
