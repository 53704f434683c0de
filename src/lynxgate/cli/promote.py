"""The command ``promote``, also called ``registry promote``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from lynxgate.cli.commands import Panel, add_command, open_group
from lynxgate.cli.options import (
    BASELINE,
    BUNDLE,
    EVALUATION,
    REGISTRY,
    REGISTRY_SUMMARY,
    AsJson,
    BaselinePath,
    BundlePath,
    EvalSetPath,
    EvaluationPath,
    ModelName,
    NewSemver,
    Registry,
    SigningKey,
    TrackingUri,
)
from lynxgate.cli.output import print_receipt, print_text, warn_if_dev
from minieval.contract.exits import Exit

if TYPE_CHECKING:
    from lynxgate.promotion.eval_set_usage import EvalSetUsage


def register(app: typer.Typer) -> None:
    """Add the command to ``app`` and to its group ``registry``."""
    example = "promote --canonical-sha SHA --semver v0.3.1 --bundle candidate"
    add_command(app, "promote", promote, panel=Panel.GATE, example=example)
    group = open_group(app, "registry", REGISTRY_SUMMARY, Panel.REGISTRY)
    add_command(group, "promote", promote, panel=Panel.WRITE, example=f"registry {example}")


def promote(
    canonical_sha: Annotated[str, typer.Option("--canonical-sha", help="The canonical SHA of the bundle.")],
    semver: NewSemver,
    evaluation: EvaluationPath = EVALUATION,
    baseline: BaselinePath = BASELINE,
    bundle: BundlePath = BUNDLE,
    eval_set: EvalSetPath = None,
    registry: Registry = REGISTRY,
    tracking_uri: TrackingUri = None,
    signing_key: SigningKey = None,
    expect_production: Annotated[
        str | None,
        typer.Option("--expect-production", help="Refuse unless this version (or none) is still in production."),
    ] = None,
    model_name: ModelName = None,
    as_json: AsJson = False,
) -> int:
    """Promote a bundle that passes the comparison.

    It writes the record, tags.json, the MLflow tag and the index. The same SHA and version twice is one promotion.
    """
    from lynxgate.decision.agreed_task import read_agreed_groups
    from lynxgate.decision.baseline import parse_baseline
    from lynxgate.identity import parse_model, parse_semver, parse_sha
    from lynxgate.promotion.examine import ExpectedProduction, NotPassed, Request
    from lynxgate.promotion.promote import promote as run_promotion
    from lynxgate.reports.verdict_table import render_markdown
    from lynxgate.wiring import open_promotion, open_signer, open_tracking
    from minieval.contract.documents import read_bytes
    from minieval.contract.model_environment import read_lock_beside

    expected = None if expect_production in (None, "none") else str(parse_semver(expect_production))
    agreed = read_bytes(baseline, missing="create one with `lynxgate baseline init`")
    request = Request(
        canonical_sha=parse_sha(canonical_sha),
        semver=str(parse_semver(semver)),
        evaluation=read_bytes(evaluation, missing="evaluate the candidate first (python -m minieval)"),
        baseline=agreed,
        bundle=bundle,
        against=None if expect_production is None else ExpectedProduction(expected),
        model_lock=read_lock_beside(evaluation),
        groups=None if eval_set is None else read_agreed_groups(eval_set, agreed, baseline.parent, where=str(baseline)),
        # As in the gate; an empty name is none.
        logged_model=parse_model(model_name) if model_name else parse_baseline(agreed, where=str(baseline)).model,
    )
    # Before the warning and the network: a bad key is a usage error.
    signer = None if signing_key is None else open_signer(signing_key)
    warn_if_dev()
    tracking = open_tracking(tracking_uri)
    usages: list[EvalSetUsage] = []
    try:
        receipt = run_promotion(
            request,
            open_promotion(registry, tracking, signer),
            tracking,
            os.environ,
            usages.append if as_json else _print_usage,
        )
    except NotPassed as refusal:
        if not as_json:
            print_text(render_markdown(refusal.verdict))
        raise
    print_receipt(receipt, as_json=as_json, usage=usages[0] if usages else None)
    return Exit.OK


def _print_usage(usage: EvalSetUsage) -> None:
    """Print the usage at once: it has been counted, however the promotion ends."""
    print_text(f"{usage.sentence}\n")
