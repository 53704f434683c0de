"""The shipped workflow, run by act on real parts: which steps ran, what GitHub was sent, and the registry."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable

import pytest

from tests.act.conftest import PULL, SEMVER, Scene
from tests.act.repository import baseline
from tests.act.runner import Ran
from tests.act.table import hold
from tests.fault_proxy import Fault, FaultProxy
from tests.servers import client_of

pytestmark = pytest.mark.slow

INSTALL = ["Check out the default branch", "Python"]
STAGES = ["1 install from the lock", "2 eval set", "3 candidate", "4 evaluation", "5 comparison"]
END = ["Archive the decision", "Record the result", "Upload the evaluation"]
EVALUATE = [INSTALL[0], "Only pull requests into the default branch", INSTALL[1], "bwrap", *STAGES, "Summary"]
ANNOUNCE = [*INSTALL, "Install from the lock", "Download the evaluation", "Verify the hash of the verdict", "Comment"]
PROMOTE = [*INSTALL, "Install from the lock", "Check the request again", "Download the evaluation"]
PROMOTE += ["Verify the hash of the evaluation", "Pull the eval set"]
PROMOTE += ["Download the candidate again"]
PROMOTE += ["Get the registry's credentials", "6 promotion", "Record the result", "Upload the result"]
REQUEST = [*INSTALL, "Install from the lock", "Request"]
REPORT = [*INSTALL, "Install from the lock", "Download the evaluation", "Combine the results", "Comment", "Check run"]
REPORT_PROMOTION = [*REPORT[:4], "Download the result of the promotion", *REPORT[4:]]
COUNT = [*INSTALL, "Install from the lock", "Download the evaluation", "Verify the hash of the evaluation"]
COUNT += ["Get the counting role's credentials", "Count", "Record the result", "Upload the result"]
REPORT_COUNT = [*REPORT[:4], "Download the result of the count", *REPORT[4:]]
COUNT_ROLE = {"LYNXGATE_COUNT_ROLE": "arn:aws:iam::123456789012:role/lynxgate-count"}


def assert_only_request(scene: Scene, ran: Ran, before: dict[str, str]) -> None:
    """The request was refused, with its exit code, and nothing after it ran."""
    assert ran.code != 0
    assert ran.result("request", "Request") == "failure"
    assert "exit status 6" in ran.log
    assert set(ran.jobs) == {"request"}
    assert ran.ran("evaluate") + ran.ran("promote") + ran.ran("report") == []
    assert scene.registry_bytes() == before
    assert scene.tags() == {}


def assert_evaluated_only(scene: Scene, ran: Ran, before: dict[str, str], failed: str) -> None:
    """The evaluation ended at a stage, none after it ran, and that was told."""
    assert ran.code != 0
    assert ran.result("evaluate", failed) == "failure"
    summary = ["Summary"] if failed == "5 comparison" else []
    assert ran.ran("evaluate") == [*EVALUATE[: EVALUATE.index(failed) + 1], *summary, *END]
    assert ran.ran("announce") + ran.ran("promote") == []
    assert ran.ran("report") == REPORT
    assert scene.registry_bytes() == before


def assert_promoted(ran: Ran) -> None:
    """Every step of every job ran, in order, and ended well."""
    assert (ran.code, {each.result for each in ran.steps}) == (0, {"success"})
    assert ran.ran("request") == REQUEST
    assert ran.ran("evaluate") == [*EVALUATE, *END]
    assert ran.ran("announce") == ANNOUNCE
    assert ran.ran("promote") == PROMOTE
    assert ran.ran("report") == REPORT_PROMOTION


def test_clean_then_again(scene: Scene) -> None:
    """A clean candidate is promoted; a re-run finds it promoted, downloads it again, and edits its one comment."""
    scene.ask(scene.request())
    ran = scene.label()
    assert_promoted(ran)
    (comment,) = scene.comments
    sha = scene.tags()[f"lynxgate.semver.{SEMVER}"]
    assert f"### Lynxgate: promoted {SEMVER}" in comment
    assert sha in comment
    objects = scene.registry_bytes()
    assert {"/registry.json", "/tags.json", f"/journal/{SEMVER}.json", f"/entries/{sha}/manifest.json"} <= set(objects)
    (check,) = scene.github.calls("POST", "/check-runs")
    assert (check.body["conclusion"], check.body["head_sha"]) == ("success", scene.repository.head)
    kept = json.loads((scene.shed.artifacts / "evaluation/decision/manifest.json").read_text())
    assert (kept["canonical_sha"], kept["exit_code"], kept["asked"]["semver"]) == (sha, 0, SEMVER)
    hold("clean", scene, ran, f"{SEMVER} promoted, MLflow tagged")

    again = scene.run()
    assert_promoted(again)
    assert len(scene.comments) == 1
    assert f"### Lynxgate: already promoted {SEMVER}" in scene.comments[0]
    assert scene.registry_bytes() == objects
    assert "from the cache" not in ran.log + again.log
    hold("re-run after success", scene, again, "unchanged, bit for bit")


def test_regressed(scene: Scene) -> None:
    """The buckets that fell are named, and nothing has changed anywhere. Main was lax when the label was set."""
    scene.repository.commit_on_main({"eval_baseline.json": baseline(correct=20)})
    scene.event_base_sha = scene.repository.base
    scene.repository.commit_on_main({"eval_baseline.json": baseline()})
    before = scene.registry_bytes()
    scene.ask(scene.request("degraded"))
    ran = scene.label()
    assert_evaluated_only(scene, ran, before, "5 comparison")
    assert "exit status 2" in ran.log
    (comment,) = scene.comments
    assert "not promoted: a regression (exit 2)" in comment
    assert "tense.past_participle" in comment
    assert "| `tense.past_simple`" not in comment
    assert scene.tags("degraded") == {}
    (check,) = scene.github.calls("POST", "/check-runs")
    assert check.body["conclusion"] == "failure"
    assert [each["path"] for each in check.body["output"]["annotations"]] == ["eval_baseline.json"]
    hold("regressed", scene, ran, "unchanged, bit for bit")


def counting(shelf_life: str, overall_tolerance_pp: float) -> dict[str, str]:
    """The baseline under a policy that counts gates; how many the 60 rows carry follows from the overall tolerance."""
    document = json.loads(baseline()) | {"aggregate": {"n": 60, "correct": 60}}
    document["policy"] |= {"shelf_life": shelf_life, "overall_tolerance_pp": overall_tolerance_pp}
    return {"eval_baseline.json": json.dumps(document, indent=2) + "\n"}


def find_usage(comment: str) -> str:
    """The line on the use of the eval set; how many are allowed follows from how far the two models disagree."""
    (found,) = re.findall(
        r"^- ([1-9] of [1-9][0-9]* allowed comparisons on this eval set used)$", comment, re.MULTILINE
    )
    return str(found)


@pytest.mark.heavy
def test_counted(scene: Scene) -> None:
    """A refused gate is counted and told, and changes nothing else; so is the next, which passes and is promoted."""
    scene.variables |= COUNT_ROLE
    scene.repository.commit_on_main(counting("warn", 80.0))
    before = scene.registry_bytes()
    scene.ask(scene.request("degraded"))
    ran = scene.label()
    assert ran.result("evaluate", "5 comparison") == "failure"
    assert (ran.ran("count"), ran.ran("promote"), ran.ran("report")) == (COUNT, [], REPORT_COUNT)
    (comment,) = scene.comments
    assert "not promoted: a regression (exit 2)" in comment
    used = find_usage(comment)
    assert used.startswith("1 of ")
    (check,) = scene.github.calls("POST", "/check-runs")
    assert used in check.body["output"]["summary"]
    after = scene.registry_bytes()
    (entry,) = after.keys() - before.keys()
    assert entry.startswith("/gates/")
    assert {key: after[key] for key in before} == before
    assert scene.tags("degraded") == {}
    hold("regressed, counted", scene, ran, "one entry below `gates/`, else unchanged, bit for bit")

    scene.ask(scene.request(), minutes=20)
    ran = scene.label(minutes=30)
    assert (ran.code, ran.ran("count"), ran.ran("promote")) == (0, COUNT, PROMOTE)
    assert ran.ran("report") == [*REPORT_COUNT[:5], "Download the result of the promotion", *REPORT_COUNT[5:]]
    (comment,) = scene.comments
    assert f"### Lynxgate: promoted {SEMVER}" in comment
    assert find_usage(comment).startswith("2 of ")
    assert len([key for key in scene.registry_bytes() if key.startswith("/gates/")]) == 2
    hold("clean, counted", scene, ran, f"one entry below `gates/`, {SEMVER} promoted, MLflow tagged")


@pytest.mark.heavy
def test_worn_out(scene: Scene) -> None:
    """An eval set that carries no gate more, under a policy that refuses: what passed is not promoted."""
    scene.variables |= COUNT_ROLE
    scene.repository.commit_on_main(counting("refuse", 2.0))
    before = scene.registry_bytes()
    scene.ask(scene.request())
    ran = scene.label()
    assert ran.ran("evaluate") == [*EVALUATE, *END]
    assert ran.result("count", "Count") == "failure"
    assert "exit status 6" in ran.log
    assert ran.ran("promote") == []
    assert ran.ran("report") == REPORT_COUNT
    assert scene.registry_bytes() == before
    assert scene.tags() == {}
    (comment,) = scene.comments
    assert "passed, but not promoted: it was refused (exit 6)" in comment
    assert "the eval set is too small for a comparison" in comment
    hold("clean, and the eval set is worn out", scene, ran, "unchanged, bit for bit")


@pytest.mark.heavy
def test_stale_eval_hash(scene: Scene) -> None:
    """The baseline on main names another eval set than its .dvc file: nothing after stage 2 runs."""
    scene.repository.commit_on_main({"eval_baseline.json": baseline(md5="0" * 32)})
    before = scene.registry_bytes()
    scene.ask(scene.request())
    ran = scene.label()
    assert_evaluated_only(scene, ran, before, "2 eval set")
    assert "exit status 4" in ran.log
    assert "a hash differs from the expected one (exit 4)" in scene.comments[0]
    hold("stale eval hash", scene, ran, "unchanged, bit for bit")


def test_wrong_label(scene: Scene) -> None:
    """Another label runs nothing and asks GitHub nothing."""
    scene.ask(scene.request())
    ran = scene.label(label="documentation")
    assert (ran.code, ran.steps) == (0, ())
    assert scene.github.journal == []
    hold("wrong label", scene, ran, "unchanged, bit for bit")


@pytest.mark.parametrize(
    ("name", "comments", "reason"),
    [
        ("no comment", [], "There is no request in this pull request"),
        ("malformed comment", [("ann", "mlflow_run_id={run} semver=0.3.1")], "mlflow_run_id="),
        ("comment by a stranger", [("eve", "mlflow_run_id={run} semver=v0.3.1")], "its author may not write"),
        (
            "two comments that differ",
            [("ann", "mlflow_run_id={run} semver=v0.3.1"), ("bob", "mlflow_run_id={run} semver=v0.4.0")],
            "There are different requests",
        ),
        (
            "shell injection in the comment",
            [("ann", "mlflow_run_id={run} semver=v0.3.1; touch $LYNX_SHED/owned $(touch $LYNX_SHED/owned) `id`")],
            "mlflow_run_id=",
        ),
    ],
)
def test_no_request(scene: Scene, name: str, comments: list[tuple[str, str]], reason: str) -> None:
    """Nothing that counts was asked for: that, and how to ask, is the one comment."""
    before = scene.registry_bytes()
    for author, body in comments:
        scene.ask(body.replace("{run}", scene.runs["good"]), author=author)
    ran = scene.label()
    assert_only_request(scene, ran, before)
    (comment,) = scene.comments
    assert "### Lynxgate: no request to act on" in comment
    assert reason in comment
    assert not list(scene.shed.root.rglob("owned"))
    hold(name, scene, ran, "unchanged, bit for bit")


def test_pull_request_that_edits_the_baseline(scene: Scene) -> None:
    """The baseline moves by a pull request of its own."""
    before = scene.registry_bytes()
    scene.github.add_pull(PULL, scene.repository.head, "eval_baseline.json", "src/tutor.py")
    scene.ask(scene.request())
    ran = scene.label()
    assert_only_request(scene, ran, before)
    assert "eval_baseline.json" in scene.comments[0]
    hold("a PR that edits the baseline", scene, ran, "unchanged, bit for bit")


def test_fork(scene: Scene) -> None:
    """A fork is told in the summary alone, and GitHub is not asked anything."""
    before = scene.registry_bytes()
    scene.ask(scene.request())
    ran = scene.label(fork="eve/lynxgate")
    assert_only_request(scene, ran, before)
    assert scene.github.journal == []
    assert "Summary - ### Lynxgate: no request to act on" in ran.log
    hold("fork", scene, ran, "unchanged, bit for bit")


@pytest.mark.heavy
def test_mlflow_down_at_the_tag(scene: Scene) -> None:
    """MLflow fails exactly when the tag is set: production is as before, exit 5 is told, and a 5xx leaves a doubt."""
    scene.ask(scene.request())
    with FaultProxy(scene.server.url) as proxy:
        proxy.fail(Fault.ERROR_BEFORE, path="/runs/set-tag", method="POST")
        scene.tracking, scene.tag_seconds = proxy.url, 6
        ran = scene.label()
        assert proxy.requests("/runs/set-tag")
    assert ran.result("promote", "6 promotion") == "failure"
    assert ran.ran("promote") == PROMOTE
    assert ran.ran("report") == REPORT_PROMOTION
    assert "exit status 5" in ran.log
    after = scene.registry_bytes()
    tags = scene.registry_json("tags.json")
    assert (tags.get("production"), tags["semver"]) == (None, {})
    assert scene.registry_json(f"journal/{SEMVER}.json")["state"] == "in-doubt"
    assert not [key for key in after if key.startswith("/index")]
    assert scene.tags() == {}
    assert "passed, but not promoted: a store or service failed (exit 5)" in scene.comments[0]
    hold("MLflow down at the tag", scene, ran, "nothing promoted: undone, and recorded as in doubt")


@pytest.mark.heavy
def test_github_fails_on_the_comment(scene: Scene) -> None:
    """The promotion stands; that it could not be told is exit 5 of its own step, and the check is made all the same."""
    scene.ask(scene.request())
    scene.github.fail("POST", "/comments", 502)
    ran = scene.label()
    assert ran.result("promote", "6 promotion") == "success"
    assert ran.result("report", "Comment") == "failure"
    assert "exit status 5" in ran.log
    assert ran.result("report", "Check run") == "success"
    assert scene.tags()
    assert scene.comments == []
    hold("GitHub 5xx on the comment", scene, ran, f"{SEMVER} promoted, MLflow tagged")


@pytest.mark.heavy
def test_artifacts_overwritten_after_the_evaluation(scene: Scene) -> None:
    """Another model of the same sizes stands in the run by then: the fresh download before the promotion differs."""
    before = scene.registry_bytes()
    scene.ask(scene.request())
    evaluated = scene.shed.artifacts / "evaluation/candidate_eval.json"
    overwriter = When(evaluated.exists, lambda: overwrite(scene))
    with overwriter:
        ran = scene.label()
    assert overwriter.done
    assert ran.ran("evaluate") == [*EVALUATE, *END]
    assert ran.result("promote", "Download the candidate again") == "failure"
    assert ran.result("promote", "6 promotion") in (None, "skipped")
    assert "exit status 4" in ran.log
    assert scene.registry_bytes() == before
    assert scene.tags() == {}
    assert "a hash differs from the expected one (exit 4)" in scene.comments[0]
    hold("the run's artifacts overwritten after the evaluation", scene, ran, "unchanged, bit for bit")


@pytest.mark.heavy
def test_evaluation_replaced_between_the_jobs(scene: Scene) -> None:
    """An evaluation that another job of the run replaced is not the one that was made."""
    scene.ask(scene.request())
    action = scene.shed.override("download-artifact")
    text = action.read_text()
    assert "cp -R" in text
    change = '[[ "$NAME" != evaluation ]] || sed -i "s/30/29/" "$DESTINATION/candidate_eval.json"'
    action.write_text(f"{text}        {change}\n")
    before = scene.registry_bytes()
    ran = scene.label()
    assert ran.result("promote", "Verify the hash of the evaluation") == "failure"
    assert ran.result("promote", "Get the registry's credentials") in (None, "skipped")
    assert scene.registry_bytes() == before
    assert "a hash differs from the expected one (exit 4)" in scene.comments[0]
    hold("evaluation replaced between the jobs", scene, ran, "unchanged, bit for bit")


@pytest.mark.heavy
def test_pushed_to_while_it_was_evaluated(scene: Scene) -> None:
    """A reviewer may take hours; when the branch has moved on by then, nothing is promoted."""
    before = scene.registry_bytes()
    scene.ask(scene.request())
    evaluated = scene.shed.artifacts / "evaluation"
    with When(evaluated.exists, lambda: scene.github.pulls[PULL]["head"].update(sha="e" * 40)):
        ran = scene.label()
    assert_request_again_refused(scene, ran, before)
    hold("pushed to while it was evaluated", scene, ran, "unchanged, bit for bit")


@pytest.mark.heavy
def test_caller_that_skips_the_request(scene: Scene) -> None:
    """The pull request's own copy of the caller invents a request that nobody made: the trusted part asks itself."""
    before = scene.registry_bytes()
    invented = {"run_id": scene.runs["good"], "semver": SEMVER, "head_sha": scene.repository.head}
    lines = "".join(f"{name}={value}\\n" for name, value in invented.items())
    caller = scene.repository.root / ".github/workflows/deploy-grammar-tutor.yml"
    text = caller.read_text()
    assert "run: lynxgate ci request" in text
    caller.write_text(text.replace("run: lynxgate ci request", f"run: printf '{lines}' >> \"$GITHUB_OUTPUT\""))
    ran = scene.label()
    assert ran.result("request", "Request") == "success"
    assert_request_again_refused(scene, ran, before)
    hold("a branch whose caller invents a request", scene, ran, "unchanged, bit for bit")


def test_another_base_branch(scene: Scene) -> None:
    """A pull request into a branch of the writer's own."""
    before = scene.registry_bytes()
    scene.event_base = "lax"
    scene.ask(scene.request())
    ran = scene.label()
    assert ran.ran("evaluate") == [*EVALUATE[:2], *END[1:]]
    assert ran.ran("promote") == []
    assert scene.registry_bytes() == before
    assert "it was refused (exit 6)" in scene.comments[0]
    hold("a PR into another branch", scene, ran, "unchanged, bit for bit")


def assert_request_again_refused(scene: Scene, ran: Ran, before: dict[str, str]) -> None:
    """The promoting job stopped where it asked again: before it had any credential."""
    assert ran.ran("evaluate") == [*EVALUATE, *END]
    assert ran.result("promote", "Check the request again") == "failure"
    assert "Get the registry's credentials" not in ran.ran("promote")
    assert scene.registry_bytes() == before
    assert scene.tags() == {}
    (comment,) = scene.comments
    assert "passed, but not promoted: it was refused (exit 6)" in comment


def overwrite(scene: Scene) -> None:
    """Log other files of the same names and sizes over those of the good run's model."""
    from lynxgate.candidate.cache import Cache
    from lynxgate.candidate.fetch import fetch
    from lynxgate.wiring import open_tracking

    bundle = scene.shed.root / "fetched"
    fetch(open_tracking(scene.server.url), scene.runs["good"], bundle, Cache(scene.shed.root / "cache"))
    (code,) = bundle.rglob("candidate.py")
    source = code.read_text()
    assert "frame" in source
    code.unlink()  # it may be a link of the cache's copy
    code.write_text(source.replace("frame", "fr4me"))
    client = client_of(scene.server.url)
    (model,) = client.get_run(scene.runs["good"]).outputs.model_outputs
    client.log_model_artifacts(model.model_id, str(bundle))


class When:
    """What happens, once, as soon as something is the case while the workflow runs."""

    def __init__(self, seen: Callable[[], bool], act: Callable[[], object]) -> None:
        self._seen, self._act = seen, act
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.done = False

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            if self._seen():
                self._act()
                self.done = True
                return
