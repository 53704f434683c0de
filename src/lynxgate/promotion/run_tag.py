"""The tag that marks a promotion on its MLflow run: set it, and find out whether it is there.

- The tag is believed only after it was read back: an exception from MLflow does not mean that it is absent.
- "Absent" and "unknown" differ: after the first a promotion may be undone without a trace.
- Its key names the model, where the registry has one, and an environment other than production: registries of one
  MLflow server that differ in these set different tags, also on one run.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from enum import Enum

from lynxgate.errors import OutcomeUnknown, StoreFailure
from lynxgate.identity import MODEL
from lynxgate.promotion.context import PromotionContext
from lynxgate.registry.environment import Environment
from lynxgate.registry.record import Record

TAG_PREFIX = "lynxgate.semver."
_TAG = re.compile(rf"lynxgate\.([a-z0-9-]+)\.(?:({MODEL})\.)?(v[0-9]+\.[0-9]+\.[0-9]+)")


class TagState(Enum):
    """What is known of the tag on the run."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class TagAnswer:
    """What is known of the tag after ``tries`` attempts; ``error`` is the last error of MLflow, if there was one."""

    state: TagState
    error: str = ""
    tries: int = 0


def tag_prefix(environment: Environment | None = None) -> str:
    """Return the start of the keys of all tags that registries for ``environment`` set, whatever their model."""
    return TAG_PREFIX if environment is None or not environment.is_named else f"lynxgate.{environment}."


def tag_key(semver: str, environment: Environment | None = None, model: str | None = None) -> str:
    """Return the key of the tag that marks the promotion to ``semver``; its value is the canonical SHA.

    ``environment`` and ``model`` are those of the registry; production and dev have the same keys.
    """
    return f"{tag_prefix(environment)}{'' if model is None else f'{model}.'}{semver}"


def record_tag_key(record: Record) -> str:
    """Return the key of the tag that marks the promotion of a record."""
    return tag_key(record.semver, record.environment, record.model)


def alias_of(record: Record) -> str:
    """Return the alias of the registered model that follows the production of the record's registry."""
    return record.environment or Environment.PRODUCTION


def parse_tag_key(key: str) -> tuple[str | None, str] | None:
    """Return model and semver of a key that `tag_key` returns; `None` for any other key."""
    found = _TAG.fullmatch(key)
    return None if found is None else (found[2], found[3])


def set_and_confirm_tag(context: PromotionContext, record: Record) -> TagAnswer:
    """Set the tag on the run and read it back; repeat with growing pauses within ``context.tag_seconds``.

    The tag is absent for certain only when no attempt can still take effect: each was refused, or each was answered
    and the tag is not there.
    """
    started, tries, last_error = time.monotonic(), 0, ""
    all_refused, all_answered = True, True
    while True:
        tries += 1
        refused = False
        try:
            context.tracking.set_tag(record.mlflow_run_id, record_tag_key(record), record.canonical_sha)
            all_refused = False
        except OutcomeUnknown as error:
            last_error, all_refused, all_answered = str(error), False, False
        except StoreFailure as error:
            last_error, refused = str(error), True
        # Read it back after a refusal too: an earlier attempt may have set it.
        found = read_tag_state(context, record)
        last_error = last_error or found.error
        if found.state is TagState.PRESENT:
            return TagAnswer(TagState.PRESENT, last_error, tries)
        pause = min(2.0, 0.2 * 2 ** (tries - 1))  # seconds: 0.2, 0.4, 0.8, 1.6, 2, 2, ...
        # A refusal (no permission, no such run) will not change within seconds: trying again is of no use.
        if refused or time.monotonic() - started + pause > context.tag_seconds:
            absent = all_refused or (all_answered and found.state is TagState.ABSENT)
            return TagAnswer(TagState.ABSENT if absent else TagState.UNKNOWN, last_error, tries)
        context.pause(pause)


def read_tag_state(context: PromotionContext, record: Record) -> TagAnswer:
    """Read the tag; a tag with another value counts as absent, since it marks no promotion of this SHA."""
    try:
        value = context.tracking.read_tag(record.mlflow_run_id, record_tag_key(record))
    except StoreFailure as error:
        return TagAnswer(TagState.UNKNOWN, str(error))
    return TagAnswer(TagState.PRESENT if value == record.canonical_sha else TagState.ABSENT)
