"""The program ``lynxgate``, also `python -m lynxgate`: it handles Ctrl-C before anything slow is imported."""

from __future__ import annotations

from minieval.contract.interrupts import take_interrupts


def main() -> None:
    """Run the command and end the process with its exit code."""
    take_interrupts()
    from lynxgate.cli.app import main as run_command  # noqa: PLC0415 - slow

    run_command()


if __name__ == "__main__":
    main()
