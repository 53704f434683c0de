"""A baseline's numbers out of the registry: what is in production, one version, or the median of the last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lynxgate.cli.app import run
from lynxgate.decision.baseline import parse_baseline
from lynxgate.decision.decide import decide_bytes
from lynxgate.decision.policy import Rule
from lynxgate.decision.verdict import Method
from lynxgate.errors import CannotJudge, Exit
from lynxgate.promotion.rollback import roll_back
from lynxgate.promotion.tombstones import tombstone
from lynxgate.rebaseline.median import take_median
from lynxgate.reports.baseline_table import render_baseline
from minieval.contract.documents import parse_document
from minieval.contract.outcome_bits import pack_outcomes
from minieval.contract.report import Evaluation
from tests.promotion.workshop import DEV, EVAL_SET, Candidate, Workshop, write_evaluation

CORRECT = {"a": 95, "b": 98, "c": 94, "d": 96}
VERSIONS = {"a": "v0.1.0", "b": "v0.2.0", "c": "v0.3.0", "d": "v0.10.0"}


def measured(candidate: Candidate, correct: int) -> bytes:
    return write_evaluation(candidate.sha, candidate.run_id, correct)


def promote(workshop: Workshop, name: str) -> Candidate:
    made = workshop.candidate(name)
    made = replace(made, evaluation=measured(made, CORRECT[name]))
    workshop.promote(made, VERSIONS[name])
    return made


@pytest.fixture
def place(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with four promoted versions, and a report-only baseline of another model."""
    monkeypatch.chdir(workshop.folder)
    for name, value in DEV.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LYNXGATE_REGISTRY", str(workshop.folder / "registry"))
    for name in VERSIONS:
        promote(workshop, name)
    write_baseline(workshop.folder)
    return workshop.folder


def write_baseline(folder: Path, **changes: Any) -> None:
    figures = {"n": 100, "correct": 90, "accuracy": 0.9}
    tree = {
        "_comment": "kept", "schema": "lynxgate.baseline/1", "status": "active",
        "eval_set": "data/eval/phase-20.jsonl", "eval_set_dvc_hash": EVAL_SET,
        "source": {"canonical_sha": "d" * 64, "semver": "v0.0.1"},
        "policy": {"rule": "point", "tolerance_pp": 2.0},
        "aggregate": figures, "buckets": {"tense.past": figures}, **changes,
    }  # fmt: skip
    (folder / "eval_baseline.json").write_text(json.dumps(tree, indent=2) + "\n")


def rebaselined(folder: Path) -> Any:
    data = (folder / "eval_baseline.json").read_bytes()
    parse_baseline(data)
    return json.loads(data)


def rebase(*options: str) -> int:
    return run(["baseline", "rebaseline", *options])


def test_what_is_in_production_with_its_version_and_outcomes(
    place: Path, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rebase("--from", "production") == Exit.OK
    tree = rebaselined(place)
    d = workshop.candidate("d")
    assert tree["source"] == {"canonical_sha": d.sha, "semver": "v0.10.0", "mlflow_run_id": d.run_id}
    assert tree["buckets"]["tense.past"] == json.loads(measured(d, 96))["buckets"]["tense.past"]
    assert (tree["_comment"], tree["status"]) == ("kept", "active")
    assert "| source.semver | `v0.0.1` | `v0.10.0` |" in capsys.readouterr().out
    assert rebase("--from", "production") == Exit.OK
    assert "no number changed, nothing written" in capsys.readouterr().out
    # After a rollback it is the version that production went back to.
    roll_back("v0.2.0", workshop.context(), DEV)
    assert rebase("--from", "production") == Exit.OK
    assert rebaselined(place)["source"]["semver"] == "v0.2.0"
    assert rebaselined(place)["aggregate"]["correct"] == 98


def test_one_version_by_its_tag(place: Path) -> None:
    assert rebase("--from", "tagged", "--semver", "v0.3.0") == Exit.OK
    assert rebaselined(place)["source"]["semver"] == "v0.3.0"
    assert rebaselined(place)["aggregate"]["correct"] == 94


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (
            ["--from", "tagged", "--semver", "v9.9.9"],
            Exit.CANNOT_JUDGE,
            "v9.9.9 is not promoted; see lynxgate registry",
        ),
        (["--from", "tagged", "--semver", "v0.1"], Exit.USAGE, "'v0.1'"),
        (["--from", "tagged"], Exit.USAGE, "--from tagged needs --semver"),
        (["--from", "production", "--semver", "v0.1.0"], Exit.USAGE, "to choose a version, use --from tagged"),
        (["--from", "production", "--evaluation", "e.json"], Exit.USAGE, "use one of them"),
        (["--from", "median"], Exit.USAGE, "together"),
        (["--last", "3"], Exit.USAGE, "together"),
        (["--from", "median", "--last", "0"], Exit.USAGE, "--last"),
        (
            ["--from", "median", "--last", "5"],
            Exit.CANNOT_JUDGE,
            "only 4 promoted versions up to production, and 5 are",
        ),
        (["--from", "newest"], Exit.USAGE, "--from"),
    ],
)
@pytest.mark.slow
def test_what_is_not_clear_is_refused_in_one_sentence_and_nothing_is_written(
    place: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: Exit, said: str
) -> None:
    before = (place / "eval_baseline.json").read_bytes()
    assert rebase(*options) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert (place / "eval_baseline.json").read_bytes() == before


def test_an_ambiguous_tag_and_evidence_that_was_changed_are_integrity_failures(
    place: Path, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    tags = place / "registry/tags.json"
    kept, other = tags.read_bytes(), workshop.candidate("a").sha
    tags.write_bytes(kept.replace(workshop.candidate("c").sha.encode(), other.encode()))
    assert rebase("--from", "tagged", "--semver", "v0.3.0") == Exit.INTEGRITY
    assert f"v0.3.0 is {other} in tags.json, and" in capsys.readouterr().err
    tags.write_bytes(kept)
    (path,) = (place / "registry/entries" / workshop.candidate("c").sha / "evidence").iterdir()
    path.write_bytes(path.read_bytes().replace(b"94", b"99"))
    assert rebase("--from", "tagged", "--semver", "v0.3.0") == Exit.INTEGRITY
    assert "see lynxgate registry verify" in capsys.readouterr().err
    path.unlink()
    assert rebase("--from", "tagged", "--semver", "v0.3.0") == Exit.INTEGRITY
    assert "is missing" in capsys.readouterr().err


def test_a_tombstoned_bundle_is_no_source(place: Path, workshop: Workshop) -> None:
    tombstone(workshop.candidate("c").sha, "it swore", workshop.context(), DEV)
    assert rebase("--from", "tagged", "--semver", "v0.3.0") == Exit.REFUSED
    assert rebase("--from", "median", "--last", "3") == Exit.OK
    assert rebaselined(place)["source"]["median_of"] == ["v0.10.0", "v0.2.0", "v0.1.0"]


def test_numbers_of_another_eval_set_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_baseline(place, eval_set_dvc_hash="f" * 32)
    for options in (["--from", "production"], ["--from", "median", "--last", "2"]):
        assert rebase(*options) == Exit.INTEGRITY
        said = capsys.readouterr().err
        assert f"v0.10.0 is on DVC md5 {EVAL_SET}, the baseline on {'f' * 32}" in said
        assert "lynxgate fetch --semver v0.10.0" in said


@pytest.mark.slow
def test_a_median_is_marked_and_has_no_outcomes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rebase("--from", "median", "--last", "3") == Exit.OK
    printed = capsys.readouterr()
    assert "| source.median_of | `none` | `v0.10.0, v0.3.0, v0.2.0` |" in printed.out
    assert printed.err == ""
    tree = rebaselined(place)
    assert tree["source"] == {"median_of": ["v0.10.0", "v0.3.0", "v0.2.0"]}
    assert tree["buckets"] == {"tense.past": {"n": 100, "correct": 96, "accuracy": 0.96}}
    assert "synthetic: the median of v0.10.0, v0.3.0, v0.2.0" in render_baseline(
        parse_baseline((place / "eval_baseline.json").read_bytes())
    )
    # Of an even number the higher of the middle two; and one version's median is that version, still without answers.
    assert rebase("--from", "median", "--last", "4") == Exit.OK
    assert rebaselined(place)["aggregate"]["correct"] == 96
    assert rebase("--from", "median", "--last", "1") == Exit.OK
    assert rebaselined(place)["source"] == {"median_of": ["v0.10.0"]}
    assert rebase("--from", "production") == Exit.OK
    assert "median_of" not in rebaselined(place)["source"]


def test_a_version_that_production_went_back_from_is_in_no_median(place: Path, workshop: Workshop) -> None:
    roll_back("v0.3.0", workshop.context(), DEV)
    assert rebase("--from", "median", "--last", "2") == Exit.OK
    assert rebaselined(place)["source"]["median_of"] == ["v0.3.0", "v0.2.0"]


@pytest.mark.slow
def test_the_verdict_says_that_it_was_taken_against_a_median(place: Path, workshop: Workshop) -> None:
    """`point` judges by its counts; a rule that asks for proof compares as if on different examples, and says so."""
    assert rebase("--from", "median", "--last", "3") == Exit.OK
    candidate = workshop.candidate("d").evaluation
    verdict, _, _ = decide_bytes(candidate, (place / "eval_baseline.json").read_bytes())
    assert verdict.baseline.median_of == ("v0.10.0", "v0.3.0", "v0.2.0")
    assert verdict.passed
    assert rebase("--from", "production") == Exit.OK
    write_baseline(place, policy={"rule": str(Rule.GUARD), "tolerance_pp": 10.0})
    assert rebase("--from", "median", "--last", "3") == Exit.OK
    verdict, _, _ = decide_bytes(candidate, (place / "eval_baseline.json").read_bytes())
    (row,) = verdict.rows
    assert row.evidence is not None
    assert row.evidence.method is Method.UNPAIRED
    assert "since the baseline has no outcomes: weaker" in row.reason


def test_a_policy_that_a_median_could_not_feed_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_baseline(place, policy={"rule": "guard", "tolerance_pp": 3.0})
    assert rebase("--from", "median", "--last", "3") == Exit.OK
    assert (
        "a median has no outcomes of single examples, so rule guard compares as if the examples differed"
        in capsys.readouterr().err
    )
    write_baseline(place, policy={"rule": "point", "buckets": {"*": {"max_negative_flip_rate": 0.1}}})
    assert rebase("--from", "median", "--last", "3") == Exit.CANNOT_JUDGE
    assert "which need the answers of one model" in capsys.readouterr().err


def evaluation(buckets: dict[str, Any], **changes: Any) -> Evaluation:
    tree = {"schema": "minieval.evaluation/1", "eval_set": {"dvc_md5": EVAL_SET}, "buckets": buckets, **changes}
    return parse_document(json.dumps(tree).encode(), Evaluation, where="e")


@given(st.lists(st.integers(0, 50), min_size=1, max_size=9))
@pytest.mark.slow
def test_a_median_is_one_of_the_counts_with_as_many_on_either_side(correct: Sequence[int]) -> None:
    counts = [{"n": 50, "correct": each, "outcomes": pack_outcomes([i < each for i in range(50)])} for each in correct]
    found = take_median([evaluation({"a": each}, aggregate=each) for each in counts])
    middle = found.buckets["a"].correct
    assert middle in correct
    assert middle is not None
    assert sum(each > middle for each in correct) <= len(correct) // 2
    assert sum(each < middle for each in correct) <= len(correct) // 2
    assert (found.buckets["a"].outcomes, found.candidate.canonical_sha) == (None, None)
    assert found.aggregate == found.buckets["a"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"b": {"n": 10, "correct": 9}}, "one has none for bucket 'a'"),
        ({"a": {"accuracy": 0.9}}, "one has none for bucket 'a'"),
        ({"a": {"n": 11, "correct": 9}}, "10 and 11 rows in bucket 'a'"),
    ],
)
def test_what_only_some_have_measured_has_no_median(other: dict[str, Any], said: str) -> None:
    with pytest.raises(CannotJudge, match=said):
        take_median([evaluation({"a": {"n": 10, "correct": 9}}), evaluation(other)])
