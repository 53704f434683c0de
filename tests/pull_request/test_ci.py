from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lynxgate.errors import UsageFailure
from lynxgate.pull_request.workflow_env import read_workflow, write_outputs
from minieval.contract.exits import Exit
from tests.github_standin import BOT, GithubStandIn, Token
from tests.pull_request.conftest import HEAD, LABEL, PULL, REPOSITORY, REQUEST, RUN, TOKEN, Step, at
from tests.samples import MODEL, baseline, evaluation, judge, write
from tests.samples import RUN as EVALUATED

Output = Callable[[], tuple[str, str]]
OTHER = REQUEST.replace(RUN, "cd" * 16)
OTHER_RUN = "f" * 32
OUTPUTS = f"run_id={RUN}\nsemver=v0.3.1\nhead_sha={HEAD}\npr={PULL}\n"
READ_ONLY = Token(BOT, {"pull-requests": "read"})


def comments(github: GithubStandIn) -> str:
    """Our one comment."""
    (body,) = github.bodies(PULL)
    return body


class TestRequest:
    @pytest.mark.slow
    def test_an_accepted_request_gives_the_outputs(self, github: GithubStandIn, step: Step, output: Output) -> None:
        github.add_comment(PULL, "ann", f"Ready.\n{REQUEST}\n", at(1))
        step.label()
        assert step.run("ci", "request") == Exit.OK
        assert step.outputs == OUTPUTS
        assert output() == (OUTPUTS, "")
        assert github.bodies(PULL) == []

    @pytest.mark.slow
    def test_a_request_for_a_model(self, github: GithubStandIn, step: Step, output: Output) -> None:
        """Two gates in one pull request: each finds its own request; a gate without a name finds a conflict."""
        (step.root / "wine.json").write_bytes(write(baseline(model="wine")))
        github.add_comment(PULL, "ann", f"{REQUEST} model=wine\n\n{OTHER} model=grape\n", at(1))
        step.label()
        wine = ("ci", "request", "--baseline", "wine.json", "--kind", "gate-wine")
        assert step.run(*wine) == Exit.OK
        assert step.outputs == f"{OUTPUTS}model=wine\n"
        assert step.run(*wine, "--no-comment", "--expect-model", "wine") == Exit.OK
        assert step.run(*wine, "--no-comment", "--expect-model", "") == Exit.REFUSED
        assert "the request is now for model wine; this gate started with none" in output()[1]
        assert step.run("ci", "request") == Exit.REFUSED
        assert "There are different requests" in comments(github)

    @pytest.mark.slow
    def test_a_gate_of_a_model_explains_its_own_request(self, github: GithubStandIn, step: Step) -> None:
        (step.root / "wine.json").write_bytes(write(baseline(model="wine")))
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        assert step.run("ci", "request", "--baseline", "wine.json", "--kind", "gate-wine") == Exit.REFUSED
        assert comments(github).startswith("<!-- lynxgate:gate-wine -->\n")
        assert "none for the model wine, which the baseline names" in comments(github)
        assert "semver=v0.X.Y model=wine" in comments(github)

    @pytest.mark.slow
    def test_a_token_that_may_read_is_enough(self, github: GithubStandIn, step: Step) -> None:
        github.tokens[TOKEN] = READ_ONLY
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        assert step.run("ci", "request") == Exit.OK

    @pytest.mark.parametrize(
        ("talk", "reason"),
        [
            ([], "There is no request in this pull request."),
            ([("ann", "mlflow_run_id=12 semver=v1", 1, None)], "does not have its form"),
            ([("eve", REQUEST, 1, None)], "may not write to this repository"),
            ([("tim", REQUEST, 1, None)], "may not write to this repository"),
            ([("ann", REQUEST, 1, None), ("bob", OTHER, 2, None)], "There are different requests"),
            ([("ann", REQUEST, 10, None)], "not older than the label"),
            ([("ann", REQUEST, 11, None)], "not older than the label"),
            ([("ann", REQUEST, 1, 11)], "edited after the label"),
            ([("ann", f"mlflow_run_id={RUN}$(touch owned) semver=v0.3.1", 1, None)], "does not have its form"),
            ([("ann", f"{REQUEST}`touch owned`", 1, None)], "does not have its form"),
        ],
    )
    @pytest.mark.slow
    def test_a_refusal_comments_how_to_request(
        self,
        github: GithubStandIn,
        step: Step,
        output: Output,
        talk: list[tuple[str, str, int, int | None]],
        reason: str,
    ) -> None:
        for author, body, minutes, edited in talk:
            github.add_comment(PULL, author, body, at(minutes), at(edited) if edited else None)
        step.label()
        for _ in range(2):
            assert step.run("ci", "request") == Exit.REFUSED
        assert reason in comments(github)
        assert "mlflow_run_id=<the 32 hex digits" in comments(github)
        assert reason in step.summary
        assert step.outputs == ""
        out, err = output()
        assert out == "" and "lynxgate: " in err
        assert not Path("owned").exists()

    @pytest.mark.slow
    def test_the_next_result_replaces_the_comment_of_a_refusal(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        assert step.run("ci", "request") == Exit.REFUSED
        write_verdict(step)
        assert step.run("ci", "comment") == Exit.OK
        assert "nothing is promoted yet" in comments(github)

    @pytest.mark.slow
    def test_a_label_without_write_access_is_refused(self, github: GithubStandIn, step: Step) -> None:
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label(actor="tim")
        assert step.run("ci", "request") == Exit.REFUSED
        assert "The account that set the label may not write" in comments(github)

    @pytest.mark.slow
    def test_the_api_decides_not_the_association(self, github: GithubStandIn, step: Step) -> None:
        github.add_comment(PULL, "eve", REQUEST, at(1))
        assert github.comments[PULL][0]["author_association"] == "OWNER"
        step.label()
        assert step.run("ci", "request") == Exit.REFUSED
        assert github.calls("GET", "collaborators/eve/permission")

    def test_a_push_after_the_label(self, github: GithubStandIn, step: Step) -> None:
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        github.pulls[PULL]["head"]["sha"] = "b2" * 20
        assert step.run("ci", "request") == Exit.REFUSED
        assert "Commits were pushed after the label" in comments(github)

    @pytest.mark.slow
    def test_a_removed_label_is_refused(self, github: GithubStandIn, step: Step) -> None:
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        github.add_label(PULL, LABEL, "bob", at(11), added=False)
        assert step.run("ci", "request") == Exit.REFUSED
        assert "was removed" in comments(github)

    def test_a_closed_pull_request(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        github.pulls[PULL]["state"] = "closed"
        assert step.run("ci", "request") == Exit.REFUSED

    @pytest.mark.parametrize(
        ("files", "renamed"),
        [
            (("eval_baseline.json", "a.py"), {}),
            ((), {"eval_baseline.json": "x.json"}),
            ((), {"x.json": "eval_baseline.json"}),
            ((*tuple(f"f{n}" for n in range(70)), "eval_baseline.json"), {}),
        ],
    )
    @pytest.mark.slow
    def test_a_changed_baseline(
        self, github: GithubStandIn, step: Step, files: tuple[str, ...], renamed: dict[str, str]
    ) -> None:
        github.add_pull(PULL, HEAD, *files, renamed=renamed)
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        assert step.run("ci", "request", "--baseline", "./eval_baseline.json") == Exit.REFUSED
        assert "changes eval_baseline.json; a baseline changes only in a pull request of its own" in comments(github)

    @pytest.mark.parametrize("changed", ["ml/eval.toml", "ml/scoring.py", "ml/SCORING.py", "ml"])
    @pytest.mark.parametrize("names_it", [True, False])
    @pytest.mark.parametrize(
        "role",
        ['[score]\npython = "scoring.py"\n', '[evaluator]\ncommand = ["bash", "-"]\nfiles = ["scoring.py"]\n'],
        ids=["scorer", "evaluator"],
    )
    @pytest.mark.slow
    def test_a_changed_task_or_scorer_counts_as_a_changed_baseline(
        self, github: GithubStandIn, step: Step, changed: str, role: str, *, names_it: bool
    ) -> None:
        (step.root / "ml").mkdir()
        (step.root / "ml" / "scoring.py").write_text("def score(expected, answer, features): return True\n")
        (step.root / "ml" / "eval.toml").write_text(
            'schema = "minieval.task/1"\nid = "row"\nexpected = "label"\n[buckets]\ncolumns = ["region"]\n' + role
        )
        task = {"task": {"path": "ml/eval.toml", "sha256": "d" * 64}} if names_it else {}
        (step.root / "eval_baseline.json").write_bytes(write(baseline(**task)))
        github.add_pull(PULL, HEAD, changed)
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        assert step.run("ci", "request") == (Exit.REFUSED if names_it else Exit.OK)
        if names_it:
            assert "a task changes only in a pull request of its own" in comments(github)

    @pytest.mark.parametrize(
        "given",
        [
            *(
                "{root}/eval_baseline.json",
                "./eval_baseline.json",
                "a/../eval_baseline.json",
                "ml/../eval_baseline.json",
            ),
            *("link.json", "{root}/link.json", "EVAL_BASELINE.json", "../{name}/eval_baseline.json"),
        ],
    )
    @pytest.mark.parametrize("git", [True, False])
    @pytest.mark.slow
    def test_a_changed_baseline_is_found_however_its_path_is_written(
        self, github: GithubStandIn, step: Step, given: str, *, git: bool
    ) -> None:
        (step.root / "ml").mkdir()
        (step.root / "link.json").symlink_to("ml/../eval_baseline.json")
        if git:
            (step.root / ".git").mkdir()
        github.add_pull(PULL, HEAD, "eval_baseline.json")
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        path = given.format(root=step.root, name=step.root.name)
        assert step.run("ci", "request", "--baseline", path) == Exit.REFUSED
        assert "in a pull request of its own" in comments(github)

    @pytest.mark.parametrize("variable", [True, False])
    @pytest.mark.slow
    def test_a_path_from_a_subdirectory_is_compared_from_the_root(
        self, github: GithubStandIn, step: Step, *, variable: bool
    ) -> None:
        (step.root / "ml").mkdir()
        (step.root / ".git").mkdir()
        if variable:
            step.monkeypatch.setenv("GITHUB_WORKSPACE", str(step.root.parent))
        step.monkeypatch.chdir(step.root / "ml")
        github.add_pull(PULL, HEAD, "ml/eval_baseline.json")
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        assert step.run("ci", "request") == Exit.REFUSED
        assert "changes ml/eval_baseline.json" in comments(github)

    @pytest.mark.parametrize("changed", ["link.json", "agreed", "store", "store/eval_baseline.json", "next.json"])
    @pytest.mark.slow
    def test_what_leads_to_the_baseline_counts_as_the_baseline(
        self, github: GithubStandIn, step: Step, changed: str
    ) -> None:
        """A link to it, a link to its directory, and a file or submodule in the place of the directory."""
        (step.root / "store").mkdir()
        (step.root / "agreed").symlink_to("store")
        (step.root / "next.json").symlink_to("agreed/eval_baseline.json")
        (step.root / "link.json").symlink_to(step.root / "next.json")
        github.add_pull(PULL, HEAD, changed)
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        assert step.run("ci", "request", "--baseline", "link.json") == Exit.REFUSED

    @pytest.mark.parametrize("given", ["../eval_baseline.json", "/eval_baseline.json", "away.json", "loop.json"])
    def test_a_baseline_outside_the_repository_is_a_wrong_call(
        self, github: GithubStandIn, step: Step, output: Output, given: str
    ) -> None:
        (step.root / "away.json").symlink_to("/etc/eval_baseline.json")
        (step.root / "loop.json").symlink_to("loop.json")
        step.label()
        assert step.run("ci", "request", "--baseline", given) == Exit.USAGE
        assert "have no end" in (err := output()[1]) or "outside the repository" in err
        assert github.journal == []

    @pytest.mark.slow
    def test_a_file_beside_the_baseline_is_not_the_baseline(self, github: GithubStandIn, step: Step) -> None:
        github.add_pull(PULL, HEAD, "eval_baseline.json.md", "docs/eval_baseline.json", "baseline.json")
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        assert step.run("ci", "request") == Exit.OK

    @pytest.mark.slow
    def test_more_files_than_github_lists(self, github: GithubStandIn, step: Step) -> None:
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        github.pulls[PULL]["changed_files"] = 3001
        assert step.run("ci", "request") == Exit.REFUSED
        assert "more files than GitHub lists" in comments(github)

    @pytest.mark.parametrize("fork", ["eve/grammar", "lynx/grammar-2"])
    def test_a_fork_is_refused_without_a_comment_or_a_token(
        self, github: GithubStandIn, step: Step, output: Output, fork: str
    ) -> None:
        step.event(fork=fork)
        step.monkeypatch.delenv("GITHUB_TOKEN")
        assert step.run("ci", "request") == Exit.REFUSED
        assert "comes from a fork, whose workflows get no secrets" in step.summary
        assert "fork" in output()[1]
        assert github.journal == []
        assert step.outputs == ""

    def test_a_deleted_fork_is_refused(self, step: Step) -> None:
        step.event()
        payload = json.loads((step.root / "event.json").read_text())
        payload["pull_request"]["head"]["repo"] = None
        (step.root / "event.json").write_text(json.dumps(payload))
        assert step.run("ci", "request") == Exit.REFUSED
        assert "fork" in step.summary

    def test_another_label_writes_no_comment(self, github: GithubStandIn, step: Step) -> None:
        step.event(label="bug")
        assert step.run("ci", "request") == Exit.REFUSED
        assert github.journal == []

    def test_a_newer_run_writes_the_comment(self, github: GithubStandIn, step: Step) -> None:
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        github.add_label(PULL, LABEL, "bob", at(12))
        assert step.run("ci", "request") == Exit.REFUSED
        assert github.bodies(PULL) == []

    @pytest.mark.parametrize(
        ("option", "value"),
        [("--expect-run-id", "cd" * 16), ("--expect-semver", "v0.3.2"), ("--expect-head-sha", "b2" * 20)],
    )
    @pytest.mark.slow
    def test_the_request_is_checked_again_before_the_promotion(
        self, github: GithubStandIn, step: Step, option: str, value: str
    ) -> None:
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        same = ("--expect-run-id", RUN, "--expect-semver", "v0.3.1", "--expect-head-sha", HEAD)
        assert step.run("ci", "request", *same) == Exit.OK
        assert step.run("ci", "request", option, value) == Exit.REFUSED
        assert step.outputs == OUTPUTS

    @pytest.mark.slow
    def test_a_refusal_need_not_be_posted(self, github: GithubStandIn, step: Step, output: Output) -> None:
        github.tokens[TOKEN] = READ_ONLY
        step.label()
        assert step.run("ci", "request") == Exit.REFUSED
        assert "could not be posted to the pull request" in output()[1]
        assert "no request" in step.summary

    @pytest.mark.slow
    def test_without_a_comment(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        assert step.run("ci", "request", "--no-comment") == Exit.REFUSED
        assert github.bodies(PULL) == []

    @pytest.mark.slow
    def test_github_that_fails_is_exit_5(self, github: GithubStandIn, step: Step, output: Output) -> None:
        step.label()
        github.fail("GET", "/comments", 503)
        assert step.run("ci", "request") == Exit.UNAVAILABLE
        assert "HTTP 503" in output()[1]
        assert step.outputs == ""

    @pytest.mark.parametrize(
        ("name", "value", "code"),
        [
            ("GITHUB_TOKEN", "", Exit.USAGE),
            ("GITHUB_REPOSITORY", "", Exit.USAGE),
            ("GITHUB_REPOSITORY", "../../etc", Exit.USAGE),
            ("GITHUB_REPOSITORY", "other/repository", Exit.REFUSED),
            ("GITHUB_API_URL", "file:///etc", Exit.USAGE),
            ("GITHUB_EVENT_PATH", "", Exit.USAGE),
            ("GITHUB_EVENT_PATH", "nowhere.json", Exit.CANNOT_JUDGE),
        ],
    )
    def test_a_wrong_environment(self, step: Step, name: str, value: str, code: Exit) -> None:
        step.event()
        step.monkeypatch.setenv(name, value)
        assert step.run("ci", "request") == code

    @pytest.mark.parametrize("text", ["", "{}", "[]", "not json", '{"action": "opened"}', '{"action": "labeled"}'])
    def test_a_wrong_event(self, step: Step, output: Output, text: str) -> None:
        (step.root / "event.json").write_text(text)
        assert step.run("ci", "request") == Exit.CANNOT_JUDGE
        assert "event.json" in output()[1]


def write_verdict(step: Step, correct: int = 90) -> Path:
    """A verdict on a bucket that had 90 of 100."""
    measured, agreed = evaluation({"a": {"n": 100, "correct": correct}}), baseline({"a": {"n": 100, "correct": 90}})
    path = step.root / "verdict.json"
    path.write_bytes(judge(measured, agreed).to_json())
    return path


class TestComment:
    @pytest.mark.slow
    def test_promoted_then_already_promoted(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        write_verdict(step)
        for ending in ("promoted", "already promoted"):
            (step.root / "receipt.txt").write_text(f"{ending} v0.3.1 {MODEL}\n")
            assert step.run("ci", "comment", "--receipt", "receipt.txt") == Exit.OK
            assert f"### Lynxgate: {ending} v0.3.1" in comments(github)
        assert f"- head: `{HEAD}`" in comments(github)
        assert f"https://github.com/{REPOSITORY}/actions/runs/4711" in comments(github)
        assert "### Lynxgate: promoted v0.3.1" in step.summary
        assert "<!--" not in step.summary

    @pytest.mark.slow
    def test_what_awaits_approval_is_announced_and_then_replaced(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        write_verdict(step)
        requested = ("--run-id", EVALUATED, "--semver", "v0.3.1", "--head-sha", HEAD)
        assert step.run("ci", "comment", "--awaiting-approval", *requested) == Exit.OK
        announced = comments(github)
        for text in ("passed, awaiting approval", f"`{EVALUATED}`", "`v0.3.1`", f"`{MODEL}`", f"`{HEAD}`", "| `a` |"):
            assert text in announced
            assert text in step.summary
        assert "exactly this run, version and canonical SHA are promoted" in announced
        (step.root / "receipt.txt").write_text(f"promoted v0.3.1 {MODEL}\n")
        assert step.run("ci", "comment", "--receipt", "receipt.txt", *requested) == Exit.OK
        assert "promoted v0.3.1" in comments(github)
        assert "approv" not in comments(github)

    def test_the_requested_model_is_a_fact(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        write_verdict(step)
        assert step.run("ci", "comment", "--model-name", "wine", "--kind", "gate-wine") == Exit.OK
        assert "- model: `wine`" in comments(github)
        assert step.run("ci", "comment", "--model-name", "wi ne") == Exit.USAGE

    def test_a_regression(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        write_verdict(step, 80)
        assert step.run("ci", "comment", "--exit-code", "2", "--receipt", "none.txt") == Exit.OK
        assert "| `a` | 100 | 90.00 % | 80.00 % | -10.00 pp | 2.0 pp | regressed |" in comments(github)

    def test_stopped_before_a_verdict(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        (step.root / "stderr.txt").write_text("lynxgate: md5 differs @everyone\n")
        argv = ("--exit-code", "4", "--log", "stderr.txt", "--run-id", RUN, "--semver", "v0.3.1")
        assert step.run("ci", "comment", *argv) == Exit.OK
        assert "before there was a verdict" in comments(github)
        assert "`lynxgate: md5 differs @everyone`" in comments(github)

    @pytest.mark.parametrize("status", [500, 502, 403, 0])
    def test_github_that_fails_changes_no_verdict(
        self, github: GithubStandIn, step: Step, output: Output, status: int
    ) -> None:
        step.label()
        verdict = write_verdict(step)
        before = verdict.read_bytes()
        github.fail("POST", "/comments", status)
        assert step.run("ci", "comment") == Exit.UNAVAILABLE
        assert verdict.read_bytes() == before
        assert "cannot comment on pull request 7" in output()[1]
        assert "passed" in step.summary

    @pytest.mark.parametrize(
        ("argv", "code"),
        [
            ((), Exit.CANNOT_JUDGE),
            (("--exit-code", "2", "--run-id", "$(id)"), Exit.USAGE),
            (("--exit-code", "2", "--semver", "latest"), Exit.USAGE),
            (("--exit-code", "2", "--head-sha", "main"), Exit.USAGE),
            (("--exit-code", "2", "--kind", "-->"), Exit.CANNOT_JUDGE),
            (("--exit-code", "two"), Exit.USAGE),
        ],
    )
    def test_a_wrong_call_posts_nothing(
        self, github: GithubStandIn, step: Step, argv: tuple[str, ...], code: Exit
    ) -> None:
        step.label()
        assert step.run("ci", "comment", *argv) == code
        assert github.journal == []

    def test_a_forged_verdict(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        (step.root / "verdict.json").write_text('{"schema": "lynxgate.verdict/1", "passed": true}')
        assert step.run("ci", "comment") == Exit.CANNOT_JUDGE
        write_verdict(step, 80)
        (step.root / "receipt.txt").write_text(f"promoted v0.3.1 {MODEL}\n")
        assert step.run("ci", "comment", "--receipt", "receipt.txt") == Exit.INTEGRITY
        assert "the parts of this result do not belong together (exit 4)" in comments(github)
        assert "promoted v0.3.1" not in comments(github) + step.summary

    @pytest.mark.parametrize(
        ("argv", "reason"),
        [
            (
                ("--run-id", OTHER_RUN),
                f"the verdict is for the run {EVALUATED}, but the request is for the run {OTHER_RUN}",
            ),
            (("--semver", "v0.4.0"), "the receipt is for v9.9.9, but the request is for v0.4.0"),
        ],
    )
    @pytest.mark.slow
    def test_parts_that_do_not_belong_together_replace_an_earlier_result(
        self, github: GithubStandIn, step: Step, output: Output, argv: tuple[str, ...], reason: str
    ) -> None:
        step.label()
        write_verdict(step)
        assert step.run("ci", "comment") == Exit.OK
        (step.root / "receipt.txt").write_text(f"promoted v9.9.9 {MODEL}\n")
        parts = ("--receipt", "receipt.txt", *argv)
        assert step.run("ci", "comment", *parts) == Exit.INTEGRITY
        body = comments(github)
        assert f"`{reason}`" in body
        assert f"requested {'run' if argv[0] == '--run-id' else 'version'}: `{argv[1]}`" in body
        for claim in ("passed", "promoted v", MODEL, "| `a` |"):
            assert claim not in body
        assert reason in output()[1]
        assert reason in step.summary
        assert step.run("ci", "check", *parts) == Exit.INTEGRITY
        (run,) = github.checks.values()
        assert (run["conclusion"], run["output"]["title"]) == (
            "failure",
            "the parts of this result do not belong together (exit 4)",
        )
        assert reason in run["output"]["summary"]
        github.fail("GET", "/comments", 500)
        github.fail("POST", "/check-runs", 500)
        for command in ("comment", "check"):
            assert step.run("ci", command, *parts) == Exit.INTEGRITY
            assert "could not be posted" in output()[1]

    def test_a_dry_run_shows_that_parts_do_not_belong_together(
        self, github: GithubStandIn, step: Step, output: Output
    ) -> None:
        write_verdict(step)
        for command in ("comment", "check"):
            argv = ("--dry-run", "--run-id", OTHER_RUN, "--head-sha", HEAD)
            assert step.run("ci", command, *argv) == Exit.INTEGRITY
            assert "the parts of this result do not belong together (exit 4)" in output()[0]
        assert github.journal == []

    def test_a_dry_run_needs_no_github(self, github: GithubStandIn, step: Step, output: Output) -> None:
        for name in ("GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_EVENT_PATH"):
            step.monkeypatch.delenv(name)
        write_verdict(step, 80)
        assert step.run("ci", "comment", "--dry-run") == Exit.OK
        assert "not promoted: a regression (exit 2)" in output()[0]
        assert github.journal == []

    def test_a_long_log_is_read_from_its_end(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        (step.root / "stderr.txt").write_text("x\n" * 200_000 + "the end\n")
        assert step.run("ci", "comment", "--exit-code", "5", "--said", "stderr.txt") == Exit.OK
        assert "`the end`" in comments(github)


class TestCheck:
    def test_a_regression(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        write_verdict(step, 80)
        (step.root / "eval_baseline.json").write_text('{\n "buckets": {\n  "a": {"n": 100}\n }\n}\n')
        assert step.run("ci", "check", "--exit-code", "2") == Exit.OK
        ((number, run),) = github.checks.items()
        assert (run["name"], run["head_sha"], run["conclusion"]) == ("lynxgate", HEAD, "failure")
        assert run["output"]["title"] == "not promoted: a regression (exit 2)"
        assert "regressed" in run["output"]["summary"]
        (pinned,) = github.annotations[number]
        assert (pinned["path"], pinned["start_line"], pinned["end_line"]) == ("eval_baseline.json", 3, 3)

    def test_annotations_have_the_path_from_the_root(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        write_verdict(step, 80)
        (step.root / "eval_baseline.json").write_text('{\n "buckets": {\n  "a": {"n": 100}\n }\n}\n')
        path = str(step.root / "eval_baseline.json")
        assert step.run("ci", "check", "--exit-code", "2", "--baseline", path) == Exit.OK
        ((pinned,),) = github.annotations.values()
        assert (pinned["path"], pinned["start_line"]) == ("eval_baseline.json", 3)

    def test_a_pass(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        write_verdict(step)
        assert step.run("ci", "check") == Exit.OK
        assert [run["conclusion"] for run in github.checks.values()] == ["success"]

    def test_github_failing(self, github: GithubStandIn, step: Step) -> None:
        step.label()
        before = write_verdict(step).read_bytes()
        github.fail("POST", "/check-runs", 500)
        assert step.run("ci", "check") == Exit.UNAVAILABLE
        assert (step.root / "verdict.json").read_bytes() == before

    def test_a_dry_run(self, step: Step, output: Output) -> None:
        write_verdict(step, 80)
        assert step.run("ci", "check", "--dry-run") == Exit.USAGE
        assert step.run("ci", "check", "--dry-run", "--head-sha", HEAD) == Exit.OK
        out, _ = output()
        assert out.startswith("failure: not promoted: a regression (exit 2)")
        assert "eval_baseline.json:1: failure: a regressed: a 90.00 % -> 80.00 %" in out


class TestStep:
    def test_the_token_is_in_no_repr(self) -> None:
        assert TOKEN not in repr(read_workflow({"GITHUB_TOKEN": TOKEN}))

    @pytest.mark.parametrize("value", ["a\nb=c", "", "$(id)", "a b", "x" * 201])
    def test_an_output_is_one_word(self, step: Step, value: str) -> None:
        import os

        with pytest.raises(ValueError, match="plain word"):
            write_outputs(read_workflow(os.environ), {"run_id": value})
        assert step.outputs == ""

    def test_a_malformed_address_is_refused(self) -> None:
        with pytest.raises(UsageFailure, match="GITHUB_API_URL"):
            read_workflow({"GITHUB_API_URL": "http://user:secret@host"})

    @pytest.mark.slow
    def test_as_a_process(self, github: GithubStandIn, step: Step) -> None:
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        command = [sys.executable, "-c", "from lynxgate.cli.app import main; main()", "ci", "request"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, OUTPUTS, "")

    @pytest.mark.parametrize(
        "command",
        [
            ["request"],
            ["request", "--no-comment", "--expect-run-id", RUN],
            ["comment", "--receipt", "receipt.txt"],
            ["check", "--receipt", "receipt.txt"],
        ],
        ids=["request", "request, again", "comment", "check"],
    )
    @pytest.mark.slow
    def test_the_jobs_request_and_report_import_no_mlflow(
        self, github: GithubStandIn, step: Step, command: list[str]
    ) -> None:
        """These jobs start often: MLflow takes seconds to import, and what they install need not have it."""
        github.add_comment(PULL, "ann", REQUEST, at(1))
        step.label()
        write_verdict(step)
        (step.root / "receipt.txt").write_text(f"promoted v0.3.1 {MODEL}\n")
        code = (
            "import sys; from lynxgate.cli.app import run; assert run(['ci', *sys.argv[1:]]) == 0; "
            "print({'mlflow', 'dvc', 'boto3', 'pandas', 'numpy'} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
        assert done.stdout.endswith("set()\n")

    def test_the_command_line_loads_no_client(self) -> None:
        look = "import sys, lynxgate.cli.app; print(sorted({'github', 'requests', 'pydantic'} & sys.modules.keys()))"
        done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"
