"""The words of a corpus: keys and short strings, for the mutator and for libFuzzer's dictionary."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_TEXT = re.compile(r"[A-Za-z0-9_.:/<>!|*-]{2,40}")
_MOST = 400


def list_words(inputs: Iterable[bytes]) -> list[str]:
    """Return the different words, in order of appearance."""
    words: dict[str, None] = {}
    for data in inputs:
        for word in _TEXT.findall(data.decode("utf-8", errors="replace")):
            words.setdefault(word)
            if len(words) >= _MOST:
                return list(words)
    return list(words)


def write_dictionary(words: Iterable[str]) -> str:
    """Return libFuzzer's dictionary of them."""
    return "".join(f"{json.dumps(word)}\n" for word in words if word.isascii())
