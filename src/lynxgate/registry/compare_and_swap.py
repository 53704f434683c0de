"""Write to a registry without locks: create once, or swap against the version that was read.

- `put` finds out what happened to a write whose reply was lost, so that its caller sees only "written" or "not".
- `change_tags` is the only way to change `tags.json`. Every version of it differs from every other in its `_comment`,
  so that a swap against a version read long ago cannot succeed because equal bytes came back (ABA).
- It never writes unconditionally, and it never deletes.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from typing import Final

from lynxgate.errors import Conflict, IntegrityFailure, OutcomeUnknown, StoreFailure
from lynxgate.ports import RegistryStore, Store
from lynxgate.registry.layout import TAGS_KEY, Tags, read_tags
from minieval.contract.documents import pretty_json

MAX_SWAPS: Final = 50  # lost swaps in a row before we give up; a test with 64 writers needs fewer


def put(store: Store, key: str, data: bytes, expected: str | None) -> str:
    """Create (``expected`` is `None`) or swap a key, and return its new version.

    When the reply to a write is lost, the key is read again: our bytes there mean that the write was applied.
    Hence ``data`` must differ from anything that another writer would write, or it must not matter who wrote it.

    Raises:
        Conflict: another writer's bytes are there.
        StoreFailure: the store failed; `OutcomeUnknown` when reading again did not decide it.
    """
    for last in (False, False, True):
        try:
            return store.create(key, data) if expected is None else store.replace(key, data, expected)
        except OutcomeUnknown as unknown:
            try:
                found = store.read(key)
            except StoreFailure as failure:
                raise unknown from failure
            if found is not None and found.data == data:
                return found.version
            if (found.version if found is not None else None) != expected:
                raise Conflict(f"{store.location}/{key} was changed by another process") from unknown
            # The key is as before. The lost write may still arrive, so the same condition is tried again: whichever
            # of the two arrives second loses, and both carry the same bytes.
            if last:
                raise
        except Conflict:
            # An earlier try of ours, or of the client library below us, may have been applied and its reply lost.
            found = store.read(key)
            if found is not None and found.data == data:
                return found.version
            raise
    raise AssertionError("unreachable")


def put_once(store: Store, key: str, data: bytes) -> None:
    """Write a key that never changes; the same bytes may be there already.

    Raises:
        IntegrityFailure: other bytes are there.
        StoreFailure: the store failed.
    """
    try:
        put(store, key, data, None)
    except Conflict as error:
        raise IntegrityFailure(
            f"{store.location}/{key} holds bytes other than those this promotion writes; see lynxgate registry verify"
        ) from error


def change_tags(store: RegistryStore, owner: str, change: Callable[[Tags], Tags], guard: Callable[[], None]) -> None:
    """Apply ``change`` to `tags.json` by compare-and-swap; after a lost swap, read and apply it again.

    ``guard`` runs between the reading and the swap; an exception from it ends the change. With a guard that checks
    that our record is still ours, a paused process that resumes after its lease expired cannot write: a process that
    takes a record over changes `tags.json` next, so a swap that was read before that cannot succeed after it.

    Raises:
        StoreFailure: the store failed, or `MAX_SWAPS` swaps in a row were lost.
    """
    for attempt in range(MAX_SWAPS):
        before = read_tags(store)
        after = change(before.tags)
        guard()  # after the reading, or a take-over between guard and reading would go unnoticed
        data = _render_tags(after, owner)
        try:
            put(store, TAGS_KEY, data, before.version)
            return
        except Conflict:
            # Writers that lost together must not meet again together; the wait grows to at most 0.1 s.
            time.sleep(random.uniform(0, 0.01 * min(attempt + 1, 10)))  # noqa: S311 - jitter, not a secret
    raise StoreFailure(f"{store.location}: {TAGS_KEY} was changed {MAX_SWAPS} times in a row by others; run it again")


def _render_tags(tags: Tags, owner: str) -> bytes:
    return pretty_json(
        {
            "_comment": f"write {uuid.uuid4().hex} by {owner}",
            "schema": tags.schema_,
            "production": tags.production,
            "semver": dict(tags.semver),
        }
    )
