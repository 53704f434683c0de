"""Build ``data/eval/phase-20.jsonl``: the same bytes on every run and every machine.

- One row a question: ``id``, ``prompt``, ``expected``, ``accepted``, ``buckets`` and ``group`` (the lemma).
- An id is a digest of the prompt: it says nothing that the prompt does not say.
- Past participles are drawn down to 12 % of the rows, the irregular ones all kept, so that a fault in
  participles alone hardly moves the aggregate: the case that a gate on buckets exists for.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from grammar_tutor.prompts import PAST_PARTICIPLE, TENSES, write_prompt
from verbs import Verb, digest, read_verbs, split

EVAL_SET = Path(__file__).resolve().parents[2] / "data" / "eval" / "phase-20.jsonl"
PARTICIPLES = 679
SIBILANTS = ("s", "x", "z", "ch", "sh")
VOWELS = "aeiou"


def build_eval_set() -> bytes:
    """The eval set as JSON lines, in order of lemma and tense."""
    _, verbs = split(read_verbs())
    rows = list(_rows(verbs))
    if len({row["id"] for row in rows}) != len(rows):
        raise SystemExit("two prompts share an id; lengthen the digest in build_eval_set.py")
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _rows(verbs: Sequence[Verb]) -> Iterator[dict[str, object]]:
    asked_for_participle = _draw_participles(verbs)
    for verb in verbs:
        for tense in TENSES:
            if tense != PAST_PARTICIPLE or verb.lemma in asked_for_participle:
                yield _row(verb, tense)


def _draw_participles(verbs: Sequence[Verb]) -> frozenset[str]:
    irregular = [verb.lemma for verb in verbs if not verb.regular]
    regular = sorted((verb.lemma for verb in verbs if verb.regular), key=lambda lemma: digest(f"participle:{lemma}"))
    return frozenset(irregular + regular[: PARTICIPLES - len(irregular)])


def _row(verb: Verb, tense: str) -> dict[str, object]:
    prompt = write_prompt(tense, verb.lemma)
    accepted = verb.forms[tense]
    return {
        "id": "p20-" + hashlib.sha256(prompt.encode()).hexdigest()[:12],
        "prompt": prompt,
        "expected": accepted[0],
        "accepted": list(accepted),
        "buckets": [
            f"tense.{tense}",
            f"regularity.{'regular' if verb.regular else 'irregular'}",
            f"spelling.{spelling(verb)}",
        ],
        "group": verb.lemma,
    }


def spelling(verb: Verb) -> str:
    """The spelling rule a verb's endings meet."""
    lemma = verb.lemma
    if verb.forms["present_participle"][0].startswith(lemma + lemma[-1]):
        return "doubling"
    if lemma.endswith("e"):
        return "silent_e"
    if lemma.endswith("y") and lemma[-2:-1] not in VOWELS:
        return "consonant_y"
    return "sibilant" if lemma.endswith(SIBILANTS) else "plain"


def main(argv: Sequence[str] | None = None) -> int:
    """Write the eval set and say what to do next."""
    parser = argparse.ArgumentParser(description="Build the eval set of phase 20.")
    parser.add_argument("--output", type=Path, default=EVAL_SET, help="default: data/eval/phase-20.jsonl")
    output = parser.parse_args(argv).output
    data = build_eval_set()
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(data)
    rows = data.count(b"\n")
    print(f"{output}: {rows} rows, {len(data)} bytes; if they changed: dvc add, dvc push, rebaseline", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
