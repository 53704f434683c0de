"""The command ``policy show``."""

from __future__ import annotations

import typer

from lynxgate.cli.commands import Panel, add_command, open_group
from lynxgate.cli.options import BASELINE, BaselinePath
from lynxgate.cli.output import print_document


def register(app: typer.Typer) -> None:
    """Add this module's command to ``app``."""
    group = open_group(app, "policy", "Show the policy of a baseline.", Panel.BASELINE)
    add_command(group, "show", show, example="policy show --baseline eval_baseline.json")


def show(baseline: BaselinePath = BASELINE) -> None:
    """Print the effective policy as JSON.

    It has every default, the terms of each bucket, and the policy's hash. A glob that matches nothing is refused.
    """
    from lynxgate.decision.baseline import CREATE_IT, parse_baseline
    from lynxgate.decision.effective_policy import describe_policy
    from lynxgate.decision.enforceable import check_globs
    from minieval.contract.documents import pretty_json, read_bytes

    agreed = parse_baseline(read_bytes(baseline, missing=CREATE_IT), where=str(baseline))
    check_globs(agreed, where=str(baseline))
    print_document(pretty_json(describe_policy(agreed)))
