"""The command ``policy show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    policy = typer.Typer(help="Read the policy inside a baseline.", no_args_is_help=True)
    policy.command("show")(show)
    app.add_typer(policy, name="policy")


def show(
    baseline: Annotated[Path, typer.Option("--baseline", help="The committed baseline.")] = Path("eval_baseline.json"),
) -> None:
    """Print the policy in force as JSON: every default, the terms of each bucket, and its hash."""
    from lynxgate.decision.baseline import CREATE_IT, parse_baseline
    from lynxgate.decision.effective_policy import describe_policy
    from minieval.contract.documents import pretty_json, read_bytes

    agreed = parse_baseline(read_bytes(baseline, missing=CREATE_IT), where=str(baseline))
    print(pretty_json(describe_policy(agreed)).decode().rstrip())
