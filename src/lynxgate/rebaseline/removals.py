"""Check what a rebaseline removes: only what was named. Pure."""

from __future__ import annotations

from collections.abc import Collection

from lynxgate.errors import Refused, UsageFailure


def check_removals(
    agreed: Collection[str], measured: Collection[str], remove: Collection[str], *, kind: str, advice: str, option: str
) -> None:
    """Check that ``remove`` names exactly what the evaluation lacks; ``kind``, ``advice``, ``option`` are for messages.

    Raises:
        Refused: something would be removed that ``remove`` does not name.
        UsageFailure: ``remove`` names something that would not be removed.
    """
    # A bucket that disappears unnoticed would no longer be guarded.
    gone = sorted(set(agreed).difference(measured))
    if unnamed := [name for name in gone if name not in remove]:
        more = f" (and {len(unnamed) - 1} more)" if len(unnamed) > 1 else ""
        raise Refused(
            f"the evaluation has no {kind} {unnamed[0]!r}{more}; {advice}, or name every {kind} to remove with "
            + option
        )
    if unaffected := sorted(set(remove).difference(gone)):
        raise UsageFailure(
            f"{option} {unaffected[0]!r}: the baseline has no such {kind} to remove, or the evaluation has it too"
        )
