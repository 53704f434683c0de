"""What every writing step works with: the registry, its records as one owner changes them, and MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lynxgate.ports import RegistryStore, RunTags, Signer
from lynxgate.registry.record import Journal


@dataclass(frozen=True)
class PromotionContext:
    """The services of one owner; ``tag_seconds`` bounds how long MLflow is tried, ``pause`` sleeps for seconds."""

    store: RegistryStore
    journal: Journal
    tracking: RunTags
    tag_seconds: float = 30.0
    pause: Callable[[float], None] = field(default=time.sleep)
    signer: Signer | None = None
