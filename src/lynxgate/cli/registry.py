"""Commands that promote, and that read a registry: ``promote`` and ``registry ...``."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lynxgate.settings import DEFAULT_REGISTRY
from minieval.contract.exits import Exit

if TYPE_CHECKING:
    from lynxgate.promotion.eval_set_usage import EvalSetUsage

Registry = Annotated[
    str,
    typer.Option("--registry", envvar="LYNXGATE_REGISTRY", help="The registry: a directory, or s3://bucket/prefix."),
]
TrackingUri = Annotated[
    str | None, typer.Option("--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="Where MLflow keeps its runs.")
]
SigningKey = Annotated[
    Path | None,
    typer.Option(
        "--signing-key",
        envvar="LYNXGATE_SIGNING_KEY",
        help="An Ed25519 private key (PEM): the evidence is signed with it.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Strict JSON on stdout.")]

registry_app = typer.Typer(no_args_is_help=True, help="Read and verify a registry.", rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add this module's commands to ``app``."""
    app.command()(promote)
    app.add_typer(registry_app, name="registry")
    registry_app.command("promote")(promote)
    registry_app.command("init")(init)
    registry_app.command("count-gate")(count_gate)
    registry_app.command("list")(list_promotions)
    registry_app.command("show")(show)
    registry_app.command("lineage")(lineage)
    registry_app.command("verify")(verify)
    registry_app.command("recover")(recover)
    registry_app.command("rollback")(rollback)
    registry_app.command("tombstone")(tombstone)


def promote(
    canonical_sha: Annotated[str, typer.Option("--canonical-sha", help="The bundle's canonical SHA.")],
    semver: Annotated[str, typer.Option("--semver", help="The version it becomes, as v0.3.1.")],
    evaluation: Annotated[Path, typer.Option(help="The candidate's evaluation.")] = Path("candidate_eval.json"),
    baseline: Annotated[Path, typer.Option(help="The committed baseline.")] = Path("eval_baseline.json"),
    bundle: Annotated[Path, typer.Option(help="The bundle as fetched.")] = Path("candidate"),
    eval_set: Annotated[
        Path | None, typer.Option("--eval-set", help="The eval set itself, for rules that respect groups of its rows.")
    ] = None,
    registry: Registry = DEFAULT_REGISTRY,
    tracking_uri: TrackingUri = None,
    signing_key: SigningKey = None,
    expect_production: Annotated[
        str | None,
        typer.Option("--expect-production", help="Refuse unless this version (or none) is still in production."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Promote a bundle that passes: tags.json, the MLflow tag, the index. Idempotent on (SHA, semver)."""
    from lynxgate.decision.groups import read_groups
    from lynxgate.identity import parse_semver, parse_sha
    from lynxgate.promotion.promote import ExpectedProduction, NotPassed, Request
    from lynxgate.promotion.promote import promote as run_promotion
    from lynxgate.reports.tables import render_markdown
    from lynxgate.wiring import open_promotion, open_signer, open_tracking
    from minieval.contract.documents import read_bytes

    expected = None if expect_production in (None, "none") else str(parse_semver(expect_production))
    request = Request(
        canonical_sha=parse_sha(canonical_sha),
        semver=str(parse_semver(semver)),
        evaluation=read_bytes(evaluation, missing="evaluate the candidate first (python -m minieval)"),
        baseline=read_bytes(baseline, missing="make one with `lynxgate baseline init`"),
        bundle=bundle,
        against=None if expect_production is None else ExpectedProduction(expected),
        groups=None if eval_set is None else read_groups(eval_set),
    )
    signer = None if signing_key is None else open_signer(signing_key)
    warn_if_dev()
    tracking = open_tracking(tracking_uri)
    found: list[EvalSetUsage] = []
    try:
        receipt = run_promotion(
            request,
            open_promotion(registry, tracking, signer),
            tracking,
            os.environ,
            found.append if as_json else _print_usage,
        )
    except NotPassed as refusal:
        if not as_json:
            print(render_markdown(refusal.verdict))
        raise
    if as_json:
        _print_json(
            {
                "status": receipt.ending,
                "semver": receipt.semver,
                "canonical_sha": receipt.canonical_sha,
                "production_before": receipt.production_before,
                **({"wear": asdict(found[0])} if found else {}),
            }
        )
    else:
        print(f"{receipt.ending} {receipt.semver} {receipt.canonical_sha}")
    return Exit.OK


def _print_usage(wear: EvalSetUsage) -> None:
    """At once: it has been counted, however the promotion ends."""
    print(f"{wear.sentence}\n", flush=True)


def count_gate(
    evaluation: Annotated[Path, typer.Option(help="The candidate's evaluation.")] = Path("candidate_eval.json"),
    baseline: Annotated[Path, typer.Option(help="The committed baseline.")] = Path("eval_baseline.json"),
    registry: Registry = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> int:
    """Count one gate on the eval set before it is answered, where the policy does (`shelf_life`)."""
    from lynxgate.decision.baseline import CREATE_IT, parse_baseline
    from lynxgate.decision.decide import EVALUATE_IT
    from lynxgate.promotion.eval_set_usage import count_gate as count
    from lynxgate.wiring import open_store
    from minieval.contract.documents import read_bytes, read_document
    from minieval.contract.report import Evaluation

    agreed = parse_baseline(read_bytes(baseline, missing=CREATE_IT), where=str(baseline))
    measured = read_document(evaluation, Evaluation, missing=EVALUATE_IT)
    warn_if_dev()
    wear = count(open_store(registry), os.environ, measured, agreed)
    if as_json:
        _print_json(None if wear is None else asdict(wear))
    elif wear is None:
        print("the policy counts no gates (it has no shelf_life)", file=sys.stderr)
    else:
        print(wear.sentence)
    return Exit.OK


def init(
    environment: Annotated[str, typer.Option(help="production or dev; a registry is marked once.")],
    registry: Registry = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> int:
    """Mark a directory or an S3 prefix as a registry."""
    from lynxgate.errors import UsageFailure
    from lynxgate.registry.layout import Environment, create_registry
    from lynxgate.wiring import open_store

    if environment not in list(Environment):
        raise UsageFailure(f"--environment is {environment!r}; it is production or dev")
    store = open_store(registry)
    made = create_registry(store, Environment(environment))
    if as_json:
        _print_json({"registry": store.location, "environment": environment, "made": made})
    else:
        print(f"{store.location}: {'made' if made else 'already'} a registry for {environment}")
    return Exit.OK


def list_promotions(
    registry: Registry = DEFAULT_REGISTRY,
    last: Annotated[int, typer.Option("--last", min=1, help="How many events to show.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="Show every event.")] = False,
    as_json: AsJson = False,
) -> int:
    """The last promotions, rollbacks and tombstones, in order, and what is in production."""
    from lynxgate.audit.history import read_events, read_last_events
    from lynxgate.wiring import open_existing_store

    store = open_existing_store(registry)
    production, events, earlier = (*read_events(store), 0) if everything else read_last_events(store, last)
    if as_json:
        rows = [event.to_tree() for event in events]
        _print_json({"production": production, "earlier": earlier, "events": rows})
        return Exit.OK
    if earlier:
        print(f"{earlier} earlier events; --all shows them too", file=sys.stderr)
    for event in events:
        mark = "production" if event.semver == production and event.kind == "promoted" else event.reason or ""
        print(f"{event.kind:<11} {event.semver or '':<9} {event.canonical_sha} {event.at[:19]}Z {mark}".rstrip())
    if not events:
        print(f"{store.location}: nothing was promoted yet", file=sys.stderr)
    return Exit.OK


def show(
    which: Annotated[str, typer.Argument(help="A semver or a canonical SHA.")],
    registry: Registry = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> int:
    """One promotion: its record, and where its evidence is."""
    from lynxgate.audit.history import find_records
    from lynxgate.registry.layout import evidence_key
    from lynxgate.wiring import open_existing_store

    store = open_existing_store(registry)
    records = find_records(store, which)
    if as_json:
        _print_json([json.loads(record.to_bytes()) for record in records])
        return Exit.OK
    for record in records:
        print(f"{record.semver} {record.canonical_sha} {record.state}")
        print(f"  run       {record.mlflow_run_id}")
        print(f"  after     {record.production_before or 'nothing'}")
        print(f"  event     {record.event.number if record.event else 'none'}")
        print(f"  evidence  {store.location}/{evidence_key(record.canonical_sha, record.evidence)}")
        if record.note:
            print(f"  note      {record.note}")
    return Exit.OK


def lineage(
    semver: Annotated[str, typer.Argument(help="A promoted version, as v0.3.1.")],
    registry: Registry = DEFAULT_REGISTRY,
    tracking_uri: TrackingUri = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no run for its training data.")] = False,
    form: Annotated[str, typer.Option("--format", help="text, mermaid or json.")] = "text",
    as_json: AsJson = False,
) -> int:
    """Where a version comes from: eval set, run, training data, baseline, and the versions before it."""
    from lynxgate.audit import lineage_report
    from lynxgate.audit.lineage import trace
    from lynxgate.errors import UsageFailure
    from lynxgate.identity import parse_semver
    from lynxgate.wiring import open_existing_store, open_tracking

    if form not in ("text", "mermaid", "json") or (as_json and form == "mermaid"):
        raise UsageFailure(f"--format is {form[:40]!r}; it is one of text, mermaid and json (which --json says too)")
    version, store = str(parse_semver(semver)), open_existing_store(registry)
    generations = trace(store, version, None if offline else open_tracking(tracking_uri))
    if as_json or form == "json":
        _print_json(lineage_report.as_tree(generations))
    elif form == "mermaid":
        print(lineage_report.as_mermaid(generations))
    else:
        print(lineage_report.as_text(generations, asked=not offline))
    return Exit.OK


def verify(
    registry: Registry = DEFAULT_REGISTRY,
    tracking_uri: TrackingUri = None,
    offline: Annotated[bool, typer.Option("--offline", help="Leave MLflow's tags out.")] = False,
    public_key: Annotated[
        Path | None,
        typer.Option("--public-key", help="An Ed25519 public key (PEM) that must have signed all evidence."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Hash every entry again, walk the chain, and compare index, records, tags and MLflow."""
    from lynxgate.audit.verify import audit
    from lynxgate.wiring import open_existing_store, open_tracking, open_verifier

    verifier = None if public_key is None else open_verifier(public_key)
    store = open_existing_store(registry)
    result = audit(store, None if offline else open_tracking(tracking_uri), verifier)
    if as_json:
        findings = [{"place": finding.place, "problem": finding.problem} for finding in result.findings]
        _print_json({"promotions": result.promotions, "entries": result.entries, "findings": findings})
    else:
        for finding in result.findings:
            print(f"{finding.place}: {finding.problem}")
        if not result.findings:
            signed = f", all evidence signed by {verifier.key_id}" if verifier is not None else ""
            left_out = " (MLflow left out)" if offline else ""
            counts = f"promotions {result.promotions}, entries {result.entries}"
            print(f"{store.location} holds: {counts}{signed}{left_out}")
    return Exit.INTEGRITY if result.findings else Exit.OK


def rollback(
    to: Annotated[str, typer.Option("--to", help="The earlier version that production goes back to.")],
    registry: Registry = DEFAULT_REGISTRY,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> int:
    """Put production back to an earlier version: a new event, nothing deleted."""
    from lynxgate.identity import parse_semver
    from lynxgate.promotion.rollback import roll_back
    from lynxgate.wiring import open_promotion, open_tracking

    warn_if_dev()
    context = open_promotion(registry, open_tracking(tracking_uri))
    record, before = roll_back(str(parse_semver(to)), context, os.environ)
    if as_json:
        answer = {"production": record.semver, "canonical_sha": record.canonical_sha, "production_before": before}
        _print_json(answer)
    elif before is None:
        print(f"already in production {record.semver} {record.canonical_sha}")
    else:
        print(f"rolled back from {before} to {record.semver} {record.canonical_sha}")
    return Exit.OK


def tombstone(
    sha: Annotated[str, typer.Argument(help="The canonical SHA of a bundle that may never be promoted again.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for whoever asks later.")],
    registry: Registry = DEFAULT_REGISTRY,
    tracking_uri: TrackingUri = None,
    as_json: AsJson = False,
) -> int:
    """Say that a bundle may never be promoted again, and why."""
    from lynxgate.errors import UsageFailure
    from lynxgate.identity import parse_sha
    from lynxgate.promotion.tombstones import tombstone as lay
    from lynxgate.wiring import open_promotion, open_tracking

    if not reason.isprintable() or not 0 < len(reason) <= 200:
        raise UsageFailure("--reason is one line of 1 to 200 printable characters")
    warn_if_dev()
    stone = lay(parse_sha(sha), reason, open_promotion(registry, open_tracking(tracking_uri)), os.environ)
    if as_json:
        _print_json(stone.model_dump(mode="json", by_alias=True, exclude_none=True))
    else:
        print(f"tombstoned {stone.canonical_sha}: {stone.reason}")
    return Exit.OK


def recover(registry: Registry = DEFAULT_REGISTRY, tracking_uri: TrackingUri = None, as_json: AsJson = False) -> int:
    """End every promotion and rollback whose owner died: forward where it had taken effect, else back."""
    from lynxgate.audit.history import recover_all
    from lynxgate.promotion.authorization import authorise, check_registry
    from lynxgate.registry.layout import read_environment
    from lynxgate.wiring import open_promotion, open_tracking

    context = open_promotion(registry, open_tracking(tracking_uri))
    check_registry(authorise(os.environ), read_environment(context.store), context.store.location)
    ended = recover_all(context)
    if as_json:
        _print_json([json.loads(record.to_bytes()) for record in ended])
        return Exit.OK
    for record in ended:
        print(f"{record.semver} {record.canonical_sha} {record.state}")
    if not ended:
        print("nothing to recover", file=sys.stderr)
    return Exit.OK


def warn_if_dev() -> None:
    """Say on stderr that this is not the way to production."""
    if os.environ.get("LYNX_ENV") == "dev":
        print("lynxgate: warning: LYNX_ENV=dev writes to a dev registry; production goes through CI", file=sys.stderr)


def _print_json(value: Any) -> None:
    """Strict JSON and nothing else, in ASCII, so that no terminal or log acts upon what somebody named."""
    print(json.dumps(value, indent=2, allow_nan=False))
