"""The table of English verbs that both halves of the experiment come from, read and split.

- Every lemma is in exactly one half; which one follows from a digest of the lemma, not from the table's order.
- The table is held to its SHA-256: another version of it would be another eval set.
- The package that carries the table is located, never imported.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grammar_tutor.prompts import TENSES

PACKAGE = "lemminflect"
TABLE = Path("resources", "infl_lu.csv.gz")
TABLE_SHA256 = "8c44bd5bec62488bef043f98b0cab022a431d6cb03954864ea70334530908ba7"
SPLIT_SALT = "phase-20"
EVAL_LEMMAS = 1599
LEFT_OUT = frozenset(
    {"can", "will"}  # the modals
    | {"bestride", "bide", "interweave", "quid", "torpedo", "typeset"}  # typos in the table
)


@dataclass(frozen=True)
class Verb:
    """A lemma with the accepted forms of each tense, the usual one first."""

    lemma: str
    forms: dict[str, tuple[str, ...]]
    regular: bool


def read_verbs(table: Path | None = None) -> tuple[Verb, ...]:
    """All verbs of the table that are one lower-case word and have every form, in lemma order.

    Raises:
        SystemExit: when the table is not installed, or is not the version this experiment was built on.
    """
    data = (table or _locate_table()).read_bytes()
    if hashlib.sha256(data).hexdigest() != TABLE_SHA256:
        raise SystemExit(f"{PACKAGE}'s table is not the one this eval set was built from; install {PACKAGE}==0.2.3")
    lines = gzip.decompress(data).decode().splitlines()
    verbs = (_parse(line.split(",")) for line in lines if line.split(",")[1] == "verb")
    return tuple(sorted((verb for verb in verbs if verb), key=lambda verb: verb.lemma))


def split(verbs: Sequence[Verb]) -> tuple[tuple[Verb, ...], tuple[Verb, ...]]:
    """The verbs to train on and the `EVAL_LEMMAS` to evaluate on, each in lemma order."""
    chosen = {verb.lemma for verb in sorted(verbs, key=lambda verb: digest(verb.lemma))[:EVAL_LEMMAS]}
    train = tuple(verb for verb in verbs if verb.lemma not in chosen)
    evaluation = tuple(verb for verb in verbs if verb.lemma in chosen)
    return train, evaluation


def digest(lemma: str) -> bytes:
    """What orders lemmas wherever some of them are drawn."""
    return hashlib.sha256(f"{SPLIT_SALT}:{lemma}".encode()).digest()


def training_data_sha256(verbs: Sequence[Verb]) -> str:
    """SHA-256 over the lemmas and forms a model was trained on."""
    lines = (f"{verb.lemma}\t" + "\t".join("/".join(verb.forms[tense]) for tense in TENSES) + "\n" for verb in verbs)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _locate_table() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{PACKAGE} is not installed; run `just setup`")
    return Path(spec.origin).parent / TABLE


def _parse(fields: list[str]) -> Verb | None:
    lemma, _, past, participle, present, third = fields
    if lemma in LEFT_OUT or not (lemma.isascii() and lemma.isalpha() and lemma.islower()):
        return None
    if not (past and present and third):
        return None
    # The table names a participle only for the verbs that it calls irregular; elsewhere it is the past form.
    columns = (past, participle or past, present, third)
    forms = {tense: _order(column.split("/")) for tense, column in zip(TENSES, columns, strict=True)}
    return Verb(lemma, forms, regular=not participle)


def _order(variants: list[str]) -> tuple[str, ...]:
    """A lemma that is one word has one-word forms: `babysat` before `baby-sat`, else as the table has them."""
    return tuple(sorted(variants, key=lambda form: not form.isalpha()))
