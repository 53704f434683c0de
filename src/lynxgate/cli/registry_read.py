"""The commands that read a registry: ``registry list``, ``show``, ``lineage`` and ``verify``. They write nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lynxgate.cli.commands import Panel, add_command, open_group
from lynxgate.cli.options import REGISTRY, REGISTRY_SUMMARY, AsJson, Registry, TrackingUri
from lynxgate.cli.output import note, print_json, print_text
from lynxgate.escape import visible
from minieval.contract.exits import Exit


def register(app: typer.Typer) -> None:
    """Add this module's commands to the group ``registry`` of ``app``."""
    group = open_group(app, "registry", REGISTRY_SUMMARY, Panel.REGISTRY)
    add_command(group, "list", list_promotions, panel=Panel.READ, example="registry list --last 5")
    add_command(group, "show", show, panel=Panel.READ, example="registry show v0.3.1")
    add_command(group, "lineage", lineage, panel=Panel.READ, example="registry lineage v0.3.1 --format mermaid")
    add_command(group, "verify", verify, panel=Panel.READ, example="registry verify --public-key signer.pub.pem")


def list_promotions(
    registry: Registry = REGISTRY,
    last: Annotated[int, typer.Option("--last", min=1, help="The number of events to show.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="Show every event.")] = False,
    as_json: AsJson = False,
) -> int:
    """List the last events and the production version.

    Events are promotions, rollbacks and tombstones, oldest first.
    """
    from lynxgate.audit.history import read_events, read_last_events
    from lynxgate.wiring import open_existing_store

    store = open_existing_store(registry)
    production, events, earlier = (*read_events(store), 0) if everything else read_last_events(store, last)
    if as_json:
        rows = [event.to_tree() for event in events]
        head = str(events[-1].head) if events else None
        print_json({"production": production, "earlier": earlier, "head": head, "events": rows})
        return Exit.OK
    if earlier:
        note(f"{earlier} earlier events are not shown; use --all")
    for event in events:
        mark = "production" if event.semver == production and event.kind == "promoted" else event.reason or ""
        print_text(f"{event.kind:<11} {event.semver or '':<9} {event.canonical_sha} {event.at[:19]}Z {mark}".rstrip())
    if not events:
        note(f"{store.location}: no promotions yet")
    return Exit.OK


def show(
    which: Annotated[str, typer.Argument(help="A semver or a canonical SHA.")],
    registry: Registry = REGISTRY,
    as_json: AsJson = False,
) -> int:
    """Show a promotion's record and its evidence.

    A canonical SHA that was promoted under several versions has several records.
    """
    from lynxgate.audit.history import find_records
    from lynxgate.registry.layout import evidence_key
    from lynxgate.wiring import open_existing_store

    store = open_existing_store(registry)
    records = find_records(store, which)
    if as_json:
        print_json([json.loads(record.to_bytes()) for record in records])
        return Exit.OK
    for record in records:
        print_text(f"{record.semver} {record.canonical_sha} {record.state}")
        print_text(f"  run       {record.mlflow_run_id}")
        print_text(f"  previous  {record.production_before or 'none'}")
        print_text(f"  event     {record.event.number if record.event else 'none'}")
        print_text(f"  evidence  {store.location}/{evidence_key(record.canonical_sha, record.evidence)}")
        if record.note:
            print_text(f"  note      {visible(record.note)}")
    return Exit.OK


def lineage(
    semver: Annotated[str, typer.Argument(help="A promoted version, for example v0.3.1.")],
    registry: Registry = REGISTRY,
    tracking_uri: TrackingUri = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not read training data from MLflow runs.")] = False,
    form: Annotated[str, typer.Option("--format", help="text, mermaid or json.")] = "text",
    as_json: AsJson = False,
) -> int:
    """Show what a version was made from.

    That is: eval set, run, training data, baseline, and the versions before it.
    """
    from lynxgate.audit import lineage_report
    from lynxgate.audit.lineage import trace
    from lynxgate.errors import UsageFailure
    from lynxgate.identity import parse_semver
    from lynxgate.wiring import open_existing_store, open_tracking

    if form not in ("text", "mermaid", "json"):
        raise UsageFailure(f"--format is {form[:40]!r}; use text, mermaid or json")
    if as_json and form == "mermaid":
        raise UsageFailure("--format mermaid and --json exclude each other; use one of them")
    version, store = str(parse_semver(semver)), open_existing_store(registry)
    generations = trace(store, version, None if offline else open_tracking(tracking_uri))
    if as_json or form == "json":
        print_json(lineage_report.as_tree(generations))
    elif form == "mermaid":
        print_text(lineage_report.as_mermaid(generations))
    else:
        print_text(lineage_report.as_text(generations, queried=not offline))
    return Exit.OK


def verify(
    registry: Registry = REGISTRY,
    tracking_uri: TrackingUri = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not check the tags in MLflow.")] = False,
    public_key: Annotated[
        list[Path] | None,
        typer.Option(
            "--public-key",
            help="An Ed25519 public key (PEM); it must have signed all evidence and events. May be repeated.",
        ),
    ] = None,
    expect_head: Annotated[
        str | None,
        typer.Option("--expect-head", help="The head that the index must end with, as --json printed it."),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also", help="Another registry on the same MLflow server, whose tags are right. May be repeated."
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Verify a registry and the tags in MLflow.

    It hashes every entry, follows the chain of events, and compares index, records, tags.json and MLflow's tags.
    Exit 4 when something does not agree, 5 when that could not be found out.
    """
    from lynxgate.audit.verify import audit
    from lynxgate.errors import StoreFailure
    from lynxgate.registry.events import parse_head
    from lynxgate.wiring import open_existing_store, open_tracking, open_verifier

    verifiers = [open_verifier(path) for path in public_key or ()]
    head = None if expect_head is None else parse_head(expect_head)
    store = open_existing_store(registry)
    others = [open_existing_store(each) for each in also or ()]
    result = audit(
        store, None if offline else open_tracking(tracking_uri), verifiers, expected_head=head, sharing=others
    )
    if as_json:
        findings = [{"place": finding.place, "problem": finding.problem} for finding in result.findings]
        print_json(
            {
                "promotions": result.promotions,
                "entries": result.entries,
                "head": None if result.head is None else str(result.head),
                "findings": findings,
                **({} if result.unchecked is None else {"unchecked": result.unchecked}),
            }
        )
    else:
        for finding in result.findings:
            print_text(visible(f"{finding.place}: {finding.problem}"))
        if not result.findings and result.unchecked is None:
            signed = _describe_signatures([verifier.key_id for verifier in verifiers], result.before_signing)
            left_out = " (MLflow not checked)" if offline else ""
            print_text(f"{store.location} verified: {_count(result.promotions, result.entries)}{signed}{left_out}")
    if result.unchecked is not None:
        failure = f"MLflow was not compared: {result.unchecked}"
        if not result.findings:
            raise StoreFailure(failure)
        note(f"lynxgate: {failure}")
    return Exit.INTEGRITY if result.findings else Exit.OK


def _describe_signatures(key_ids: list[str], before_signing: int) -> str:
    if not key_ids:
        return ""
    unsigned = f"; {before_signing} events of an older version are not signed" if before_signing else ""
    return f", all evidence signed by {' or '.join(key_ids)}{unsigned}"


def _count(promotions: int, entries: int) -> str:
    return (
        f"{promotions} {'promotion' if promotions == 1 else 'promotions'}, "
        f"{entries} {'entry' if entries == 1 else 'entries'}"
    )
