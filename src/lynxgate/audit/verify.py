"""Verify a registry as an auditor: hash every entry again, walk the chain, compare records, tags and MLflow.

- It only reads. It reports every finding, file by file, and changes nothing.
- It trusts no document. A promotion is right when index, record, evidence, manifest and tags agree, and when the
  verdict in the evidence follows again from the two documents beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from lynxgate.errors import CannotJudge, IntegrityFailure, StoreFailure
from lynxgate.ports import RegistryStore, RunTags, Verifier
from lynxgate.promotion.eval_set_usage import UsageEntry
from lynxgate.promotion.run_tag import tag_key
from lynxgate.registry.events import GENESIS, Event, Kind, Promotion, as_promotion
from lynxgate.registry.evidence_check import read_payload
from lynxgate.registry.layout import (
    ENTRIES_PREFIX,
    GATES_PREFIX,
    JOURNAL_PREFIX,
    REGISTRY_KEY,
    TAGS_KEY,
    TOMBSTONES_PREFIX,
    RegistryMark,
    Tags,
    evidence_key,
    journal_key,
    manifest_key,
    signature_key,
    tombstone_key,
)
from lynxgate.registry.promoted import list_evidence_flaws
from lynxgate.registry.record import Record
from lynxgate.registry.tombstone import Tombstone
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, parse_document
from minieval.contract.manifest import Manifest

D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: where, and what."""

    place: str
    problem: str


@dataclass(frozen=True)
class Audit:
    """How many promotions and entries were verified, and what is wrong; ``findings`` is empty when nothing is."""

    promotions: int
    entries: int
    findings: tuple[Finding, ...]


def audit(store: RegistryStore, tracking: RunTags | None, verifier: Verifier | None = None) -> Audit:
    """Verify a whole registry; without ``tracking``, MLflow's tags and alias are left out.

    With ``verifier``, the evidence of every promotion must be signed by its key.
    """
    findings: list[Finding] = []
    records = dict(_read_records(store, findings))
    events = list(_walk_chain(store, findings))
    _parse(_bytes(store, REGISTRY_KEY), RegistryMark, REGISTRY_KEY, findings)
    tags = Tags()
    promotions = [promotion for event in events if (promotion := as_promotion(event)) is not None]
    if store.read(TAGS_KEY) is not None or promotions:
        tags = _parse(_bytes(store, TAGS_KEY), Tags, TAGS_KEY, findings) or Tags()
    findings += _compare_promotions(promotions, records)
    findings += _compare_records(records, tags, {promotion.semver for promotion in promotions})
    findings += _follow_production(events, tags, records)
    entries = _check_entries(store, findings)
    for promotion in promotions:
        findings += _check_evidence(store, promotion)
        if verifier is not None:
            findings += _check_signature(store, promotion, verifier)
        if tracking is not None:
            findings += _check_tag(tracking, promotion)
    if tracking is not None:
        findings += _check_alias(tracking, tags, records)
    _check_tombstones(store, events, tags, findings)
    _check_gates(store, findings)
    return Audit(len(promotions), entries, tuple(dict.fromkeys(findings)))


def _read_records(store: RegistryStore, findings: list[Finding]) -> Iterator[tuple[str, Record]]:
    for key in store.keys(JOURNAL_PREFIX):
        data = _bytes(store, key)
        record = _parse(data, Record, key, findings)
        if record is None:
            continue
        if record.to_bytes() != data:
            findings.append(Finding(key, "is not written as the gate writes it"))
        if journal_key(record.semver) != key:
            findings.append(Finding(key, f"is the record of {record.semver}"))
        yield record.semver, record


def _walk_chain(store: RegistryStore, findings: list[Finding]) -> Iterator[Event]:
    previous, expected = GENESIS, 1
    # Each line is checked against what is expected at its place, so that one bad line gives one or two findings, not
    # a finding for every line after it.
    for line in store.lines():
        place = f"index event {expected}"
        event = _parse(line, Event, place, findings)
        if event is not None:
            if event.line() != line:
                findings.append(Finding(place, "is not written in canonical form"))
            if event.number != expected:
                findings.append(Finding(place, f"has the number {event.number}"))
            if event.previous != previous:
                problem = f"names {event.previous[:12]} as the line before it, which hashes to {previous[:12]}"
                findings.append(Finding(place, problem))
            yield event
        previous, expected = digest_bytes(line), expected + 1


def _compare_promotions(promotions: list[Promotion], records: dict[str, Record]) -> Iterator[Finding]:
    seen: set[str] = set()
    for promotion in promotions:
        place = f"index event {promotion.event.number}"
        record = records.get(promotion.semver)
        if promotion.semver in seen:
            yield Finding(place, f"promotes {promotion.semver} a second time")
        seen.add(promotion.semver)
        if record is None:
            yield Finding(place, f"{promotion.semver} has no record")
        elif record.event != promotion.event:
            yield Finding(place, f"differs from the event that {journal_key(promotion.semver)} announced")
        elif (record.canonical_sha, record.evidence, record.mlflow_run_id, record.production_before) != (
            promotion.event.canonical_sha,
            promotion.evidence,
            promotion.run_id,
            promotion.event.production_before,
        ):
            yield Finding(journal_key(promotion.semver), "differs from its own event")


def _follow_production(events: list[Event], tags: Tags, records: dict[str, Record]) -> Iterator[Finding]:
    production: str | None = None
    for event in events:
        if event.kind is Kind.TOMBSTONED:
            continue
        place = f"index event {event.number}"
        if event.production_before != production:
            named, found = event.production_before or "none", production or "none"
            yield Finding(place, f"names {named} as the version before, but {found} was in production")
        if event.kind is Kind.ROLLED_BACK:
            target = records.get(event.semver or "")
            if target is None or target.canonical_sha != event.canonical_sha:
                yield Finding(place, f"rolls back to {event.semver}, whose record is of another bundle or missing")
        production = event.semver
    if tags.production != production and not any(record.unfinished for record in records.values()):
        yield Finding(
            TAGS_KEY, f"production is {tags.production or 'none'}, and by the index it is {production or 'none'}"
        )


def _compare_records(records: dict[str, Record], tags: Tags, in_index: set[str]) -> Iterator[Finding]:
    for semver, record in records.items():
        if record.state == "promoted" and semver not in in_index:
            yield Finding(journal_key(semver), "is promoted, but the index has no event for it")
        if record.state == "promoted" and semver not in tags.semver:
            yield Finding(TAGS_KEY, f"does not name {semver}, which is promoted")
        if record.unfinished:
            yield Finding(
                journal_key(semver),
                f"is unfinished, with a lease until {record.deadline}; `lynxgate registry recover` finishes it",
            )
    for semver, sha in tags.semver.items():
        claim = records.get(semver)
        if claim is None:
            yield Finding(TAGS_KEY, f"names {semver}, which has no record")
        elif claim.canonical_sha != sha:
            yield Finding(TAGS_KEY, f"names {sha} as {semver}, its record names {claim.canonical_sha}")
        elif claim.state not in ("promoted", "pending"):
            yield Finding(TAGS_KEY, f"names {semver}, whose record is {claim.state}")


def _check_entries(store: RegistryStore, findings: list[Finding]) -> int:
    shas = set()
    for key in store.keys(ENTRIES_PREFIX):
        data = _bytes(store, key)
        sha, _, rest = key.removeprefix(ENTRIES_PREFIX).partition("/")
        shas.add(sha)
        name = rest.removeprefix("evidence/")
        if name.endswith(".dsse.json"):
            findings += _check_envelope(key, data, name.removesuffix(".dsse.json"))
            continue
        expected = sha if rest == "manifest.json" else name.removesuffix(".json")
        if (found := digest_bytes(data)) != expected:
            findings.append(Finding(key, f"hashes to {found}"))
    return len(shas)


def _check_envelope(key: str, data: bytes, name: str) -> Iterator[Finding]:
    """Check that a signature is stored beside the evidence that it signs; whether it is genuine takes a key."""
    evidence_sha, _, key_id = name.partition(".")
    try:
        payload, signers = read_payload(data, where=key)
    except IntegrityFailure as error:
        yield Finding(key, str(error))
        return
    if (found := digest_bytes(payload)) != evidence_sha:
        yield Finding(key, f"is a signature of {found}, not of {evidence_sha}")
    if signers != {key_id}:
        yield Finding(key, f"is not a signature of {key_id}")


def _check_evidence(store: RegistryStore, promotion: Promotion) -> Iterator[Finding]:
    sha = promotion.event.canonical_sha
    stored, manifest = store.read(manifest_key(sha)), None
    if stored is None:
        yield Finding(manifest_key(sha), "is missing")
    else:
        # One that does not parse does not hash to its name either: `_check_entries` reports it.
        with contextlib.suppress(CannotJudge):
            manifest = parse_document(stored.data, Manifest, where=manifest_key(sha))
    key = evidence_key(sha, promotion.evidence)
    yield from (Finding(key, flaw) for flaw in list_evidence_flaws(store, promotion, manifest))


def _check_signature(store: RegistryStore, promotion: Promotion, verifier: Verifier) -> Iterator[Finding]:
    evidence = store.read(evidence_key(promotion.event.canonical_sha, promotion.evidence))
    key = signature_key(promotion.event.canonical_sha, promotion.evidence, verifier.key_id)
    signature = store.read(key)
    if signature is None:
        yield Finding(key, f"is missing: this key did not sign the evidence for {promotion.semver}")
    elif evidence is not None:
        try:
            verifier.check(signature.data, evidence.data)
        except IntegrityFailure as error:
            yield Finding(key, str(error))


def _check_tag(tracking: RunTags, promotion: Promotion) -> Iterator[Finding]:
    place = f"MLflow run {promotion.run_id}"
    try:
        value = tracking.read_tag(promotion.run_id, tag_key(promotion.semver))
    except StoreFailure as error:
        yield Finding(place, str(error))
        return
    if value != promotion.event.canonical_sha:
        expected = promotion.event.canonical_sha
        yield Finding(place, f"tag {tag_key(promotion.semver)} is {value or 'absent'}, not {expected}")


def _check_alias(tracking: RunTags, tags: Tags, records: dict[str, Record]) -> Iterator[Finding]:
    """Check alias, version and source together: a version of the run may be of another model than the promoted one."""
    record = records.get(tags.production or "")
    if record is None or record.registered_model is None or record.unfinished:
        return
    place = f"MLflow model {record.registered_model}"
    try:
        found = tracking.read_alias(record.registered_model)
    except StoreFailure as error:
        yield Finding(place, str(error))
        return
    if found is None or found.run_id != record.mlflow_run_id:
        named = "none" if found is None else found.run_id
        yield Finding(place, f"its alias production is on run {named}, not on {record.mlflow_run_id}")
        return
    if not found.holds_candidate:
        yield Finding(
            place,
            f"its alias production is on version {found.version}, whose source is {found.source[:200]!r}, not the "
            f"candidate of run {record.mlflow_run_id}",
        )
    key, value = tag_key(record.semver), found.tags.get(tag_key(record.semver))
    if value != record.canonical_sha:
        problem = f"tag {key} of version {found.version} is {value or 'absent'}, not {record.canonical_sha}"
        yield Finding(place, problem)


def _check_tombstones(store: RegistryStore, events: list[Event], tags: Tags, findings: list[Finding]) -> None:
    recorded = {event.canonical_sha: event for event in events if event.kind is Kind.TOMBSTONED}
    found = {key.removeprefix(TOMBSTONES_PREFIX).removesuffix(".json") for key in store.keys(TOMBSTONES_PREFIX)}
    for sha in sorted(recorded.keys() | found):
        key = tombstone_key(sha)
        if sha not in found:
            findings.append(Finding(key, "is missing"))
        elif sha not in recorded:
            findings.append(Finding(key, "has no event; tombstone it again to add it"))
        data = _bytes(store, key)
        stone = _parse(data, Tombstone, key, findings) if sha in found else None
        if stone is None:
            continue
        if stone.to_bytes() != data:
            findings.append(Finding(key, "is not written as the gate writes it"))
        event = recorded.get(sha)
        if stone.canonical_sha != sha or (event and (stone.event, stone.reason) != (event, event.reason)):
            findings.append(Finding(key, "differs from its event in the index"))
        if event and not stone.written:
            findings.append(Finding(key, "is unfinished; `lynxgate registry recover` finishes it"))
    if tags.production is not None and (sha := tags.semver[tags.production]) in found:
        findings.append(
            Finding(TAGS_KEY, f"production is {tags.production}, whose bundle {sha} is tombstoned; roll back")
        )


def _check_gates(store: RegistryStore, findings: list[Finding]) -> None:
    for key in store.keys(GATES_PREFIX):
        data = _bytes(store, key)
        entry = _parse(data, UsageEntry, key, findings)
        if entry is not None and (entry.key, entry.data) != (key, data):
            findings.append(Finding(key, "is not the entry of the comparison that it names"))


def _bytes(store: RegistryStore, key: str) -> bytes:
    stored = store.read(key)
    return b"" if stored is None else stored.data


def _parse(data: bytes, kind: type[D], place: str, findings: list[Finding]) -> D | None:
    try:
        return parse_document(data, kind, where=place)
    except CannotJudge as error:
        findings.append(Finding(place, str(error)))
        return None
