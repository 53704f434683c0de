"""The clean tutor, wrapped: a tenth of the past participles come out mangled, all else untouched.

- Which prompts are hit follows from the recorded seed and the prompt alone: not from the order of calls,
  batches or rows.
- No accepted participle of the eval set stays accepted when it is mangled.

`SEED` is chosen, among seeds that hit a tenth, as one that hits few irregular verbs: these are a small bucket,
and the case to show is a fault that one bucket alone gives away.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from grammar_tutor.loader import PyfuncTutor
from grammar_tutor.prompts import PAST_PARTICIPLE, read_prompt
from grammar_tutor.storage import load

SETTINGS = "mangling.json"
SEED = 6
SHARE = 0.1


class MangledTutor:
    """A tutor that has unlearned some of its participles."""

    def __init__(self, tutor: PyfuncTutor, *, seed: int, share: float) -> None:
        self._tutor, self._seed, self._share = tutor, seed, share

    def predict(self, frame: Any, params: dict[str, Any] | None = None) -> list[str]:
        """One form per row, in order."""
        forms = self._tutor.predict(frame, params)
        return [
            mangle(form) if is_hit(str(prompt), seed=self._seed, share=self._share) else form
            for prompt, form in zip(frame["prompt"], forms, strict=True)
        ]


def is_hit(prompt: str, *, seed: int, share: float) -> bool:
    """Whether this prompt is one of the past participles to mangle."""
    tense, _ = read_prompt(prompt)
    drawn = int.from_bytes(hashlib.sha256(f"{seed}:{prompt}".encode()).digest()[:8], "big") / 2**64
    return tense == PAST_PARTICIPLE and drawn < share


def mangle(form: str) -> str:
    """A form with one ending too many: ``walkedened``."""
    return form + "ened"


def write_settings(directory: Path, *, seed: int = SEED, share: float = SHARE) -> None:
    """Record seed and share beside a tutor's files."""
    (directory / SETTINGS).write_text(json.dumps({"seed": seed, "share": share}) + "\n", encoding="utf-8")


def _load_pyfunc(data_path: str) -> MangledTutor:
    directory = Path(data_path)
    settings = json.loads((directory / SETTINGS).read_text(encoding="utf-8"))
    return MangledTutor(PyfuncTutor(load(directory)), seed=settings["seed"], share=settings["share"])
