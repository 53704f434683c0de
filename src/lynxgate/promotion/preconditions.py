"""What is refused before a candidate is downloaded: the process, the registry, and the semver.

- It reads the registry and nothing else: no tracking server, no eval set, no candidate.
- A promotion checks the same again (`lynxgate.promotion.promote`): the registry may change in between.
"""

from __future__ import annotations

from collections.abc import Mapping

from lynxgate.identity import parse_semver
from lynxgate.ports import Store
from lynxgate.promotion.authorization import authorise, check_manifest_format, check_registry
from lynxgate.promotion.examine import check_next_semver
from lynxgate.registry.layout import check_model, read_mark
from lynxgate.registry.record import read_record
from lynxgate.registry.resolve import read_production


def check_preconditions(store: Store, environ: Mapping[str, str], semver: str, model: str | None) -> None:
    """Check that this process may promote ``semver`` of ``model`` to this registry, whatever the candidate is.

    ``model`` is the name in the baseline, if it has one.

    Raises:
        UsageFailure: the semver has another form than v0.3.1 (exit 64).
        Refused: this process may not write to the registry, it belongs to another model, or the semver is not the next
            one (6).
        StoreFailure: the registry failed (5).
    """
    parse_semver(semver)
    authority, mark = authorise(environ), read_mark(store)
    check_registry(authority, None if mark is None else mark.environment, store.location)
    if mark is not None:
        check_model(mark, model, store.location)
    check_manifest_format(mark, store.location)
    versioned = read_record(store, semver)
    # The same bundle may be promoted to the same semver again; which bundle it is, only the download shows.
    if versioned is not None and versioned.record.committed:
        return
    check_next_semver(semver, read_production(store))
