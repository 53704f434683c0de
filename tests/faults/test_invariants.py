"""Every invariant can fail: each is shown a story made by hand in which it is broken, and names it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults import invariants
from tests.faults.invariants import KILLED, Attempt, Invariant, Look

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHA, OTHER_SHA = "a" * 64, "b" * 64
BOTH = frozenset({"v0.3.0", "v0.3.1"})


def make_record(sha: str = SHA, state: str = "promoted", **changes: Any) -> dict[str, Any]:
    evidence = hashlib.sha256(sha.encode()).hexdigest()
    over = (NOW - timedelta(hours=1)).isoformat()
    return {"canonical_sha": sha, "state": state, "owner": "one", "deadline": over, "evidence": evidence, **changes}


def make_line(semver: str = "v0.3.0", sha: str = SHA, *, number: int = 1, previous: str = "0" * 64) -> bytes:
    return json.dumps(
        {"number": number, "previous": previous, "kind": "promoted", "semver": semver, "canonical_sha": sha}
    ).encode()


MANIFEST = b"manifest"
MANIFEST_SHA = hashlib.sha256(MANIFEST).hexdigest()
EVIDENCE = b"evidence"
EVIDENCE_SHA = hashlib.sha256(EVIDENCE).hexdigest()
GOOD = Look(
    production="v0.3.0",
    tags={"production": "v0.3.0", "semver": {"v0.3.0": MANIFEST_SHA}},
    records={"v0.3.0": make_record(MANIFEST_SHA, evidence=EVIDENCE_SHA)},
    lines=(make_line(sha=MANIFEST_SHA),),
    entries={
        f"entries/{MANIFEST_SHA}/manifest.json": MANIFEST,
        f"entries/{MANIFEST_SHA}/evidence/{EVIDENCE_SHA}.json": EVIDENCE,
    },
    carried={"v0.3.0": MANIFEST_SHA},
    now=NOW,
    may_be=BOTH,
    ended=True,
)
DOUBT = replace(GOOD, records={**GOOD.records, "v0.3.1": make_record(state="in-doubt")})
ALIVE = replace(
    GOOD,
    records={
        **GOOD.records,
        "v0.3.1": make_record(state="pending", deadline=(NOW + timedelta(minutes=5)).isoformat()),
    },
    ended=False,
)

BAD: list[tuple[Invariant, str, tuple[Look, ...]]] = [
    (
        invariants.semver_names_one_sha,
        "tags and record differ",
        (replace(GOOD, tags={"semver": {"v0.3.0": OTHER_SHA}}),),
    ),
    (
        invariants.semver_names_one_sha,
        "another SHA after a rollback",
        (DOUBT, replace(DOUBT, records={**GOOD.records, "v0.3.1": make_record(OTHER_SHA)})),
    ),
    (
        invariants.live_owner_is_left_alone,
        "taken over before its deadline",
        (ALIVE, replace(ALIVE, records={**GOOD.records, "v0.3.1": make_record(state="rolled-back", owner="two")})),
    ),
    (
        invariants.live_owner_is_left_alone,
        "its record vanished",
        (ALIVE, GOOD),
    ),
    (
        invariants.tags_are_carried_or_explained,
        "promoted, and MLflow has no tag",
        (replace(GOOD, carried={"v0.3.0": None}),),
    ),
    (
        invariants.tags_are_carried_or_explained,
        "rolled back, and still in tags.json",
        (
            replace(
                GOOD,
                records={"v0.3.0": make_record(MANIFEST_SHA, "rolled-back")},
                carried={},
            ),
        ),
    ),
    (invariants.tags_are_carried_or_explained, "no record", (replace(GOOD, records={}),)),
    (
        invariants.index_holds_each_promotion_once,
        "twice",
        (
            replace(
                GOOD,
                lines=(
                    *GOOD.lines,
                    make_line(sha=MANIFEST_SHA, number=2, previous=hashlib.sha256(GOOD.lines[0]).hexdigest()),
                ),
            ),
        ),
    ),
    (
        invariants.index_holds_each_promotion_once,
        "the chain breaks",
        (replace(GOOD, lines=(*GOOD.lines, make_line("v0.3.1", number=2))),),
    ),
    (invariants.index_holds_each_promotion_once, "a gap", (replace(GOOD, lines=(make_line(number=2),)),)),
    (invariants.index_only_grows, "an event is gone", (GOOD, replace(GOOD, lines=()))),
    (
        invariants.entries_never_change,
        "other bytes under the name",
        (replace(GOOD, entries={**GOOD.entries, f"entries/{MANIFEST_SHA}/manifest.json": b"other"}),),
    ),
    (invariants.entries_never_change, "an entry is gone", (GOOD, replace(GOOD, entries={}))),
    (invariants.reader_sees_old_or_new, "a third version", (replace(GOOD, may_be=frozenset({"v0.3.1"})),)),
    (invariants.reader_sees_old_or_new, "a third version for a moment", (replace(GOOD, polled=("v0.2.9",)),)),
    (invariants.reader_sees_old_or_new, "no evidence", (replace(GOOD, entries={}),)),
    (
        invariants.reader_sees_old_or_new,
        "not committed",
        (replace(GOOD, records={"v0.3.0": make_record(MANIFEST_SHA, "pending")}),),
    ),
    (invariants.production_never_goes_backwards, "later", (replace(GOOD, production="v0.3.1"), GOOD)),
    (
        invariants.production_never_goes_backwards,
        "for a moment",
        (replace(GOOD, polled=("v0.3.1", "v0.3.0")),),
    ),
    (
        invariants.doubt_blocks_no_other,
        "another version is refused",
        (DOUBT, replace(DOUBT, attempt=Attempt("v0.3.2", 6, "there is doubt about v0.3.1", frozenset({0})))),
    ),
    (
        invariants.attempts_end_as_they_may,
        "a bug",
        (replace(GOOD, attempt=Attempt("v0.3.1", 1, "Traceback (most recent call last)")),),
    ),
    (
        invariants.attempts_end_as_they_may,
        "a rerun that fails",
        (replace(GOOD, attempt=Attempt("v0.3.1", 5, "the store failed", frozenset({0}))),),
    ),
    (invariants.attempts_end_as_they_may, "no words", (replace(GOOD, attempt=Attempt("v0.3.1", 5, "")),)),
    (invariants.words_are_true, "called promoted", (replace(GOOD, attempt=Attempt("v0.3.1", 0, "promoted")),)),
    (
        invariants.words_are_true,
        "called not promoted",
        (replace(GOOD, attempt=Attempt("v0.3.0", 5, "v0.3.0 is not promoted; production is empty")),),
    ),
    (invariants.nothing_is_left_unfinished, "pending", (replace(ALIVE, ended=True),)),
    (invariants.nothing_is_left_unfinished, "promoted without an event", (replace(GOOD, lines=()),)),
]


@pytest.mark.parametrize(
    ("invariant", "story"),
    [pytest.param(invariant, story, id=f"{invariant.__name__}: {name}") for invariant, name, story in BAD],
)
def test_an_invariant_can_fail(invariant: Invariant, story: tuple[Look, ...]) -> None:
    assert list(invariant(story))
    assert any(wrong.startswith(f"{invariant.__name__}:") for wrong in invariants.check(story))


def test_every_invariant_is_shown_to_fail() -> None:
    assert {invariant for invariant, _, _ in BAD} == set(invariants.ALL)


def test_a_good_story_breaks_none() -> None:
    killed = replace(ALIVE, attempt=Attempt("v0.3.1", KILLED, "killed"))
    assert invariants.check([GOOD, killed, replace(ALIVE, attempt=Attempt("v0.3.1", 6, "alive elsewhere"))]) == []
    over = replace(GOOD, now=NOW + timedelta(hours=1))
    assert invariants.check([GOOD, ALIVE, over]) == []
    assert invariants.check([DOUBT, replace(DOUBT, attempt=Attempt("v0.3.2", KILLED, "killed"))]) == []
