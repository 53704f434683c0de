"""MLflow's way in: `_load_pyfunc` is the name that a pyfunc's ``loader_module`` must have.

Input: a frame with a column ``prompt`` (others, ``id`` among them, are not looked at). Output: a list of strings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grammar_tutor.model import Tutor
from grammar_tutor.storage import load


class PyfuncTutor:
    """A tutor behind the call that MLflow makes."""

    def __init__(self, tutor: Tutor) -> None:
        self._tutor = tutor

    def predict(self, frame: Any, params: dict[str, Any] | None = None) -> list[str]:  # noqa: ARG002 - MLflow's signature
        """One form per row, in order."""
        return self._tutor.inflect([str(prompt) for prompt in frame["prompt"]])


def _load_pyfunc(data_path: str) -> PyfuncTutor:
    return PyfuncTutor(load(Path(data_path)))
