"""Fuzz one target in this process, guided by coverage: ``python -m tests.fuzz.run TARGET [libFuzzer's arguments]``.

libFuzzer ends the process when its time is over or at the first finding; `tests.fuzz.__main__` starts it.
"""

from __future__ import annotations

import random
import sys

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports(include=["lynxgate", "minieval", "yaml", "markdown_it"]):
    from tests.fuzz.corpus import read_corpus
    from tests.fuzz.targets import TARGETS, check

from tests.fuzz.mutate import mutate_json
from tests.fuzz.words import list_words

_BETWEEN = {"comparison": b"\n\n", "rows": b"\n"}  # the parts of such an input are changed one at a time


def main() -> None:
    """Run until libFuzzer ends the process."""
    name, arguments = sys.argv[1], sys.argv[2:]
    target = TARGETS[name]
    words = list_words(data for _, data in read_corpus(name))
    between = _BETWEEN.get(name)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        dice = random.Random(seed)
        if dice.random() < 0.2:
            return bytes(atheris.Mutate(data, most))
        parts = data.split(between) if between else [data]
        at = dice.randrange(len(parts))
        changed = mutate_json(parts[at], seed, words)
        if changed is None:
            return bytes(atheris.Mutate(data, most))
        parts[at] = changed
        return (between or b"").join(parts)[:most]

    def test_one_input(data: bytes) -> None:
        check(target, data)

    options = {"custom_mutator": mutate} if target.json else {}
    atheris.Setup([sys.argv[0], *arguments], test_one_input, **options)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
