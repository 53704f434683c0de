"""Append events to the index of a registry, each exactly once.

- An event is first announced (put into the document that it belongs to, by compare-and-swap) and then written, so
  that every process that finishes the work writes the same line.
- With a signer each event is signed. Once an event is signed, all later ones are: an unsigned one is refused.
- When another event has taken its number, another one is announced and tried; the first was never written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from lynxgate.errors import Conflict, IntegrityFailure, OutcomeUnknown, Refused, StoreFailure
from lynxgate.ports import RegistryStore
from lynxgate.promotion.context import PromotionContext
from lynxgate.registry.events import Event
from lynxgate.registry.layout import read_origin
from lynxgate.registry.record import State
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_document

T = TypeVar("T")


def write_announced(
    store: RegistryStore, document: T, announced: Callable[[T], Event | None], announce: Callable[[T], T]
) -> T:
    """Write the event that ``document`` announces, and return the document that announced it.

    ``announced`` reads the event from the document. ``announce`` puts the next event into it and stores it; it runs
    where there is none yet, and again as long as another event takes the number first.

    Raises:
        StoreFailure: as `write_event`; and whatever ``announce`` raises.
    """
    event = announced(document)
    while event is None or not write_event(store, event):
        document = announce(document)
        event = announced(document)
    return document


def write_event(store: RegistryStore, event: Event) -> bool:
    """Append an announced event, once; return `False` when another event has its number.

    Raises:
        StoreFailure: it could not be written, or its number is not the next.
    """
    for _ in range(3):
        try:
            store.append(event.number, event.line())
        except (Conflict, OutcomeUnknown):
            # The line may be ours: written by an earlier try, by its reply that was lost, or by another process that
            # finishes the same work.
            found = store.event(event.number)
            if found is not None:
                return found == event.line()
        else:
            return True
    raise StoreFailure(f"{store.location}: event {event.number} could not be written")


def build_next_event(context: PromotionContext, production: str | None, **fields: Any) -> Event:
    """Build the event that follows the last one; ``production`` is the semver in production now.

    Raises:
        IntegrityFailure: ``production`` has no promoted record.
        Refused: the last event is signed, and this process has no key.
    """
    last = context.store.last(_find_known_event(context, production))
    if last is None:
        number, previous = 1, read_origin(context.store)
    else:
        number, previous = last[0] + 1, digest_bytes(last[1])
        check_signer(context, parse_document(last[1], Event, where=f"{context.store.location}/index"))
    at = context.store.now().isoformat()
    event = Event.model_validate({"number": number, "previous": previous, "at": at, **fields})
    return event if context.signer is None else event.sign(context.signer)


def check_signer(context: PromotionContext, earlier: Event | None) -> None:
    """Check that the event after ``earlier`` will be signed if that one is.

    Raises:
        Refused: it is signed, and this process has no key.
    """
    if earlier is not None and earlier.signature is not None and context.signer is None:
        raise Refused(
            f"the events of {context.store.location} are signed; "
            "give the key with --signing-key or LYNXGATE_SIGNING_KEY"
        )


def _find_known_event(context: PromotionContext, production: str | None) -> int:
    """Return the number of an event that is in the index: that of the version in production, 0 without one.

    The event of a promotion that is committed and not finished may not be written yet: then it is that of the version
    before.

    A store that cannot list its newest event in one request searches from there (`Index.last`).
    """
    while production is not None:
        versioned = context.journal.read(production)
        if versioned is None or versioned.record.event is None or not versioned.record.committed:
            raise IntegrityFailure(
                f"{context.store.location}: {production} is in production without a promoted record; "
                "see lynxgate registry verify"
            )
        if versioned.record.state is State.PROMOTED:
            return versioned.record.event.number
        production = versioned.record.production_before
    return 0
