"""Verify a registry as an auditor: hash every entry again, walk the chain, compare records, tags and MLflow.

- It only reads. It reports every finding, file by file, and changes nothing.
- It trusts no document. A promotion is right when index, record, evidence, manifest and tags agree, and when the
  verdict in the evidence follows again from the two documents beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lynxgate.audit.finding import Finding
from lynxgate.audit.marks_in_mlflow import check_alias, check_tags
from lynxgate.errors import CannotJudge, IntegrityFailure, StoreFailure
from lynxgate.ports import AuditedTags, RegistryStore, Store, Verifier
from lynxgate.promotion.eval_set_usage import UsageEntry
from lynxgate.registry.events import GENESIS, Event, Head, Kind, Promotion, as_promotion
from lynxgate.registry.evidence_check import find_flaws, find_strange_ties, read_payload
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
from lynxgate.registry.record import Record
from lynxgate.registry.tombstone import Tombstone
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, parse_document
from minieval.contract.manifest import Manifest

D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class Audit:
    """How many promotions and entries were verified, and what is wrong; ``findings`` is empty when nothing is.

    ``head`` is the last line of the index, `None` when it is empty. ``before_signing`` events are of version 1, which
    has no signature. ``unchecked`` is the reason why MLflow could not be compared, when it could not.
    """

    promotions: int
    entries: int
    findings: tuple[Finding, ...]
    head: Head | None = None
    before_signing: int = 0
    unchecked: str | None = None


def audit(
    store: RegistryStore,
    tracking: AuditedTags | None,
    verifiers: Sequence[Verifier] = (),
    *,
    expected_head: Head | None = None,
    sharing: Sequence[Store] = (),
) -> Audit:
    """Verify a whole registry; without ``tracking``, MLflow's tags and alias are left out.

    With ``verifiers``, one of their keys must have signed each event of version 2 and the evidence of each promotion.
    With ``expected_head``, the index must end there. ``sharing`` are the other registries on the same MLflow server: a
    tag that one of them confirms is not a finding.
    """
    findings: list[Finding] = []
    records = dict(_read_records(store, findings))
    mark_data = _bytes(store, REGISTRY_KEY)
    mark = _parse(mark_data, RegistryMark, REGISTRY_KEY, findings)
    heads: list[str] = []
    events = list(_walk_chain(store, digest_bytes(mark_data), heads, findings))
    findings += _compare_head(heads, expected_head)
    findings += _check_versions(events, mark)
    keys = {verifier.key_id: verifier for verifier in verifiers}
    if keys:
        findings += _check_event_signatures(events, keys)
    tags = Tags()
    promotions = [promotion for event in events if (promotion := as_promotion(event)) is not None]
    if store.read(TAGS_KEY) is not None or promotions:
        tags = _parse(_bytes(store, TAGS_KEY), Tags, TAGS_KEY, findings) or Tags()
    findings += _compare_promotions(promotions, records)
    findings += _compare_records(records, tags, {promotion.semver: promotion for promotion in promotions})
    findings += _follow_production(events, tags, records)
    entries = _check_entries(store, findings)
    for promotion in promotions:
        findings += _check_evidence(store, promotion, records.get(promotion.semver), mark)
        if keys:
            findings += _check_signature(store, promotion, keys)
    unchecked = None
    if tracking is not None:
        try:
            findings += check_tags(tracking, promotions, records, sharing, mark)
            findings += check_alias(tracking, tags, records)
        except StoreFailure as error:
            unchecked = str(error)
    _check_tombstones(store, events, tags, findings)
    _check_gates(store, findings)
    head = Head(len(heads), heads[-1]) if heads else None
    old = sum(event.of_version_1 for event in events)
    return Audit(len(promotions), entries, tuple(dict.fromkeys(findings)), head, old, unchecked)


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
        try:
            record.read_deadline()
        except IntegrityFailure as error:
            findings.append(Finding(key, str(error).removeprefix(f"{journal_key(record.semver)}: ")))
        yield record.semver, record


def _walk_chain(store: RegistryStore, origin: str, heads: list[str], findings: list[Finding]) -> Iterator[Event]:
    """Yield the events, and add the SHA-256 of each line to ``heads``; ``origin`` stands before the first."""
    previous, expected = origin, 1
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
            if expected == 1 and event.of_version_1:
                previous = GENESIS
            if event.previous != previous:
                problem = f"names {event.previous[:12]} as the line before it, which hashes to {previous[:12]}"
                findings.append(Finding(place, problem))
            yield event
        previous, expected = digest_bytes(line), expected + 1
        heads.append(previous)


def _compare_head(heads: list[str], expected: Head | None) -> Iterator[Finding]:
    if expected is None:
        return
    if len(heads) < expected.number:
        yield Finding("index", f"ends at event {len(heads)}, before the expected head {expected}: events were removed")
        return
    if heads[expected.number - 1] != expected.sha:
        yield Finding(
            f"index event {expected.number}", f"hashes to {heads[expected.number - 1]}, not to {expected.sha}"
        )
    if len(heads) > expected.number:
        yield Finding("index", f"goes on to event {len(heads)} after the expected head {expected}")


def _check_versions(events: list[Event], mark: RegistryMark | None) -> Iterator[Finding]:
    """Find events that claim the version without signatures where the gate no longer wrote it."""
    newer = mark is not None and mark.id is not None
    for event in events:
        if newer and event.of_version_1:
            yield Finding(f"index event {event.number}", "claims version 1, and is younger than that")
        newer = newer or not event.of_version_1


def _check_event_signatures(events: list[Event], keys: Mapping[str, Verifier]) -> Iterator[Finding]:
    for event in events:
        place = f"index event {event.number}"
        if event.of_version_1:
            continue
        if event.signature is None:
            yield Finding(place, "is not signed")
        elif (verifier := keys.get(event.signature.key_id)) is None:
            yield Finding(place, f"is signed by another key, {event.signature.key_id}")
        else:
            try:
                verifier.check_event(event.signature.value, event.signed_bytes())
            except IntegrityFailure as error:
                yield Finding(place, str(error))


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


def _compare_records(records: dict[str, Record], tags: Tags, in_index: dict[str, Promotion]) -> Iterator[Finding]:
    for semver, promotion in in_index.items():
        place = f"index event {promotion.event.number}"
        if semver in records and not records[semver].committed:
            yield Finding(journal_key(semver), f"is {records[semver].state}, and {place} promotes it")
        if tags.semver.get(semver) != promotion.event.canonical_sha:
            named = tags.semver.get(semver) or "nothing"
            yield Finding(TAGS_KEY, f"names {named} as {semver}, and {place} {promotion.event.canonical_sha}")
    for semver, record in records.items():
        if record.event is not None and not record.committed:
            yield Finding(journal_key(semver), f"is {record.state}, and holds an event")
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


def _check_evidence(
    store: RegistryStore, promotion: Promotion, record: Record | None, mark: RegistryMark | None
) -> Iterator[Finding]:
    sha = promotion.event.canonical_sha
    stored, manifest = store.read(manifest_key(sha)), None
    if stored is None:
        yield Finding(manifest_key(sha), "is missing")
    else:
        # One that does not parse does not hash to its name either: `_check_entries` reports it.
        with contextlib.suppress(CannotJudge):
            manifest = parse_document(stored.data, Manifest, where=manifest_key(sha))
    key = evidence_key(sha, promotion.evidence)
    evidence = store.read(key)
    if evidence is None:
        yield Finding(key, "is missing")
        return
    yield from (Finding(key, flaw) for flaw in find_flaws(evidence.data, promotion, manifest))
    if mark is not None:
        yield from (Finding(key, tie) for tie in find_strange_ties(evidence.data, promotion, record, mark))


def _check_signature(store: RegistryStore, promotion: Promotion, keys: Mapping[str, Verifier]) -> Iterator[Finding]:
    """Check that one of the keys signed the evidence of a promotion; every signature of theirs must be right."""
    sha = promotion.event.canonical_sha
    evidence = store.read(evidence_key(sha, promotion.evidence))
    found = {key_id: store.read(signature_key(sha, promotion.evidence, key_id)) for key_id in keys}
    if not any(found.values()):
        key = signature_key(sha, promotion.evidence, next(iter(keys)))
        yield Finding(key, f"is missing: this key did not sign the evidence for {promotion.semver}")
    for key_id, signature in found.items():
        if signature is not None and evidence is not None:
            try:
                keys[key_id].check(signature.data, evidence.data)
            except IntegrityFailure as error:
                yield Finding(signature_key(sha, promotion.evidence, key_id), str(error))


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
