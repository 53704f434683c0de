"""How commands are added to the app: panels in the help, an example for each command, hidden aliases, groups.

- Help is plain text and needs no Rich: it is the same in a terminal, a log and a file, and fast.
- A group (`registry`, `ci`) is made by the first module that needs it, since a process loads only some modules.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import typer
from typer.core import TyperGroup

PROGRAM: Final = "lynxgate"


class Panel(StrEnum):
    """The tasks by which help lists commands, in the order of the help."""

    GATE = "Gate"
    DECIDE = "Decide"
    BASELINE = "Baseline"
    REGISTRY = "Registry"
    CI = "CI"
    TOOLS = "Tools"
    READ = "Read"
    WRITE = "Write"


class PanelGroup(TyperGroup):
    """A group of commands whose help lists them by panel, in plain text."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - Typer's signature
        """Write one section for each panel; commands without a panel come first, under "Commands"."""
        shown = [(name, command) for name, command in self.commands.items() if not command.hidden]
        # All names have the width of the longest, so that the summaries of all sections start in one column.
        width = max((len(name) for name, _ in shown), default=0)
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in shown:
            panel = getattr(command, "rich_help_panel", None)
            rows = panels.setdefault(str(panel) if panel else "Commands", [])
            rows.append((name.ljust(width), command.get_short_help_str(formatter.width - width - 4)))
        for title in ("Commands", *Panel):
            if title in panels:
                with formatter.section(title):
                    formatter.write_dl(panels[title])


def open_group(app: typer.Typer, name: str, summary: str, panel: Panel) -> typer.Typer:
    """Return the group ``name`` of ``app``; create it when no module has done so yet."""
    for each in app.registered_groups:
        if each.name == name and each.typer_instance is not None:
            return each.typer_instance
    group = typer.Typer(cls=PanelGroup, help=summary, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(group, name=name, rich_help_panel=panel)
    return group


def add_command(
    app: typer.Typer,
    name: str,
    function: Callable[..., Any],
    *,
    example: str,
    panel: Panel | None = None,
    alias: str | None = None,
) -> None:
    r"""Add ``function`` as a command: its docstring is the help, ``example`` the words after `lynxgate`.

    ``alias`` is an earlier name of the command; it works and is not shown.
    """
    # "\b" keeps the help formatter from joining the lines of the paragraph.
    lines = "\n".join(f"  {PROGRAM} {line}" for line in example.splitlines())
    epilog = f"\b\nExample:\n{lines}"
    app.command(name, epilog=epilog, rich_help_panel=panel)(function)
    if alias is not None:
        app.command(alias, epilog=epilog, hidden=True)(function)
