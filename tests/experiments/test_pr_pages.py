"""The pages of experiment 38: they agree with each other and with what is committed, and their pictures run nothing."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from lynxgate.pull_request.comment import KIND, marker
from lynxgate.pull_request.forge import blob_sha
from lynxgate.pull_request.request import PromotionRequest, parse_requests
from pr_pages.browser import find_browser, read_page, take_picture
from pr_pages.gfm import render_comment
from pr_pages.html import Check, Conversation, draw_conversation, draw_terminal
from pr_pages.pages import PAGES, SCHEMA, read_stages
from pr_pages.rights import read_jobs
from pr_pages.terminal import COLUMNS, Run, read_screen, run_session

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = ROOT / "experiments/38-ci-gate"
BASELINE = ROOT / "eval_baseline.json"
AGAIN = "run `just pr-pages`"
MAX_BYTES = 150_000
VALUES = re.compile(r"ghs_|token-of|password-of|AKIA|://[^/\s]+:[^/\s]+@|PRIVATE KEY")
HOSTILE = "<script>document.body.dataset.ran = 'yes'</script><img src=x onerror=\"document.body.dataset.ran='yes'\">"


def manifest() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXPERIMENT / "manifest.json").read_text())
    return found


def page(name: str) -> str:
    return (EXPERIMENT / PAGES[name]).read_text()


def posted_comment(name: str) -> str:
    (found,) = re.findall(r"^````markdown\n(.*?)^````$", page(name), re.M | re.S)
    return str(found)


def test_the_manifest_is_of_the_committed_baseline() -> None:
    data, found = BASELINE.read_bytes(), manifest()
    baseline = json.loads(data)
    assert found["schema"] == SCHEMA
    assert found["eval_set"] == {"path": baseline["eval_set"], "md5": baseline["eval_set_dvc_hash"]}, AGAIN
    for name in PAGES:
        agreed = {"sha256": hashlib.sha256(data).hexdigest(), "git_blob": blob_sha(data)}
        assert found[name]["eval_baseline"] == agreed, AGAIN


def test_the_page_says_whether_the_clean_candidate_is_the_bundle_that_the_baseline_names() -> None:
    same = manifest()["clean"]["canonical_sha"] == json.loads(BASELINE.read_text())["source"]["canonical_sha"]
    assert ("that very bundle again" in " ".join(page("clean").split())) == same, AGAIN


@pytest.mark.parametrize("name", PAGES)
def test_a_page_tells_of_the_run_that_the_manifest_names(name: str) -> None:
    about, text = manifest()[name], page(name)
    assert about["page"] == PAGES[name]
    (request,) = re.findall(r"^ *(mlflow_run_id=.*)$", text, re.M)
    assert parse_requests(request) == (PromotionRequest(about["mlflow_run_id"], about["semver"]),)
    assert set(re.findall(r"\b[0-9a-f]{32}\b", text)) == {about["mlflow_run_id"], manifest()["eval_set"]["md5"]}
    assert set(re.findall(r"\b[0-9a-f]{64}\b", text)) == {about["canonical_sha"]}
    assert f"exit code {about['exit_code']}." in text


def test_the_two_runs_ended_as_they_must() -> None:
    clean, degraded = manifest()["clean"], manifest()["degraded"]
    assert (clean["exit_code"], clean["check"]) == (0, "success")
    assert (degraded["exit_code"], degraded["check"]) == (2, "failure")
    assert clean["production"]["after"] == clean["semver"]
    assert clean["registry_sha256"]["before"] != clean["registry_sha256"]["after"]
    assert degraded["production"] == {"before": clean["semver"], "after": clean["semver"]}
    assert degraded["registry_sha256"]["before"] == degraded["registry_sha256"]["after"]
    assert clean["mlflow_run_id"] != degraded["mlflow_run_id"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_all_six_stages(name: str) -> None:
    (terminal,) = re.findall(r"^````text\n(.*?)^````$", page(name), re.M | re.S)
    stages = read_stages(terminal)
    assert [(number, title) for number, title, _ in stages] == [
        (1, "environment"), (2, "eval set"), (3, "candidate"), (4, "evaluation"), (5, "comparison"), (6, "promotion"),
    ]  # fmt: skip
    for number, title, _ in stages:
        assert f"| {number} {title} | `" in page(name)


@pytest.mark.parametrize(("name", "buckets"), [("clean", []), ("degraded", ["tense.past_participle"])])
def test_the_comment_is_the_gates_and_names_the_buckets_that_fell(name: str, buckets: list[str]) -> None:
    comment, about = posted_comment(name), manifest()[name]
    assert comment.startswith(f"{marker(KIND)}\n\n### Lynxgate: ")
    for value in (about["mlflow_run_id"], about["semver"], about["canonical_sha"]):
        assert f": `{value}`\n" in comment
    rows = [line.strip("| ").split(" | ") for line in comment.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == buckets
    assert {row[-1] for row in rows} <= {"regressed"}
    others = set(json.loads(BASELINE.read_text())["buckets"]) - set(buckets)
    assert not [bucket for bucket in others if bucket in comment]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_every_secret_of_the_workflows_and_no_value(name: str) -> None:
    text = page(name)
    named = {"GITHUB_TOKEN"}
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        named |= set(re.findall(r"secrets\.(\w+)", path.read_text()))
    assert {"MLFLOW_TRACKING_PASSWORD", "LYNXGATE_APP_KEY"} <= named
    assert {secret for secret in named if f"`{secret}`" not in text} == set(), AGAIN
    assert not VALUES.search(text)
    for path in EXPERIMENT.glob("pictures/*.png"):
        assert not VALUES.search(path.read_bytes().decode("latin-1"))


def test_the_rights_are_those_of_the_workflow_files() -> None:
    jobs = {job.name: job for job in read_jobs()}
    assert list(jobs) == ["request", "evaluate", "count", "announce", "promote", "report"]
    assert jobs["evaluate"].secrets == ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_USERNAME")
    assert (jobs["report"].secrets, jobs["report"].environment) == (("GITHUB_TOKEN",), None)
    assert (jobs["count"].secrets, jobs["count"].environment) == ((), None)
    assert jobs["promote"].environment == "production"
    text = (ROOT / ".github/workflows/promote.yml").read_text()
    assert jobs["promote"].permissions == yaml.safe_load(text)["jobs"]["promote"]["permissions"]
    for name in PAGES:
        for job in jobs.values():
            may = ", ".join(f"`{scope}: {level}`" for scope, level in job.permissions.items())
            assert f" | {may} | " in page(name), AGAIN


@pytest.mark.parametrize("name", PAGES)
def test_the_pictures_are_whole_small_and_described(name: str) -> None:
    described = {path: text for text, path in re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", page(name))}
    hashes = manifest()[name]["pictures"]
    assert described.keys() == hashes.keys()
    for path, text in described.items():
        data = (EXPERIMENT / path).read_bytes()
        assert len(text) > 40
        assert len(data) < MAX_BYTES
        assert hashlib.sha256(data).hexdigest() == hashes[path]
        with Image.open(EXPERIMENT / path) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert picture.width > 1000
            assert picture.height > 400


def test_no_picture_is_left_over() -> None:
    named = {path for name in PAGES for path in manifest()[name]["pictures"]}
    assert {str(path.relative_to(EXPERIMENT)) for path in (EXPERIMENT / "pictures").iterdir()} == named


@pytest.mark.parametrize("name", PAGES)
def test_the_links_of_a_page_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page(name))
    assert len(links) >= 4
    for target in links:
        assert (EXPERIMENT / target).exists(), target


@pytest.mark.parametrize(
    "hostile",
    [
        HOSTILE,
        "[x](javascript:alert(1))",
        "<a href='javascript:alert(1)'>x</a>",
        "<style>*{display:none}</style>",
        "<iframe src=//example.org></iframe>",
        "| a |\n| --- |\n| <b onclick=alert(1)>x</b> |",
        "<p style='position:fixed'>x</p>",
        "![x](https://example.org/x.png)",
    ],
)
def test_a_comment_renders_to_nothing_that_acts_or_loads(hostile: str) -> None:
    html = render_comment(hostile)
    assert not re.search(r"<(script|style|iframe|img|object|form)|\bon\w+=|=.?javascript:|position", html, re.I)


def test_a_comment_renders_as_github_shows_it() -> None:
    html = render_comment(posted_comment("degraded"))
    assert "lynxgate:gate" not in html
    assert html.strip().startswith("<h3>Lynxgate: not promoted: a regression (exit 2)</h3>")
    assert '<th style="text-align:right">n</th>' in html
    assert "<td><code>tense.past_participle</code></td>" in html


def conversation(bucket: str) -> Conversation:
    comment = f"| bucket |\n| --- |\n| {bucket} |\n\n- {bucket}\n\n{bucket}"
    check = Check(bucket, "failure", bucket)
    return Conversation(1, bucket, bucket, bucket, bucket, bucket, comment, check)


@pytest.mark.parts
def test_no_script_in_a_name_runs_in_a_real_browser() -> None:
    """Whatever is called like a script: in the comment, a title, a label, a terminal. The browser does run scripts."""
    find_browser()
    unescaped = f"<!doctype html><html><head><title>x</title></head><body>{HOSTILE}</body></html>"
    assert 'data-ran="yes"' in read_page(unescaped)
    terminal = draw_terminal([(Run(HOSTILE, "default", bold=False), Run("x", '"><script>', bold=True))], HOSTILE)
    for drawn in (draw_conversation(conversation(HOSTILE)), terminal):
        without_policy = re.sub(r"<meta http-equiv[^>]*>", "", drawn)
        assert without_policy != drawn
        for html in (drawn, without_policy):
            shown = read_page(html)
            assert "data-ran" not in shown
            assert "&lt;script&gt;" in shown


@pytest.mark.parts
def test_a_picture_is_cut_to_what_is_on_the_page(tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    picture.write_bytes(take_picture(draw_conversation(conversation("plain")), width=600))
    with Image.open(picture) as found:
        assert found.width == 1200
        assert 200 < found.height < 2000


def test_a_terminal_shows_what_is_left_when_progress_is_over(tmp_path: Path) -> None:
    program = "import sys; print(sys.stdout.isatty()); print('\\x1b[31mbusy\\x1b[0m\\r\\x1b[2Kdone'); sys.exit(3)"
    session = run_session(
        [[sys.executable, "-c", program], ["echo", "$HOME"]], folder=tmp_path, environment={"PATH": "/bin"}
    )
    assert session.codes == (3, 0)
    assert session.text.splitlines()[1:] == ["True", "done", "$ echo $?", "3", "$ echo '$HOME'", "$HOME"]
    assert session.lines[0][0] == Run("$", "green", bold=True)


def test_a_terminal_breaks_long_lines_and_keeps_colours() -> None:
    lines = read_screen(b"\x1b[31m" + b"x" * (COLUMNS + 5) + b"\x1b[0m\r\n", COLUMNS)
    assert lines == ((Run("x" * COLUMNS, "red", bold=False),), (Run("x" * 5, "red", bold=False),))
