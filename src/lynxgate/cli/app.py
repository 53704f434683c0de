"""The ``lynxgate`` command: one Typer app, assembled from a module per group of commands.

- To build all commands takes longer than most of them run. A process builds the modules of the command that it runs;
  ``--help`` and shell completion build all.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import Annotated, Final

import typer

from lynxgate.cli.commands import PROGRAM, PanelGroup
from lynxgate.cli.output import print_text
from minieval.contract import exits

# Module: the names at the top level that it adds, or adds to. Inside a panel, help lists them in this order.
MODULES: Final = {
    "gate": ("gate",),
    "candidate": ("fetch", "pull", "check-eval-set"),
    "promote": ("promote", "registry"),
    "compare": ("compare",),
    "diff": ("diff",),
    "analysis": ("explain", "replay", "plan", "calibrate"),
    "baseline": ("baseline",),
    "policy": ("policy",),
    "registry_read": ("registry",),
    "registry_write": ("registry",),
    "init": ("init",),
    "ci": ("ci",),
    "ci_archive": ("ci",),
    "ci_rebaseline": ("ci",),
    "import_metrics": ("import",),
    "documents": ("validate", "schema"),
}


def build(modules: Collection[str] = tuple(MODULES)) -> typer.Typer:
    """Return the app with the commands of ``modules`` (default: of all, and with shell completion)."""
    app = typer.Typer(
        name=PROGRAM,
        cls=PanelGroup,
        help="The gate between a trained model and production.",
        no_args_is_help=True,
        add_completion=set(modules) == set(MODULES),
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    # With a callback Typer keeps even a single command under its name.
    app.callback()(_root)
    for name in modules:
        import_module(f"lynxgate.cli.{name}").register(app)
    return app


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command in this process and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    # Without a known command (`--help`, completion, a typing error) all modules are built.
    called = [module for module, names in MODULES.items() if words and words[0] in names]
    return exits.run(build(called or tuple(MODULES)), argv, prog=PROGRAM)


def main() -> None:
    """Run the command of this process and end it; the entry point is `lynxgate.__main__.main`."""
    # No pydantic plugin may change how documents are read; and to look for plugins reads every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Most of what a command allocates are its modules, which live to its end: to look for garbage costs and finds none.
    gc.set_threshold(100_000)
    sys.exit(run())


def _print_version(wanted: bool) -> None:
    from lynxgate import __version__

    if wanted:
        print_text(f"{PROGRAM} {__version__}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The gate between a trained model and production."""
