"""What may leave a baseline when its numbers move: nothing that is not named. Pure."""

from __future__ import annotations

from collections.abc import Collection

from lynxgate.errors import Refused, UsageFailure


def check_removals(
    agreed: Collection[str], measured: Collection[str], remove: Collection[str], *, kind: str, advice: str, option: str
) -> None:
    """Hold what the evaluation lacks against what ``remove`` names; ``kind``, ``advice``, ``option`` are for messages.

    Raises:
        Refused: something would leave that ``remove`` does not name.
        UsageFailure: ``remove`` names something that does not leave.
    """
    gone = sorted(set(agreed).difference(measured))
    if unnamed := [name for name in gone if name not in remove]:
        more = f" (and {len(unnamed) - 1} more)" if len(unnamed) > 1 else ""
        raise Refused(
            f"the evaluation has no {kind} {unnamed[0]!r}{more}; {advice}, or name every {kind} that is to leave with "
            + option
        )
    if strangers := sorted(set(remove).difference(gone)):
        raise UsageFailure(f"{option} {strangers[0]!r}: that is no {kind} that the evaluation lacks")
