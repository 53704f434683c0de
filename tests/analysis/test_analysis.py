"""explain, replay, plan and calibrate, through the command and on a small eval set with groups."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from lynxgate.analysis.planned_row import chance_of_falling
from lynxgate.cli.app import run
from minieval.contract.score_bytes import pack_scores
from minieval.data.labels import read_labels
from tests.samples import baseline, evaluation, write
from tests.scored import score_rows

N = 600


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An eval set of 600 rows in two buckets, and two models: the candidate loses every tenth row of `b`."""
    rows = [
        {
            "id": f"q{index}",
            "text": "x",
            "expected": "yes",
            "buckets": ["a" if index % 3 else "b"],
            "group": f"g{index // 4}",
        }
        for index in range(N)
    ]
    (tmp_path / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rng = random.Random(3)
    before = ["yes" if rng.random() < 0.9 else "no" for _ in range(N)]
    now = ["no" if index % 6 == 0 else answer for index, answer in enumerate(before)]
    save(tmp_path, "eval_baseline.json", before, "guard")
    save(tmp_path, "candidate_eval.json", now)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(place: Path, name: str, answers: list[str], rule: str | None = None, **policy: Any) -> None:
    labels = read_labels(place / "set.jsonl")
    scored = score_rows(labels, [answer == "yes" for answer in answers])
    figures = {bucket: each.model_dump(exclude_none=True) for bucket, each in scored.buckets.items()}
    whole = scored.aggregate.model_dump(exclude_none=True)
    identity = {"dvc_md5": labels.identity.dvc_md5, "sha256": labels.identity.sha256}
    tree = evaluation(figures, aggregate=whole, eval_set=identity)
    if rule is not None:
        tree = baseline(
            figures, aggregate=whole, policy={"rule": rule, "tolerance_pp": 10, **policy}, eval_set="set.jsonl",
            eval_set_dvc_hash=identity["dvc_md5"], eval_set_sha256=identity["sha256"],
        )  # fmt: skip
    (place / name).write_bytes(write(tree))


def call(capfd: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = run(argv)
    out, err = capfd.readouterr()
    return code, out, err


def test_explain_names_the_examples_lost_and_only_their_ids(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call(capfd, "compare", "--output", "verdict.json")[0] == 2
    code, out, _ = call(capfd, "explain", "verdict.json", "--bucket", "b", "--eval-set", "set.jsonl", "--most", "500")
    assert code == 0
    old, new = ({name: each["correct"] for name, each in json.loads((place / file).read_bytes())["buckets"].items()}
                for file in ("eval_baseline.json", "candidate_eval.json"))  # fmt: skip
    (lost,) = [line.split(None, 1)[1].split(", ") for line in out.splitlines() if line.startswith("  lost")]
    assert len(lost) == old["b"] - new["b"] > 50
    assert {int(each[1:]) % 6 for each in lost} == {0}
    assert lost == sorted(lost, key=lambda each: int(each[1:]))
    assert "b (standard): regressed" in out
    assert "  gained     none" in out
    assert "150 groups of examples:" in out
    assert "yes" not in out
    whole = call(capfd, "explain", "verdict.json", "--bucket", "all rows", "--eval-set", "set.jsonl")[1]
    assert "150 groups of examples:" in whole
    assert " and " in whole


def test_graded_examples_are_lost_where_their_score_fell_and_only_explain_knows_them(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    identity = read_labels(place / "set.jsonl").identity
    before, now = [9000] * N, [8000 if index in (3, 5) else 9000 + (index == 7) for index in range(N)]
    graded = [{"n": N, "points": sum(scores), "scores": pack_scores(scores)} for scores in (before, now)]
    hashes: dict[str, Any] = {"eval_set_dvc_hash": identity.dvc_md5, "eval_set_sha256": identity.sha256}
    agreed = baseline({"x": graded[0]}, aggregate=graded[0], eval_set="set.jsonl", **hashes)
    eval_set = {"dvc_md5": identity.dvc_md5, "sha256": identity.sha256}
    measured = evaluation({"x": graded[1]}, aggregate=graded[1], eval_set=eval_set, schema="minieval.evaluation/2")
    (place / "eval_baseline.json").write_bytes(write(agreed))
    (place / "candidate_eval.json").write_bytes(write(measured))
    assert call(capfd, "compare", "--output", "verdict.json")[0] == 0
    out = call(capfd, "explain", "verdict.json", "--bucket", "all rows", "--eval-set", "set.jsonl")[1]
    assert "  lost       q3, q5\n  gained     q7" in out
    assert f"90.00 %, the mean of {N} scores" in out
    code, out, _ = call(capfd, "plan")
    assert code == 0
    assert [line.split()[2] for line in out.splitlines() if line.startswith("x ")] == [str(N)]


@pytest.mark.usefixtures("place")
def test_explain_without_a_bucket_shows_what_did_not_hold(capfd: pytest.CaptureFixture[str]) -> None:
    call(capfd, "compare", "--output", "verdict.json")
    code, out, _ = call(capfd, "explain", "verdict.json")
    assert code == 0
    assert out.startswith("failed: ")
    assert "b (standard): regressed" in out
    assert "a (standard)" not in out
    code, _, err = call(capfd, "explain", "verdict.json", "--bucket", "c")
    assert (code, "has no bucket 'c'; it has" in err) == (3, True)
    assert call(capfd, "explain", "verdict.json", "--eval-set", "set.jsonl")[0] == 64


def test_explain_refuses_counts_that_are_not_possible_together(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    call(capfd, "compare", "--output", "verdict.json")
    tree = json.loads((place / "verdict.json").read_bytes())
    for row in tree["rows"]:
        row["evidence"]["gains"] = N + 1
    (place / "verdict.json").write_text(json.dumps(tree))
    code, out, err = call(capfd, "explain", "verdict.json", "--bucket", "b")
    assert (code, out) == (3, "")
    assert f"{N + 1} gained and " in err


def test_examples_come_only_from_what_the_verdict_was_made_of(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    call(capfd, "compare", "--output", "verdict.json")
    explain = ("explain", "verdict.json", "--bucket", "b", "--eval-set")
    other = place / "other.jsonl"
    other.write_bytes((place / "set.jsonl").read_bytes().replace(b'"q0"', b'"q9999"'))
    assert call(capfd, *explain, "other.jsonl")[0] == 4
    save(place, "candidate_eval.json", ["yes"] * N)
    assert call(capfd, *explain, "set.jsonl")[0] == 4


@pytest.mark.parametrize("argv", [(), ("--tolerance", "0.04"), ("--tolerance", "0.1")])
@pytest.mark.parametrize("rule", ["point", "guard", "noninferior"])
@pytest.mark.slow
def test_replay_gives_the_same_bytes(
    place: Path, capfd: pytest.CaptureFixture[str], rule: str, argv: tuple[str, ...]
) -> None:
    save(place, "eval_baseline.json", ["yes"] * N, rule)
    call(capfd, "compare", "--output", "verdict.json", *argv)
    code, out, _ = call(capfd, "replay", "verdict.json", "--eval-set", "set.jsonl")
    assert (code, out.startswith("verdict.json: the same, byte for byte\n")) == (0, True)


def test_replay_refuses_what_does_not_follow(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    call(capfd, "compare", "--output", "verdict.json")
    good = (place / "verdict.json").read_bytes()
    for old, new, said in (
        (b'"outcome": "regressed"', b'"outcome": "held"', "differs in"),
        (b'"tier": "standard"', b'"tier": "advisory"', "differs in"),
        (b'"tolerance_pp": "10.0",\n  "policy', b'"tolerance_pp": "90.0",\n  "policy', "cannot have been made"),
        (b'"rule": "guard"', b'"rule": "point"', "differs in rule"),
        (b'  "rule"', b'   "rule"', "written in other bytes"),
    ):
        assert old in good
        (place / "verdict.json").write_bytes(good.replace(old, new))
        code, _, err = call(capfd, "replay", "verdict.json")
        assert (code, said in err) == (4, True), err
    (place / "verdict.json").write_bytes(good)
    (place / "eval_baseline.json").write_bytes((place / "eval_baseline.json").read_bytes() + b"\n")
    code, _, err = call(capfd, "replay", "verdict.json")
    assert (code, "was made from another baseline" in err) == (4, True)


@pytest.mark.slow
def test_plan_shows_what_can_never_pass_and_what_is_needed(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save(place, "eval_baseline.json", ["yes"] * N, "noninferior", tolerance_pp=1, buckets={"a": {"tolerance_pp": 5}})
    code, out, _ = call(capfd, "plan")
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines() if line[:1] in "ab" and "standard" in line}
    assert " no " in rows["b"]
    assert rows["b"].endswith("6308")
    assert "yes" in rows["a"]
    assert rows["a"].endswith("272")
    assert "Too small to prove even an identical model within their margin: b." in out
    made = json.loads(call(capfd, "plan", "--json", "--disagreement", "0.05")[1])
    assert (made["disagreement"], made["rows"][-1]["identical_passes"]) == (0.05, False)
    assert 0.8 < made["rows"][-1]["blocks_equal"] < 0.9  # what passes then has gained by chance
    assert call(capfd, "plan", "--disagreement", "5")[0] == 64
    save(place, "eval_baseline.json", ["yes"] * N, "point", tolerance_pp=1)
    assert "Rule point compares figures and proves nothing" in call(capfd, "plan")[1]


def test_the_chance_that_chance_alone_falls_beyond_a_tolerance() -> None:
    """By enumeration: 4 examples, 1 in 2 disagreements, tolerance 25 pp."""
    from fractions import Fraction
    from itertools import product

    share = sum(
        Fraction(1, 2) ** 4 * Fraction(1, 2) ** sum(map(abs, changes))
        for changes in product((-1, 0, 1), repeat=4)
        if sum(changes) < -1
    )
    assert chance_of_falling(4, Fraction(1, 4), 0.5) == pytest.approx(float(share))


@pytest.mark.slow
def test_calibrate_is_seeded_and_finds_both_errors_of_the_point_rule(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save(place, "eval_baseline.json", ["yes"] * N, "point", tolerance_pp=0)
    argv = ("calibrate", "--repetitions", "40")
    first, second = call(capfd, *argv), call(capfd, *argv)
    assert first == second
    assert first[0] == 0
    assert call(capfd, *argv, "--seed", "1")[1] != first[1]
    blocked = int(first[1].split("equal models blocked: ")[1].split()[0])
    assert 15 < blocked <= 40  # without any tolerance chance alone blocks most equal models
    save(place, "eval_baseline.json", ["yes"] * N, "point", tolerance_pp=50)
    out = call(capfd, *argv, "--drop", "0.2")[1]
    assert "equal models blocked: 0 of 40" in out
    assert "one bucket worse by 20 pp, passed: 40 of 40" in out


@pytest.mark.slow
def test_calibrate_judges_no_metrics(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    argv = ("calibrate", "--repetitions", "10")
    before = call(capfd, *argv)
    path = place / "eval_baseline.json"
    agreed = json.loads(path.read_text())
    agreed["metrics"] = {"latency": {"value": 1, "direction": "lower", "machine": True}}
    agreed["policy"]["metrics"] = {"latency": {"max_pct": 1}}
    path.write_text(json.dumps(agreed))
    assert call(capfd, *argv) == before


def test_calibrate_refuses_another_eval_set_and_missing_outcomes(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (place / "other.jsonl").write_bytes((place / "set.jsonl").read_bytes().replace(b'"q0"', b'"q9999"'))
    assert call(capfd, "calibrate", "--eval-set", "other.jsonl")[0] == 4
    tree = json.loads((place / "candidate_eval.json").read_bytes())
    del tree["aggregate"]["outcomes"]
    (place / "candidate_eval.json").write_bytes(json.dumps(tree).encode())
    code, _, err = call(capfd, "calibrate")
    assert (code, "the evaluation has no score of each of the 600 rows" in err) == (3, True)
