"""The ``lynxgate`` command: one Typer app, assembled from a module per group of commands.

Building all of them takes longer than most of them run: a process registers the one that is called, and ``--help`` all.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Final

import typer

from minieval.contract import exits

MODULES: Final = {
    "scaffold": ("init",),
    "candidate": ("fetch", "pull", "check-eval-set"),
    "decision": ("compare", "validate", "schema", "baseline"),
    "policy": ("policy",),
    "analysis": ("explain", "replay", "plan", "calibrate"),
    "providers": ("import",),
    "registry": ("promote", "registry"),
    "gate": ("gate",),
    "ci": ("ci",),
    "propose": ("ci",),
    "keep": ("ci",),
}  # in the order of the help


def build(modules: Iterable[str] = MODULES) -> typer.Typer:
    """The app with the commands of some modules (default: of all)."""
    app = typer.Typer(
        name="lynxgate",
        help="The gate between a trained model and production.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    # With a callback Typer keeps even a single command under its name.
    app.callback()(_nothing)
    for name in modules:
        import_module(f"lynxgate.cli.{name}").register(app)
    return app


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command in this process and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    called = [module for module, names in MODULES.items() if words and words[0] in names]
    return exits.run(build(called or MODULES), argv, prog="lynxgate")


def main() -> None:
    """Entry point of the installed command."""
    # A document is what its schema says, whatever plugin is installed; and looking for one reads every distribution.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Most of what a command allocates are its own modules, which live to its end.
    gc.set_threshold(100_000)
    sys.exit(run())


def _nothing() -> None:
    """The gate between a trained model and production."""
