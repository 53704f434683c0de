"""What act does not enforce in the shipped workflows, held on the parsed YAML: triggers, permissions, pins, order."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = ROOT / ".github/workflows"
CALLER, GATE = WORKFLOWS / "deploy-grammar-tutor.yml", WORKFLOWS / "promote.yml"
REBASELINE = WORKFLOWS / "perf-rebaseline.yml"
CALLED = "lynxgate/lynxgate/.github/workflows/promote.yml@main"
UNTRUSTED = re.compile(r"\$\{\{")
SECRET = re.compile(r"\bsecrets\.")
SHIPPED = [*WORKFLOWS.glob("*.yml"), ROOT / "action.yml", *(ROOT / "src/lynxgate/setup/templates").glob("*.yml")]
SHIPPED += (ROOT / "examples/ci").rglob("*.yml")
UNPACKED = {"deploy-grammar-tutor.yml": 0, "perf-rebaseline.yml": 1, "promote.yml": 6, "action.yml": 4}
Json = dict[str, Any]


def load(path: Path) -> Json:
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return {"on": found.pop(True), **found}  # YAML 1.1 reads the key `on` as a boolean


def jobs() -> dict[str, Json]:
    """All jobs that have steps, by name."""
    return {name: job for path in (CALLER, GATE) for name, job in load(path)["jobs"].items() if "steps" in job}


def all_steps(path: Path) -> list[Json]:
    """The steps of a workflow's jobs, or of a composite action."""
    document = yaml.safe_load(path.read_text())
    if "runs" in document:
        return list(document["runs"]["steps"])
    return [step for job in document["jobs"].values() for step in job.get("steps", ())]


def step_names(job: str) -> list[str]:
    return [step["name"] for step in jobs()[job]["steps"]]


def test_the_label_starts_the_workflow() -> None:
    assert load(CALLER)["on"] == {"pull_request": {"types": ["labeled"], "branches": ["main"]}}
    assert load(CALLER)["jobs"]["request"]["if"] == "github.event.label.name == 'deploy-candidate'"
    assert list(load(GATE)["on"]) == ["workflow_call"]


def test_no_workflow_runs_in_the_base_repository_for_a_fork() -> None:
    assert not [path for path in WORKFLOWS.iterdir() if "pull_request_target" in path.read_text()]


def test_the_stages_have_the_order_of_the_lab() -> None:
    names = step_names("evaluate") + step_names("promote")
    assert [name[:1] for name in names if re.match(r"\d ", name)] == ["1", "2", "3", "4", "5", "6"]
    text = GATE.read_text()
    commands = (
        ".ci/install",
        "lynxgate pull",
        "lynxgate fetch --fresh --run-id",
        "python -m minieval --bundle ./candidate/",
        "python -m scripts.mlops.compare_baseline --candidate candidate_eval.json",
        "python -m scripts.mlops.registry promote --canonical-sha",
    )
    assert sorted(commands, key=text.index) == list(commands)
    assert "--tolerance 0.02" in text


def test_permissions_are_the_least() -> None:
    assert load(CALLER)["permissions"] == load(GATE)["permissions"] == {}
    assert {name: job["permissions"] for name, job in jobs().items()} == {
        "request": {"contents": "read", "pull-requests": "write"},
        "evaluate": {"contents": "read"},
        "count": {"contents": "read", "id-token": "write"},
        "announce": {"contents": "read", "pull-requests": "write"},
        "promote": {"contents": "read", "pull-requests": "read", "id-token": "write"},
        "report": {"contents": "read", "pull-requests": "write", "checks": "write"},
    }
    called = load(CALLER)["jobs"]["gate"]["permissions"]
    assert called == {"contents": "read", "pull-requests": "write", "checks": "write", "id-token": "write"}


def test_the_job_that_runs_candidate_code_has_no_credentials() -> None:
    job = jobs()["evaluate"]
    assert "environment" not in job
    assert not SECRET.search(json.dumps(job.get("env", {})))
    holders = [step["name"] for step in job["steps"] if SECRET.search(json.dumps(step))]
    assert holders == ["3 candidate"]
    assert "token" not in json.dumps(job).replace("MLFLOW_TRACKING", "").lower()
    assert "LYNXGATE_REGISTRY" not in json.dumps(job)


def test_only_the_counting_and_the_promoting_job_may_get_credentials() -> None:
    assert [name for name, job in jobs().items() if "id-token" in job["permissions"]] == ["count", "promote"]
    assert [name for name, job in jobs().items() if "environment" in job] == ["promote"]
    users = [name for name, job in jobs().items() if "configure-aws-credentials" in json.dumps(job)]
    assert users == ["count", "promote"]
    assert [name for name, job in jobs().items() if "LYNXGATE_AWS_ROLE" in json.dumps(job)] == ["promote"]
    assert [name for name, job in jobs().items() if "vars.LYNXGATE_COUNT_ROLE" in json.dumps(job)] == ["count"]
    job = jobs()["promote"]
    assert job["environment"] == "production"
    order = [step["name"] for step in job["steps"]]
    assert (
        order.index("Check the request again")
        < order.index("Get the registry's credentials")
        < order.index("6 promotion")
    )
    assert order.index("Download the candidate again") < order.index("Get the registry's credentials")


@pytest.mark.parametrize("path", [GATE, ROOT / "src/lynxgate/setup/templates/lynxgate-gate.yml"], ids=lambda p: p.name)
def test_the_promoting_job_sends_its_secrets_to_no_address_of_the_repository(path: Path) -> None:
    """Every writer may change the repository's variables; only the environment's have names of this job alone."""
    by_job = {
        name: set(re.findall(r"\bvars\.(\w+)", json.dumps(job)))
        for name, job in yaml.safe_load(path.read_text())["jobs"].items()
    }
    assert by_job["evaluate"] == {"MLFLOW_TRACKING_URI"}
    assert by_job["promote"] >= {"LYNXGATE_PROMOTION_TRACKING_URI", "LYNXGATE_REGISTRY", "LYNXGATE_AWS_ROLE"}
    others = set().union(*(names for name, names in by_job.items() if name not in ("promote", "count")))
    assert not by_job["promote"] & others
    for page in ("github.md", "adopt.md"):
        (row,) = re.findall(r"^\| `LYNXGATE_PROMOTION_TRACKING_URI` \| .*$", (ROOT / "docs" / page).read_text(), re.M)
        assert "environment `production`" in row


def test_a_promotion_without_the_address_of_the_environment_stops(tmp_path: Path) -> None:
    """The step's own script, before any call of MLflow."""
    (script,) = [s["run"] for s in jobs()["promote"]["steps"] if s["name"] == "Download the candidate again"]
    (tmp_path / ".ci").symlink_to(ROOT / ".ci")
    environment = {"PATH": "/usr/bin:/bin", "MLFLOW_TRACKING_URI": ""}
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 64
    assert "LYNXGATE_PROMOTION_TRACKING_URI is not set" in (tmp_path / "ended/said").read_text()


def test_the_promoting_job_loads_no_candidate() -> None:
    text = json.dumps(jobs()["promote"])
    assert "minieval" not in text
    assert "cache" not in text
    (fetch,) = [step for step in jobs()["promote"]["steps"] if "lynxgate fetch" in step.get("run", "")]
    assert "--fresh" in fetch["run"]
    assert '--expect-sha "$CANONICAL_SHA"' in fetch["run"]


def test_the_counting_job_only_counts() -> None:
    """It holds one narrow role, and loads neither a candidate nor anything of the branch."""
    job = jobs()["count"]
    assert "environment" not in job
    text = json.dumps(job)
    for word in ("secrets.", "github.token", "minieval --", "fetch", "cache/", "MLFLOW", "github.head"):
        assert word not in text, word
    commands = [step["run"].split() for step in job["steps"] if "run" in step]
    (count,) = [command for command in commands if "lynxgate" in command]
    assert count[:4] == [".ci/stage", "lynxgate", "registry", "count-gate"]
    order = [step["name"] for step in job["steps"]]
    checked, keys = "Verify the hash of the evaluation", "Get the counting role's credentials"
    assert order.index(checked) < order.index(keys) < order.index("Count")
    (asks,) = [step for step in job["steps"] if step["name"] == keys]
    assert asks["with"]["role-to-assume"] == "${{ vars.LYNXGATE_COUNT_ROLE }}"
    (same,) = [step for step in jobs()["promote"]["steps"] if step["name"] == checked]
    assert same["run"] == next(step["run"] for step in job["steps"] if step["name"] == checked)


def test_a_gate_is_counted_after_a_pass_and_after_a_regression() -> None:
    found = jobs()
    assert found["count"]["needs"] == "evaluate"
    for condition in ("!cancelled()", "vars.LYNXGATE_COUNT_ROLE != ''", "evaluation_sha256 != ''"):
        assert condition in found["count"]["if"]
    (comparison,) = [step for step in found["evaluate"]["steps"] if step.get("id") == "comparison"]
    assert comparison["run"].index("evaluation_sha256=${") < comparison["run"].index("compare_baseline")
    assert found["count"]["env"]["EVALUATION_SHA256"] == found["promote"]["env"]["EVALUATION_SHA256"]


def test_a_failed_count_blocks_the_candidate() -> None:
    found = jobs()
    assert found["promote"]["needs"] == ["evaluate", "count", "announce"]
    assert found["announce"]["needs"] == ["evaluate", "count"]
    assert found["announce"]["if"] == found["promote"]["if"]
    allowed = "(needs.count.result == 'success' || needs.count.result == 'skipped')"
    asked = "needs.evaluate.result == 'success' && needs.evaluate.outputs.promotable == 'true'"
    assert found["promote"]["if"].split() == f"${{{{ !cancelled() && {asked} && {allowed} }}}}".split()
    assert found["report"]["needs"] == ["evaluate", "count", "promote"]
    told = [step["run"] for step in found["report"]["steps"] if "lynxgate ci" in step.get("run", "")]
    assert len(told) == 2
    assert all('--counted "$RUNNER_TEMP/lynxgate/count/printed"' in each for each in told)


@pytest.mark.parametrize(
    ("count", "left", "found", "code", "said"),
    [
        ("success", "0", "2", 2, "it regressed\n"),
        ("skipped", None, "2", 2, "it regressed\n"),
        ("failure", "6", "2", 2, "it regressed\nit is worn out\n"),
        ("failure", "6", "0", 6, "it regressed\nit is worn out\n"),
        ("failure", None, "0", 5, "it regressed\nthe gate could not be counted; see the log of the run\n"),
        ("cancelled", "0", "0", 5, "it regressed\nthe gate could not be counted; see the log of the run\n"),
    ],
)
def test_a_failed_count_is_reported_after_the_comparison(
    tmp_path: Path, *, count: str, left: str | None, found: str, code: int, said: str
) -> None:
    """The report's own script, on what the jobs left; a comparison that failed stays what ended the gate."""
    kept, checkout = tmp_path / "temp/lynxgate", tmp_path / "checkout"
    checkout.mkdir()
    for name, ending, text in (("evaluation/ended", found, "it regressed\n"), ("count", left, "it is worn out\n")):
        if ending is not None:
            (kept / name).mkdir(parents=True)
            (kept / name / "code").write_text(ending)
            (kept / name / "said").write_text(text)
    (script,) = [step["run"] for step in jobs()["report"]["steps"] if step.get("id") == "gate"]
    given = {"PATH": "/usr/bin:/bin", "COUNT": count, "PROMOTION": "skipped"}
    given |= {"GITHUB_OUTPUT": str(tmp_path / "output"), "RUNNER_TEMP": str(tmp_path / "temp")}
    subprocess.run(["bash", "-e", "-c", script], cwd=checkout, env=given, check=True)
    assert (tmp_path / "output").read_text() == f"code={code}\n"
    assert (kept / "evaluation/ended/said").read_text() == said
    assert list(checkout.iterdir()) == [], "what an artifact holds is not copied into the checkout"


@pytest.mark.parametrize("printed", ["promoted v0.3.1\n", None])
def test_a_promotion_is_reported_instead_of_the_comparison(tmp_path: Path, printed: str | None) -> None:
    """Three named files of the artifact, and nothing else that it holds."""
    kept, checkout = tmp_path / "temp/lynxgate", tmp_path / "checkout"
    checkout.mkdir()
    left = {"code": "5", "said": "MLflow is down\n", "planted.py": "raise SystemExit\n"}
    left |= {"printed": printed} if printed else {}
    before = {"code": "0", "said": "", "printed": "the table\n"}
    for name, files in (("evaluation/ended", before), ("promotion", left)):
        (kept / name).mkdir(parents=True)
        for file, text in files.items():
            (kept / name / file).write_text(text)
    (script,) = [step["run"] for step in jobs()["report"]["steps"] if step.get("id") == "gate"]
    given = {"PATH": "/usr/bin:/bin", "COUNT": "skipped", "PROMOTION": "failure"}
    given |= {"GITHUB_OUTPUT": str(tmp_path / "output"), "RUNNER_TEMP": str(tmp_path / "temp")}
    subprocess.run(["bash", "-e", "-c", script], cwd=checkout, env=given, check=True)
    assert (tmp_path / "output").read_text() == "code=5\n"
    told = {path.name: path.read_text() for path in (kept / "evaluation/ended").iterdir()}
    assert told == {name: text for name, text in left.items() if name != "planted.py"}
    assert list(checkout.iterdir()) == []


def test_the_apps_key_needs_a_reviewer() -> None:
    """A secret of the repository could be taken by every writer, whose App would then be the author."""
    found = load(REBASELINE)["jobs"]
    holders = {name for name, job in found.items() if "LYNXGATE_APP_" in json.dumps(job)}
    assert holders == {name for name, job in found.items() if "environment" in job} == {"propose"}
    assert found["propose"]["environment"] == "rebaseline"
    assert "minieval" not in json.dumps(found["propose"])
    (token,) = [step for step in found["propose"]["steps"] if "create-github-app-token@" in step.get("uses", "")]
    assert {key for key in token["with"] if key.startswith("permission-")} == {
        "permission-contents",
        "permission-pull-requests",
    }
    for page in ("rebaseline.md", "github.md"):
        rows = [line for line in (ROOT / "docs" / page).read_text().splitlines() if line.startswith("| `LYNXGATE_APP_")]
        text = " ".join(rows)
        assert "`LYNXGATE_APP_ID`" in text and "`LYNXGATE_APP_KEY`" in text
        assert rows and all("environment `rebaseline`" in row for row in rows)


def test_every_page_that_a_workflow_names_exists() -> None:
    for path in SHIPPED:
        for page in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text()):
            assert (ROOT / page).is_file(), f"{path.name} names {page}"


def test_ci_runs_the_strictest_persona_of_zizmor() -> None:
    assert "zizmor --quiet --offline --persona auditor .github action.yml" in (ROOT / "Justfile").read_text()


def read_policy(name: str) -> Json:
    found = re.search(
        rf"^<!-- policy={name} -->\n```json\n(.*?)^```$", (ROOT / "docs/github.md").read_text(), re.M | re.S
    )
    assert found
    policy: Json = json.loads(found[1])
    return policy


def test_the_counting_role_may_read_the_mark_and_list_and_create_entries() -> None:
    statements = read_policy("count-policy")["Statement"]
    assert {each["Effect"] for each in statements} == {"Allow"}
    allowed = {each["Action"]: (each["Resource"], each.get("Condition")) for each in statements}
    assert allowed == {
        "s3:GetObject": ("arn:aws:s3:::BUCKET/PREFIX/registry.json", None),
        "s3:ListBucket": ("arn:aws:s3:::BUCKET", {"StringLike": {"s3:prefix": "PREFIX/gates/*"}}),
        "s3:PutObject": ("arn:aws:s3:::BUCKET/PREFIX/gates/*", {"Null": {"s3:if-none-match": "false"}}),
    }


def test_the_counting_role_trusts_the_called_workflow_in_a_pull_request() -> None:
    (counting,), (promoting,) = (read_policy(name)["Statement"] for name in ("count-trust-policy", "trust-policy"))
    name = "token.actions.githubusercontent.com:sub"
    theirs = promoting["Condition"]["StringEquals"].pop(name)
    ours = counting["Condition"]["StringEquals"].pop(name)
    assert ours == theirs.replace("environment:production", "pull_request")
    assert counting == promoting


def test_comparison_and_promotion_decide_on_the_same_eval_set() -> None:
    """Where groups of its rows decide, one without the other would come to another verdict."""
    found = jobs()
    assert found["evaluate"]["env"]["EVAL_SET"] == found["promote"]["env"]["EVAL_SET"]
    for name, command in (("evaluate", "compare_baseline"), ("promote", "registry promote")):
        texts = [step.get("run", "") for step in found[name]["steps"]]
        (decides,) = [index for index, text in enumerate(texts) if command in text]
        assert '--eval-set "$EVAL_SET"' in texts[decides]
        assert any('lynxgate pull "$EVAL_SET"' in text for text in texts[:decides])


def test_bwrap_is_required() -> None:
    (evaluation,) = [step for step in jobs()["evaluate"]["steps"] if "-m minieval" in step.get("run", "")]
    assert "--isolation bwrap" in evaluation["run"]
    (prepared,) = [step for step in jobs()["evaluate"]["steps"] if step["name"] == "bwrap"]
    assert "kernel.apparmor_restrict_unprivileged_userns=0" in prepared["run"]
    assert jobs()["evaluate"]["runs-on"] == "ubuntu-24.04"


def test_promotions_run_one_at_a_time_and_none_is_cancelled() -> None:
    assert jobs()["promote"]["concurrency"] == {"group": "lynxgate-promotion-production", "cancel-in-progress": False}
    assert load(CALLER)["concurrency"]["cancel-in-progress"] is False


@pytest.mark.parametrize("name", ["request", "evaluate", "count", "announce", "promote", "report"])
def test_every_job_has_a_timeout(name: str) -> None:
    assert 0 < jobs()[name]["timeout-minutes"] <= 60


def test_actions_are_pinned_by_commit() -> None:
    used = [
        line.strip() for path in (CALLER, GATE, REBASELINE) for line in path.read_text().splitlines() if "uses:" in line
    ]
    assert len(used) > 15
    for line in used:
        pinned = re.fullmatch(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
        assert pinned or line == f"uses: {CALLED} # zizmor: ignore[unpinned-uses]", line
    versions = {line.split("@")[0].split("/")[1]: line.split("@")[1] for line in used if CALLED not in line}
    for line in used:
        if CALLED not in line:
            assert versions[line.split("@")[0].split("/")[1]] == line.split("@")[1], "one release of each action"
            commit, version = line.split("@")[1].split(" # ")
            assert re.search(rf"\| {version} \| `{commit}` \|", (ROOT / "docs/github.md").read_text())


def test_the_gate_is_called_from_the_default_branch() -> None:
    assert load(CALLER)["jobs"]["gate"]["uses"] == CALLED


def test_only_the_default_branch_is_checked_out() -> None:
    checkouts = [s for job in jobs().values() for s in job["steps"] if "actions/checkout@" in s.get("uses", "")]
    assert len(checkouts) == len(jobs())
    for step in checkouts:
        assert step["with"] == {
            "ref": "${{ github.event.repository.default_branch }}",
            "persist-credentials": False,
        }
    assert "git " not in "".join(step.get("run", "") for job in jobs().values() for step in job["steps"])


def install_steps(path: Path) -> dict[tuple[str, str], list[str]]:
    """What each job installs."""
    return {
        (path.name, name): [step["run"] for step in job["steps"] if "nstall from the lock" in step["name"]]
        for name, job in load(path)["jobs"].items()
        if "steps" in job
    }


def test_everything_is_installed_by_hash() -> None:
    found = {name: steps for path in (CALLER, GATE, REBASELINE) for name, steps in install_steps(path).items()}
    gate, report = ".ci/install requirements-gate.lock", ".ci/install requirements-report.lock"
    assert found == {
        ("deploy-grammar-tutor.yml", "request"): [report],
        ("promote.yml", "evaluate"): [gate],
        ("promote.yml", "count"): [gate],
        ("promote.yml", "announce"): [report],
        ("promote.yml", "promote"): [gate],
        ("promote.yml", "report"): [report],
        ("perf-rebaseline.yml", "evaluate"): [gate],
        ("perf-rebaseline.yml", "propose"): [report],
    }
    script = (ROOT / ".ci/install").read_text()
    lines = [line for line in script.splitlines() if " pip " in line]
    assert len(lines) == 3
    for line in lines:
        assert "--require-hashes" in line or "--no-deps --no-build-isolation --editable ." in line
    text = CALLER.read_text() + GATE.read_text()
    assert "pip install" not in text
    assert "cache: " not in text  # setup-python's, of packages
    assert re.fullmatch(r"(#.*\n|uv==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+\n?)+", (ROOT / ".ci/uv.txt").read_text())


def test_every_checked_file_exists() -> None:
    """Workflows, action, what `lynxgate init` writes, and the examples but the Jenkinsfile, which is no YAML."""
    assert len(SHIPPED) == 3 + 1 + 2 + 2


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_no_job_restores_a_cache(path: Path) -> None:
    """An archive may write any path, and the install is editable: not by an action, and not by setup-python either."""
    text = path.read_text()
    assert not re.search(r"uses: *[\"']?[\w.-]+/[\w./-]*cache", text)
    assert not re.search(r"^ *[\"']?(enable-)?cache[\w-]*[\"']?:", text, re.M)
    assert "--cache" not in text


@pytest.mark.parametrize("path", [*WORKFLOWS.glob("*.yml"), ROOT / "action.yml"], ids=lambda path: path.name)
def test_artifacts_are_unpacked_outside_the_checkout(path: Path) -> None:
    downloads = [step for step in all_steps(path) if "actions/download-artifact@" in step.get("uses", "")]
    assert len(downloads) == UNPACKED[path.name]
    for step in downloads:
        assert re.fullmatch(r"\$\{\{ runner\.temp \}\}/lynxgate/[a-z]+", step["with"]["path"]), step["name"]
    places = [step["with"]["path"] for step in downloads]
    for step in all_steps(path):
        # A copied tree would bring what the archive holds; only named files are copied, and none into the checkout.
        assert not re.search(r"\bcp +-|\b(rsync|mv|ln|tar|unzip)\b", step.get("run", "")), step["name"]
    if places:
        assert path.read_text().count("$RUNNER_TEMP/lynxgate/evaluation") >= 2


def test_every_file_of_an_artifact_is_read_by_its_full_path() -> None:
    """In the jobs that download one; `ended` and `candidate` are what the job itself made."""
    for name in ("count", "announce", "promote", "report"):
        for step in jobs()[name]["steps"]:
            for option in re.findall(r"--(?:evaluation|verdict|receipt|said|counted) +(\S+)", step.get("run", "")):
                assert re.fullmatch(r'"\$RUNNER_TEMP/lynxgate/[\w/.]+"', option), (name, option)


def test_nothing_untrusted_is_inserted_into_a_shell() -> None:
    for job in jobs().values():
        for step in job["steps"]:
            assert not UNTRUSTED.search(step.get("run", "")), step["name"]


def test_no_pipe_hides_an_exit_code() -> None:
    for job in jobs().values():
        for step in job["steps"]:
            assert not re.search(r"(?<!\|)\|(?!\|)", step.get("run", "").replace("(failure|cancelled)", "")), step[
                "name"
            ]


def test_reviewers_see_the_verdict_before_they_are_asked() -> None:
    """In the summary of the job that evaluates, and in the comment: the promoting job, which asks, waits for both."""
    found = jobs()
    (summary,) = [step for step in found["evaluate"]["steps"] if step["name"] == "Summary"]
    assert '>> "$GITHUB_STEP_SUMMARY"' in summary["run"]
    (comment,) = [step for step in found["announce"]["steps"] if step["name"] == "Comment"]
    assert "--awaiting-approval" in comment["run"]
    for step in (summary, comment):
        for option in ("--run-id", "--semver", "--head-sha"):
            assert option in step["run"]
    assert "announce" in found["promote"]["needs"]
    assert "needs.announce" not in json.dumps(found["promote"]), "a comment that fails does not stop the promotion"
    text = json.dumps(found["announce"])
    for word in ("environment", "secrets.", "vars.", "id-token", "MLFLOW", "minieval"):
        assert word not in text, word
    order = [step["name"] for step in found["announce"]["steps"]]
    assert order.index("Verify the hash of the verdict") < order.index("Comment")


def test_the_head_is_checked_again() -> None:
    (again,) = [step for step in jobs()["promote"]["steps"] if "lynxgate ci request" in step.get("run", "")]
    for flag in ("--no-comment", "--expect-run-id", "--expect-semver", "--expect-head-sha"):
        assert flag in again["run"]


def test_the_trust_policy_names_the_called_workflow() -> None:
    page = (ROOT / "docs/github.md").read_text()
    found = re.search(r"^<!-- policy=trust-policy -->\n```json\n(.*?)^```$", page, re.M | re.S)
    assert found
    (statement,) = json.loads(found[1])["Statement"]
    bound = statement["Condition"]["StringEquals"]
    assert list(statement["Condition"]) == ["StringEquals"], "no wildcards"
    subject = bound["token.actions.githubusercontent.com:sub"]
    assert subject == (
        "repo:OWNER/REPOSITORY:environment:production:job_workflow_ref:"
        "OWNER/REPOSITORY/.github/workflows/promote.yml@refs/heads/main"
    )
    assert f"environment:{jobs()['promote']['environment']}:" in subject
    assert CALLED.partition("/.github/")[2].partition("@")[0] in subject


def test_every_secret_and_variable_is_documented() -> None:
    text = CALLER.read_text() + GATE.read_text() + REBASELINE.read_text()
    page = (ROOT / "docs/github.md").read_text()
    names = set(re.findall(r"\b(?:secrets|vars)\.(\w+)", text))
    assert len(names) > 4
    for name in names:
        assert f"`{name}`" in page


@pytest.mark.parametrize(
    ("given", "options"),
    [("", []), ("a", ["--accept-regression=a"]), ("a b,$(x),-c", ["a b", "$(x)", "-c"])],
)
def test_the_accepted_regressions_are_single_options(given: str, options: list[str], tmp_path: Path) -> None:
    """The names come from a form, with spaces or signs; the script passes each as one option and runs none."""
    (step,) = [each for each in all_steps(WORKFLOWS / "perf-rebaseline.yml") if each["name"] == "Propose"]
    stub = tmp_path / "lynxgate"
    stub.write_text("#!/usr/bin/env bash\nprintf '%s\\n' \"$@\"\n")
    stub.chmod(0o755)
    names = ("BASE", "BASE_SHA", "SEMVER", "RUNNER_TEMP")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "ACCEPT": given, **dict.fromkeys(names, "x")}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    expected = [f"--accept-regression={each.removeprefix('--accept-regression=')}" for each in options]
    assert [line for line in done.stdout.splitlines() if line.startswith("--accept")] == expected
