"""The commands that change a registry, except ``promote``: create, count a gate, recover, roll back, tombstone."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from lynxgate.cli.commands import Panel, add_command, open_group
from lynxgate.cli.options import (
    BASELINE,
    EVALUATION,
    REGISTRY,
    REGISTRY_SUMMARY,
    AsJson,
    BaselinePath,
    EvaluationPath,
    Registry,
    SigningKey,
    TrackingUri,
)
from lynxgate.cli.output import note, print_json, print_receipt, print_text, warn_if_dev
from minieval.contract.exits import Exit


def register(app: typer.Typer) -> None:
    """Add this module's commands to the group ``registry`` of ``app``."""
    group = open_group(app, "registry", REGISTRY_SUMMARY, Panel.REGISTRY)
    add_command(
        group,
        "init",
        init,
        panel=Panel.WRITE,
        example="registry init --environment production --registry s3://bucket/prefix",
    )
    add_command(
        group,
        "count-gate",
        count_gate,
        panel=Panel.WRITE,
        example="registry count-gate --evaluation candidate_eval.json",
    )
    add_command(
        group,
        "promote-from",
        promote_from,
        panel=Panel.WRITE,
        example="registry promote-from s3://bucket/staging --semver v0.3.1 --registry s3://bucket/production",
    )
    add_command(group, "recover", recover, panel=Panel.WRITE, example="registry recover")
    add_command(group, "rollback", rollback, panel=Panel.WRITE, example="registry rollback --to v0.3.0")
    add_command(
        group, "tombstone", tombstone, panel=Panel.WRITE, example='registry tombstone SHA --reason "leaks names"'
    )


def init(
    environment: Annotated[
        str,
        typer.Option("--environment", help="production, dev or another name (staging); it cannot be changed later."),
    ],
    registry: Registry = REGISTRY,
    model: Annotated[
        str | None,
        typer.Option("--model", help="The only model that may enter it, as named in its baseline; for ever."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Create a registry.

    It marks a directory or an S3 prefix. To create the same registry again changes nothing. Every environment except
    dev has the rules of production: only CI promotes to it.
    """
    from lynxgate.errors import UsageFailure
    from lynxgate.identity import parse_model
    from lynxgate.registry.environment import Environment
    from lynxgate.registry.layout import create_registry
    from lynxgate.wiring import open_store

    try:
        kind = Environment(environment)
    except ValueError as error:
        raise UsageFailure(f"--environment: {error}; for example production, staging or dev") from error
    name = None if model is None else parse_model(model)
    store = open_store(registry)
    created = create_registry(store, kind, name)
    if as_json:
        named = {} if name is None else {"model": name}
        print_json({"registry": store.location, "environment": environment, **named, "made": created})
        return Exit.OK
    of_model = "" if name is None else f" of model {name}"
    done = "created a registry" if created else "is already a registry"
    print_text(f"{store.location}: {done} for {environment}{of_model}")
    return Exit.OK


def count_gate(
    evaluation: EvaluationPath = EVALUATION,
    baseline: BaselinePath = BASELINE,
    registry: Registry = REGISTRY,
    as_json: AsJson = False,
) -> int:
    """Count one use of the eval set.

    Only for a policy with `shelf_life`. `gate` and `promote` count by themselves; this command counts refused
    candidates too, in a CI job that may not promote.
    """
    from lynxgate.decision.baseline import CREATE_IT, parse_baseline
    from lynxgate.decision.decide import EVALUATE_IT
    from lynxgate.promotion.eval_set_usage import count_gate as count
    from lynxgate.wiring import open_store
    from minieval.contract.documents import read_bytes, read_document
    from minieval.contract.report import Evaluation

    agreed = parse_baseline(read_bytes(baseline, missing=CREATE_IT), where=str(baseline))
    measured = read_document(evaluation, Evaluation, missing=EVALUATE_IT)
    warn_if_dev()
    usage = count(open_store(registry), os.environ, measured, agreed)
    if as_json:
        print_json(None if usage is None else asdict(usage))
    elif usage is None:
        note("not counted: the policy has no shelf_life")
    else:
        print_text(usage.sentence)
    return Exit.OK


def promote_from(
    source: Annotated[str, typer.Argument(help="The registry to promote from: a directory or s3://bucket/prefix.")],
    semver: Annotated[str, typer.Option("--semver", help="The version to promote, for example v0.3.1.")],
    registry: Registry = REGISTRY,
    tracking_uri: TrackingUri = None,
    signing_key: SigningKey = None,
    as_json: AsJson = False,
) -> int:
    """Promote a version from one registry to the next.

    The decision is made again from the documents in the first registry's evidence, and the model is downloaded and
    compared with its manifest. The new evidence names the first registry, its evidence and the end of its index.
    """
    from lynxgate.identity import parse_semver
    from lynxgate.promotion.promote_from import promote_from as run_promotion
    from lynxgate.wiring import open_existing_store, open_promotion, open_signer, open_tracking

    version = str(parse_semver(semver))
    signer = None if signing_key is None else open_signer(signing_key)
    warn_if_dev()
    tracking = open_tracking(tracking_uri)
    context = open_promotion(registry, tracking, signer)
    receipt = run_promotion(open_existing_store(source), version, context, tracking, os.environ, notify=note)
    print_receipt(receipt, as_json=as_json)
    return Exit.OK


def recover(
    registry: Registry = REGISTRY,
    tracking_uri: TrackingUri = None,
    signing_key: SigningKey = None,
    as_json: AsJson = False,
) -> int:
    """Finish or undo interrupted promotions.

    A promotion or rollback that had taken effect is finished; any other is undone. One whose process is still alive
    is left alone.
    """
    from lynxgate.promotion.authorization import authorise, check_registry
    from lynxgate.promotion.recovery import recover_all
    from lynxgate.registry.layout import read_environment
    from lynxgate.wiring import open_promotion, open_signer, open_tracking

    signer = None if signing_key is None else open_signer(signing_key)
    context = open_promotion(registry, open_tracking(tracking_uri), signer)
    # Recovery can finish a promotion, so it needs the same authority.
    check_registry(authorise(os.environ), read_environment(context.store), context.store.location)
    ended = recover_all(context)
    if as_json:
        print_json([json.loads(record.to_bytes()) for record in ended])
        return Exit.OK
    for record in ended:
        print_text(f"{record.semver} {record.canonical_sha} {record.state}")
    if not ended:
        note("nothing to recover")
    return Exit.OK


def rollback(
    to: Annotated[str, typer.Option("--to", help="The earlier version to put into production.")],
    registry: Registry = REGISTRY,
    tracking_uri: TrackingUri = None,
    signing_key: SigningKey = None,
    as_json: AsJson = False,
) -> int:
    """Put an earlier version back into production.

    This adds an event and deletes nothing.
    """
    from lynxgate.identity import parse_semver
    from lynxgate.promotion.rollback import roll_back
    from lynxgate.wiring import open_promotion, open_signer, open_tracking

    warn_if_dev()
    signer = None if signing_key is None else open_signer(signing_key)
    context = open_promotion(registry, open_tracking(tracking_uri), signer)
    record, before = roll_back(str(parse_semver(to)), context, os.environ)
    if as_json:
        answer = {"production": record.semver, "canonical_sha": record.canonical_sha, "production_before": before}
        print_json(answer)
    elif before is None:
        print_text(f"already in production {record.semver} {record.canonical_sha}")
    else:
        print_text(f"rolled back from {before} to {record.semver} {record.canonical_sha}")
    return Exit.OK


def tombstone(
    sha: Annotated[str, typer.Argument(help="The canonical SHA of the bundle.")],
    reason: Annotated[str, typer.Option("--reason", help="The reason, one line, for later readers.")],
    registry: Registry = REGISTRY,
    tracking_uri: TrackingUri = None,
    signing_key: SigningKey = None,
    as_json: AsJson = False,
) -> int:
    """Forbid any promotion of a bundle.

    A tombstone cannot be removed.
    """
    from lynxgate.errors import UsageFailure
    from lynxgate.identity import parse_sha
    from lynxgate.promotion.tombstones import tombstone as write_tombstone
    from lynxgate.wiring import open_promotion, open_signer, open_tracking

    if not reason.isprintable() or not 0 < len(reason) <= 200:
        raise UsageFailure("--reason must be one line of 1 to 200 printable characters")
    warn_if_dev()
    signer = None if signing_key is None else open_signer(signing_key)
    context = open_promotion(registry, open_tracking(tracking_uri), signer)
    stone = write_tombstone(parse_sha(sha), reason, context, os.environ)
    if as_json:
        print_json(stone.model_dump(mode="json", by_alias=True, exclude_none=True))
    else:
        print_text(f"tombstoned {stone.canonical_sha}: {stone.reason}")
    return Exit.OK
