"""Check evidence: whether it belongs to a promotion, and whether it proves it.

- No statement in it is believed: the decision is repeated from the documents in it, and the bundle, run, semver and
  previous version that it names are compared with the promotion's.
- A signature's envelope is read here without a key, to see that it holds the evidence beside it; only a `Verifier`
  can decide whether a key made it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from lynxgate.decision.baseline import Status, parse_baseline
from lynxgate.errors import CannotJudge, GateError, IntegrityFailure
from lynxgate.registry.events import Promotion
from lynxgate.registry.layout import RegistryMark
from lynxgate.registry.record import Record
from lynxgate.registry.statement import BUNDLE, Statement
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_document, parse_json
from minieval.contract.manifest import Manifest
from minieval.contract.report import Evaluation


def find_flaws(data: bytes, promotion: Promotion, manifest: Manifest | None) -> Iterator[str]:
    """Yield the reasons why ``data`` is not the evidence of ``promotion``; nothing when it is.

    Without ``manifest``, the files in its subject are not compared.
    """
    event = promotion.event
    if (found := digest_bytes(data)) != promotion.evidence:
        yield f"hashes to {found}"
    try:
        statement = parse_document(data, Statement, where="the evidence")
        verdict, evaluation, baseline = statement.decide()
    except CannotJudge as error:
        yield f"is not evidence as the gate writes it ({error})"
        return
    except GateError as error:
        yield str(error)
        return
    if not verdict.passed or baseline.status is not Status.ACTIVE:
        yield "the documents in it do not pass"
    if not statement.follows(verdict):
        yield "the verdict in it does not follow from the documents in it"
    bound = statement.predicate.promotion
    if bound.semver != promotion.semver:
        yield f"is the evidence for {bound.semver}, not for {promotion.semver}"
    if bound.production_before != event.production_before:
        before, found = event.production_before or "none", bound.production_before or "none"
        yield f"names {found} as the version in production before, and its event names {before}"
    yield from _find_other_measurements(statement, evaluation, promotion)
    named = [(item.name, item.digest.sha256) for item in statement.subject]
    if named[0] != (BUNDLE, event.canonical_sha):
        yield f"its subject is not {event.canonical_sha}"
    if manifest is not None and named[1:] != [(file.path, file.sha256) for file in manifest.files]:
        yield "its subject is not the files of the manifest"
    if manifest is not None and statement.predicate.manifest_format != manifest.format:
        yield f"names the format {statement.predicate.manifest_format}, and the manifest has {manifest.format}"


def _find_other_measurements(statement: Statement, evaluation: Evaluation, promotion: Promotion) -> Iterator[str]:
    """Yield how what was measured is not what was promoted: another run, bundle, or environment of the model."""
    for run in {statement.predicate.promotion.mlflow_run_id, evaluation.candidate.mlflow_run_id} - {promotion.run_id}:
        yield f"is about run {run or 'none'}, not about {promotion.run_id}"
    if evaluation.candidate.canonical_sha != promotion.event.canonical_sha:
        yield f"holds an evaluation of {evaluation.candidate.canonical_sha}, not of {promotion.event.canonical_sha}"
    lock = statement.predicate.documents.model_lock
    named = None if evaluation.model_environment is None else evaluation.model_environment.lock_sha256
    if (None if lock is None else digest_bytes(lock.encode())) != named:
        yield "the lock in it is not the one of the environment that the evaluation names"


def find_strange_ties(data: bytes, promotion: Promotion, record: Record | None, mark: RegistryMark) -> Iterator[str]:
    """Yield how evidence disagrees with the registry that it is in: its mark, its event's version and its record.

    Evidence that does not parse yields nothing: `find_flaws` reports it.
    """
    try:
        statement = parse_document(data, Statement, where="the evidence")
        baseline = parse_baseline(statement.predicate.documents.baseline.encode())
    except GateError:
        return
    bound = statement.predicate.promotion.registry
    if bound is None:
        if mark.id is not None:
            yield "names no registry"
    else:
        if (bound.environment, bound.id) != (mark.environment, mark.id):
            yield (
                f"is for the registry {bound.id or 'without an id'} for {bound.environment}, "
                f"and this one is {mark.id or 'without an id'} for {mark.environment}"
            )
        origin = statement.predicate.promotion.origin
        if origin is not None and origin.registry.id == mark.id:
            yield "names this registry itself as the one that it was promoted from"
        if promotion.event.of_version_1:
            yield f"is newer than its event, {promotion.event.number}, which claims version 1"
    if baseline.model != mark.model:
        yield f"names model {baseline.model or 'none'} in its baseline, and the registry {mark.model or 'none'}"
    if record is not None and record.model != mark.model:
        yield f"has a record that names model {record.model or 'none'}, and the registry {mark.model or 'none'}"
    logged = statement.predicate.promotion.logged_model
    if record is not None and record.logged_model != logged:
        yield f"names the logged model {logged or 'none'}, and its record {record.logged_model or 'none'}"
    environment = mark.environment if mark.environment.is_named else None
    if record is not None and record.environment != environment:
        yield f"has a record for {record.environment or 'production or dev'}"
    named = baseline.policy.model_name
    if record is not None and record.registered_model != named:
        yield f"names the registered model {named or 'none'}, and its record {record.registered_model or 'none'}"


def read_payload(envelope: bytes, *, where: str) -> tuple[bytes, frozenset[str]]:
    """Return the payload of a DSSE envelope and the ids of the keys that it names as signers; nothing is verified.

    Raises:
        IntegrityFailure: it is not a DSSE envelope.
    """
    try:
        tree = parse_json(envelope, where=where)
        payload = base64.b64decode(tree["payload"], validate=True)
        return payload, frozenset(str(signature["keyid"]) for signature in tree["signatures"])
    except CannotJudge as error:
        raise IntegrityFailure(str(error)) from error
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise IntegrityFailure(f"{where}: is not a DSSE envelope ({type(error).__name__})") from error
