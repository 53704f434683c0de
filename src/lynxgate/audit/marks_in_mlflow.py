"""Compare the marks of a registry in MLflow, both ways: the tags of all runs, and the alias.

- Every promotion has its tag, and every tag has its promotion.
- A tag without a promotion is not a finding where an attempt of this registry may have left it: on the run and with the
  SHA that the record of its semver names. Nor is one that another registry on the same server confirms, or whose key
  names another model than this registry's.
- It only reads. A server that cannot be read raises `StoreFailure`: that is not a finding about the registry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lynxgate.audit.finding import Finding
from lynxgate.errors import GateError
from lynxgate.identity import is_semver
from lynxgate.ports import AuditedTags, RunTag, Store
from lynxgate.promotion.run_tag import alias_of, parse_tag_key, record_tag_key, tag_key, tag_prefix
from lynxgate.registry.events import Promotion
from lynxgate.registry.layout import RegistryMark, Tags
from lynxgate.registry.record import Record, read_record


def check_tags(
    tracking: AuditedTags,
    promotions: Sequence[Promotion],
    records: dict[str, Record],
    sharing: Sequence[Store],
    mark: RegistryMark | None,
) -> Iterator[Finding]:
    """Yield the promotions whose tag is missing or wrong, and the tags that are no promotion's.

    Raises:
        StoreFailure: MLflow failed.
    """
    environment, model = (None, None) if mark is None else (mark.environment, mark.model)
    found = {(tag.run_id, tag.key): tag for tag in tracking.find_tags(tag_prefix(environment))}
    for promotion in promotions:
        place = (promotion.run_id, tag_key(promotion.semver, environment, model))
        tag, expected = found.pop(place, None), promotion.event.canonical_sha
        if tag is None or tag.value != expected:
            value = "absent" if tag is None else tag.value
            yield Finding(f"MLflow run {promotion.run_id}", f"tag {place[1]} is {value}, not {expected}")
    for tag in found.values():
        named, semver = parse_tag_key(tag.key) or (model, tag.key.removeprefix(tag_prefix(environment)))
        if named != model:
            continue
        if _may_be_left_over(tag, records.get(semver)) or any(_confirms(store, semver, tag) for store in sharing):
            continue
        problem = f"tag {tag.key} is of no promotion of this registry (is it of another one? name that with --also)"
        yield Finding(f"MLflow run {tag.run_id}", problem)


def check_alias(tracking: AuditedTags, tags: Tags, records: dict[str, Record]) -> Iterator[Finding]:
    """Check alias, version and source together: a version of the run may be of another model than the promoted one.

    Raises:
        StoreFailure: MLflow failed.
    """
    record = records.get(tags.production or "")
    if record is None or record.registered_model is None or record.unfinished:
        return
    place = f"MLflow model {record.registered_model}"
    alias = alias_of(record)
    found = tracking.read_alias(record.registered_model, alias, record.logged_model)
    if found is None or found.run_id != record.mlflow_run_id:
        named = "none" if found is None else found.run_id
        yield Finding(place, f"its alias {alias} is on run {named}, not on {record.mlflow_run_id}")
        return
    # A run may have logged several models, each with a version: the alias must be on that of the candidate.
    if not found.holds_candidate:
        yield Finding(
            place,
            f"its alias {alias} is on version {found.version}, whose source is {found.source[:200]!r}, not the "
            f"candidate of run {record.mlflow_run_id}",
        )
    key, value = record_tag_key(record), found.tags.get(record_tag_key(record))
    if value != record.canonical_sha:
        problem = f"tag {key} of version {found.version} is {value or 'absent'}, not {record.canonical_sha}"
        yield Finding(place, problem)


def _may_be_left_over(tag: RunTag, record: Record | None) -> bool:
    """Whether an attempt of this record may have set the tag: its semver belongs to this bundle, promoted or not.

    A process that was paused may set it after another one has undone its attempt, whatever state that left behind.
    """
    return record is not None and (record.mlflow_run_id, record.canonical_sha) == (tag.run_id, tag.value)


def _confirms(store: Store, semver: str, tag: RunTag) -> bool:
    try:
        versioned = read_record(store, semver) if is_semver(semver) else None
    except GateError:
        return False
    return versioned is not None and _may_be_left_over(tag, versioned.record)
