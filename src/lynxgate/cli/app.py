"""The ``lynxgate`` command: one Typer app, assembled from a module per group of commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from lynxgate.cli import analysis, candidate, ci, decision, gate, keep, policy, propose, providers, registry, scaffold
from minieval import exits

app = typer.Typer(
    name="lynxgate",
    help="The gate between a trained model and production.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
candidate.register(app)
decision.register(app)
policy.register(app)
analysis.register(app)
providers.register(app)
registry.register(app)
gate.register(app)
ci.register(app)
propose.register(app)
keep.register(app)
scaffold.register(app)


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command in this process and return its exit code."""
    return exits.run(app, argv, prog="lynxgate")


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(run())
