from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from lynxgate.pull_request.forge import blob_sha
from minieval.contract.exits import Exit
from tests.github_standin import BOT, GithubStandIn, Token
from tests.pull_request.conftest import REPOSITORY, TOKEN, Step
from tests.samples import MODEL, RUN, baseline, evaluation

Output = Callable[[], tuple[str, str]]
BASE = "b0" * 20
MOVED = {"tense.past": {"n": 100, "correct": 88}, "tense.third": {"n": 100, "correct": 97}}
BEFORE = {"tense.past": {"n": 100, "correct": 90}, "tense.third": {"n": 100, "correct": 95}}
OLD = json.dumps(baseline(BEFORE), indent=2).encode() + b"\n"
CALL = ("ci", "rebaseline-pr", "--base", "main", "--base-sha", BASE)


@pytest.fixture
def here(github: GithubStandIn, step: Step) -> Iterator[Step]:
    """A step in a checkout of main, with an evaluation that differs from the baseline; main never moves."""
    github.tokens[TOKEN] = Token(BOT, {"contents": "write", "pull-requests": "write"})
    github.add_branch("main", BASE, **{"eval_baseline.json": OLD})
    Path("eval_baseline.json").write_bytes(OLD)
    measure(MOVED)
    yield step
    assert github.branches["main"] == BASE
    assert github.files["main", "eval_baseline.json"] == OLD


def measure(figures: Mapping[str, dict[str, int]]) -> None:
    Path("candidate_eval.json").write_text(json.dumps(evaluation(dict(figures))))


def proposed(github: GithubStandIn) -> tuple[str, dict[str, object]]:
    """The one branch that is not main, and the baseline on it."""
    (branch,) = set(github.branches) - {"main"}
    return branch, json.loads(github.files[branch, "eval_baseline.json"])


@pytest.mark.slow
def test_it_opens_a_pull_request_that_changes_numbers_only(github: GithubStandIn, here: Step, output: Output) -> None:
    assert here.run(*CALL) == Exit.OK
    branch, new = proposed(github)
    old = json.loads(OLD)
    assert {key for key in old if old[key] != new[key]} <= {"buckets", "source", "aggregate", "eval_set_sha256"}
    assert (new["status"], new["policy"]) == (old["status"], old["policy"])
    (pull,) = [each for each in github.pulls.values() if each["head"]["ref"] == branch]
    assert pull["title"] == "rebaseline: 2 buckets of the baseline, 1 of them down"
    assert pull["base"]["ref"] == "main"
    for part in (
        "- [ ] ",
        "| `tense.past` | `90/100 = 90.00 %` | `88/100 = 88.00 %` | -2.00 pp |",
        "no gate is activated",
    ):
        assert part in pull["body"]
    assert "actions/runs/4711" in pull["body"]
    assert output()[0] == f"opened https://github.com/{REPOSITORY}/pull/{pull['number']}\n"
    assert here.outputs == f"moved=true\npull={pull['number']}\n"
    assert pull["title"] in here.summary


@pytest.mark.slow
def test_only_its_own_branch_is_written_to(github: GithubStandIn, here: Step) -> None:
    assert here.run(*CALL) == Exit.OK
    branch, _ = proposed(github)
    assert [(call.method, call.path.rpartition("/")[2]) for call in github.journal if call.method != "GET"] == [
        ("POST", "refs"),
        ("PUT", "eval_baseline.json"),
        ("POST", "pulls"),
    ]
    (put,) = github.calls("PUT")
    assert (put.body["branch"], put.body["sha"]) == (branch, blob_sha(OLD))


def test_without_a_change_no_pull_request_is_opened(github: GithubStandIn, here: Step, output: Output) -> None:
    assert here.run("baseline", "rebaseline") == Exit.OK
    output()
    assert here.run(*CALL) == Exit.OK
    assert output()[0] == "no change: main already has these numbers\n"
    assert here.outputs == "moved=false\n"
    assert "No change" in here.summary
    assert github.journal == []


@pytest.mark.slow
def test_the_same_proposal_finds_its_pull_request(github: GithubStandIn, here: Step, output: Output) -> None:
    assert here.run(*CALL) == Exit.OK
    before = len(github.pulls)
    output()
    assert here.run(*CALL) == Exit.OK
    assert output()[0].startswith("already open: https://github.com/")
    assert len(github.pulls) == before


@pytest.mark.parametrize("died_at", [("POST", "/git/refs"), ("PUT", "/contents/"), ("POST", "/pulls")])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.slow
def test_the_next_run_completes_what_a_failure_left(
    github: GithubStandIn, here: Step, output: Output, died_at: tuple[str, str], after: bool
) -> None:
    github.fail(*died_at, 502, times=1, after=after)
    assert here.run(*CALL) == Exit.UNAVAILABLE
    output()
    assert here.run(*CALL) == Exit.OK
    branch, new = proposed(github)
    assert new["buckets"] != json.loads(OLD)["buckets"]
    assert len([each for each in github.pulls.values() if each["head"]["ref"] == branch]) == 1


@pytest.mark.slow
def test_a_branch_with_other_content_is_not_changed(github: GithubStandIn, here: Step, output: Output) -> None:
    github.fail("PUT", "/contents/", 502, times=1)
    assert here.run(*CALL) == Exit.UNAVAILABLE
    branch, _ = proposed(github)
    github.files[branch, "eval_baseline.json"] = b"{}\n"
    assert here.run(*CALL) == Exit.REFUSED
    assert "delete the branch" in output()[1]
    assert github.files[branch, "eval_baseline.json"] == b"{}\n"


def test_a_token_without_permission_is_one_error(github: GithubStandIn, here: Step, output: Output) -> None:
    github.tokens[TOKEN] = Token(BOT, {"contents": "read", "pull-requests": "write"})
    assert here.run(*CALL) == Exit.UNAVAILABLE
    assert "this token may not do that" in output()[1]


def test_a_dry_run_sends_nothing(github: GithubStandIn, here: Step, output: Output) -> None:
    assert here.run(*CALL, "--dry-run", "--write", "kept") == Exit.OK
    assert output()[0].startswith("rebaseline: 2 buckets")
    assert github.journal == []
    assert Path("kept/before.json").read_bytes() == OLD
    assert Path("kept/after.json").read_bytes() != OLD


@pytest.mark.slow
def test_hostile_names_stay_in_code(github: GithubStandIn, here: Step) -> None:
    measure({**MOVED, "</table>@ann `|` [x](http://evil)": {"n": 10, "correct": 9}})
    assert here.run(*CALL) == Exit.OK
    pull = max(github.pulls.values(), key=lambda each: each["number"])
    for part in ("@ann", "</table>", "](http:"):
        assert part not in pull["body"]


@pytest.mark.slow
def test_a_bucket_is_removed_only_by_name(here: Step, output: Output) -> None:
    measure({"tense.past": MOVED["tense.past"]})
    assert here.run(*CALL) == Exit.REFUSED
    assert "--remove" in output()[1]
    assert here.run(*CALL, "--remove", "tense.third") == Exit.OK


@pytest.mark.slow
def test_a_regression_is_proposed_only_by_name_and_named_in_the_diff(
    github: GithubStandIn, here: Step, output: Output
) -> None:
    measure({**MOVED, "tense.past": {"n": 100, "correct": 70}})
    assert here.run(*CALL) == Exit.REFUSED
    assert "the gate would refuse it: tense.past: -20.00 pp" in output()[1]
    assert github.journal == []
    assert here.run(*CALL, "--accept-regression=tense.third") == Exit.USAGE
    assert here.run(*CALL, "--accept-regression=tense.past", "--semver", "v9.9.9") == Exit.OK
    _, new = proposed(github)
    reason = "tense.past: -20.00 pp, and the tolerance is 2.0 pp"
    assert new["source"] == {
        "canonical_sha": MODEL, "semver": "v9.9.9", "mlflow_run_id": RUN, "_comment_accepted_regressions": reason
    }  # fmt: skip
    (pull,) = [each for each in github.pulls.values() if each["base"]["ref"] == "main"]
    for part in (
        "- [ ] Each accepted regression (1, named below) is meant",
        "- [ ] The version named as source is the one of this model: nothing has checked that.",
        f"Accepted regressions: `{reason}`.",
        "The gate says of it: `failed: tense.past regressed",
    ):
        assert part in pull["body"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--base", "a..b", "--base-sha", BASE),
        ("--base", "-x", "--base-sha", BASE),
        ("--base", "main", "--base-sha", "HEAD"),
        *((*CALL[2:], "--path", path) for path in ("./b.json", "/b.json", "../b.json", "a/../b.json", "a//b.json", "")),
    ],
)
def test_a_malformed_branch_commit_or_path_is_refused(here: Step, wrong: tuple[str, ...]) -> None:
    assert here.run("ci", "rebaseline-pr", *wrong) == Exit.USAGE
