"""The examples for GitLab, Jenkins and CircleCI: taken by their schema or grammar, and the same properties in each.

- The baseline, and all that decides, is the default branch's.
- The report is kept, however the job ends, and no command hides an exit code.
- Only the default branch has the job that promotes, and that job alone has the registry's credentials.
- There is no cache, and what an earlier job kept is unpacked where nothing is run.
"""

from __future__ import annotations

import copy
import json
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ci.jenkinsfile import Refused, Statement, parse_jenkinsfile

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("examples")]  # the Jenkinsfile takes seconds to parse: once
ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples/ci"
GITLAB = EXAMPLES / "gitlab/.gitlab-ci.yml"
CIRCLECI = EXAMPLES / "circleci/config.yml"
JENKINS = EXAMPLES / "jenkins/Jenkinsfile"
Json = dict[str, Any]
SCRIPTS = [(system, job) for system in ("gitlab", "circleci", "jenkins") for job in ("evaluate", "promote")]
SCRIPTS += [("gitlab", "request")]
REPORT = {"verdict.json", "table.md", "candidate_eval.json"}
PROMOTION = [
    "pip install --quiet --require-hashes",
    "lynxgate pull",
    "lynxgate fetch --fresh",
    "--expect-sha",
    "lynxgate promote --canonical-sha",
]
EVALUATION = [
    "pip install --quiet --require-hashes",
    "lynxgate pull",
    "lynxgate check-eval-set",
    "lynxgate fetch",
    "minieval",
    "--isolation bwrap",
    "lynxgate compare",
]


@cache
def gitlab() -> Json:
    found: Json = yaml.safe_load(GITLAB.read_text())
    return found


@cache
def circleci() -> Json:
    found: Json = yaml.safe_load(CIRCLECI.read_text())
    return found


@cache
def jenkins() -> Statement:
    return parse_jenkinsfile(JENKINS.read_text())


def stage(name: str) -> Statement:
    """A stage of the Jenkinsfile."""
    return next(each for each in jenkins().one("stages").body if each.words[1] == name)


def steps(job: str) -> list[Json]:
    """The steps of a CircleCI job, with those of the commands that it calls."""
    found: list[Json] = []
    for step in circleci()["jobs"][job]["steps"]:
        found += circleci()["commands"][step]["steps"] if step == "prepare" else [step]
    return [{step: {}} if isinstance(step, str) else step for step in found]


@cache
def scripts() -> dict[tuple[str, str], str]:
    """What the shell is given, by system and job, as one text."""
    made = {}
    for job in ("evaluate", "promote"):
        found = gitlab()[job]
        made["gitlab", job] = "\n".join([*gitlab()[found["extends"]]["before_script"], *found["script"]])
        made["circleci", job] = "\n".join(step["run"]["command"] for step in steps(job) if "run" in step)
        made["jenkins", job] = "\n".join(each.words[-1] for each in stage(job).walk() if each.name == "sh")
    made["gitlab", "request"] = "\n".join(gitlab()["request"]["script"])
    assert set(made) == set(SCRIPTS)
    return made


@cache
def options(*command: str) -> set[str]:
    """The options that a command's help names."""
    program = str(Path(sys.executable).with_name(command[0]))
    done = subprocess.run([program, *command[1:], "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"^ +(--[a-z-]+)", done.stdout, re.MULTILINE))


def check_schema(document: Json, schema: str, folder: Path) -> int:
    """The exit code of check-jsonschema with the schema that it brings."""
    (folder / "document.json").write_text(json.dumps(document))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    return subprocess.run([*command, str(folder / "document.json")], capture_output=True, check=False).returncode


def test_gitlab_and_circleci_are_valid_and_broken_ones_are_not(tmp_path: Path) -> None:
    assert check_schema(gitlab(), "gitlab-ci", tmp_path) == 0
    assert check_schema(circleci(), "circle-ci", tmp_path) == 0
    broken = copy.deepcopy(gitlab())
    broken["evaluate"]["artifacts"]["when"] = "sometimes"
    assert check_schema(broken, "gitlab-ci", tmp_path) == 1
    broken = copy.deepcopy(circleci())
    broken["jobs"]["evaluate"]["steps"][-2]["store_artifacts"]["when"] = "sometimes"
    assert check_schema(broken, "circle-ci", tmp_path) == 1


def test_the_jenkinsfile_is_a_declarative_pipeline() -> None:
    assert [each.words[1] for each in jenkins().one("stages").body] == ["evaluate", "promote"]


SMALL = "pipeline {\n agent none\n stages {\n stage('x') {\n steps {\n sh 'true'\n }\n }\n }\n}\n"


def test_a_small_jenkinsfile_is_accepted() -> None:
    assert parse_jenkinsfile(SMALL).one("stages").one("stage").one("steps").one("sh").words == ("sh", "true")


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [
        ("'true'\n", "'true\n", "no Groovy"),
        ("agent none", "agent = = none", "no Groovy"),
        ("agent none", "", "no 'agent'"),
        ("pipeline {", "pipelin {", "one `pipeline` block"),
        ("agent none", "agent none\n stges { a() }", "'stges' is unknown here"),
        ("steps {", "stps {", "'stps' is unknown here"),
        ("sh 'true'", "", "not empty"),
        ("steps {", "when { brunch 'main' }\n steps {", "no condition 'brunch'"),
        ("steps {", "post { allways { a() } }\n steps {", "'allways' is unknown here"),
    ],
)
@pytest.mark.heavy
def test_a_broken_jenkinsfile_is_refused(good: str, bad: str, reason: str) -> None:
    assert SMALL.count(good) == 1
    with pytest.raises(Refused, match=reason):
        parse_jenkinsfile(SMALL.replace(good, bad))


@pytest.mark.parametrize("key", SCRIPTS, ids=" ".join)
def test_shellcheck_finds_nothing_in_the_scripts(key: tuple[str, str]) -> None:
    command = ["shellcheck", "--shell", "bash", "--enable", "check-set-e-suppressed", "-"]
    done = subprocess.run(command, input=scripts()[key], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("key", SCRIPTS, ids=" ".join)
def test_every_option_exists(key: tuple[str, str]) -> None:
    """The commands of ours in a script are called with options that their help names."""
    called = 0
    for line in scripts()[key].replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        names = [Path(word).name for word in words[:2]]
        if names[:1] not in (["lynxgate"], ["minieval"]):
            continue
        known = options(*(names if names[0] == "lynxgate" else names[:1]))
        assert {word for word in words if word.startswith("--")} <= known, line
        called += 1
    assert called == {"request": 0, "evaluate": 5, "promote": 3}[key[1]]


@pytest.mark.parametrize("key", SCRIPTS, ids=" ".join)
def test_no_command_hides_an_exit_code(key: tuple[str, str]) -> None:
    """No pipe, no `|| true`; what is caught is the comparison's exit code, and the job ends with it."""
    text = scripts()[key]
    assert not re.search(r"(?<!\|)\|(?!\|)", re.sub(r"'[^']*'", "", text))
    assert not re.search(r"\|\| *(true|:)|set \+e|continue|allow_failure|catchError|&& *$|; *true", text)
    lines = [line.strip() for line in text.splitlines()]
    caught = [number for number, line in enumerate(lines) if "code=$?" in line]
    assert len(caught) == (1 if key[1] == "evaluate" else 0)
    for number in caught:
        assert lines[number - 1 if key[0] == "gitlab" else number - 2] == "code=0"
        assert lines[number + 2] == 'exit "$code"'


def test_the_shell_ends_at_the_first_failure() -> None:
    """GitLab's runner sets errexit and pipefail by itself."""
    assert circleci()["executors"]["vm"]["shell"] == "/bin/bash -euo pipefail"
    assert {job["executor"] for job in circleci()["jobs"].values()} == {"vm"}
    shells = [each for each in jenkins().walk() if each.name == "sh"]
    assert len(shells) == 3
    for shell in shells:
        assert shell.words[-1].split("\n")[0] == "#!/usr/bin/env bash"
        assert shell.words[-1].split("\n")[1].strip() == "set -euo pipefail"


@pytest.mark.parametrize("system", ["gitlab", "circleci", "jenkins"])
def test_the_stages_have_their_order_in_both_jobs(system: str) -> None:
    """The promoting job downloads afresh, decides again, and loads no candidate."""
    for job, expected in (("evaluate", EVALUATION), ("promote", PROMOTION)):
        text = scripts()[system, job]
        assert sorted(expected, key=text.index) == expected
    assert "minieval" not in scripts()[system, "promote"]
    assert "--baseline eval_baseline.json" in scripts()[system, "evaluate"]
    assert "--baseline eval_baseline.json" in scripts()[system, "promote"]


def test_policy_and_code_come_from_the_default_branch() -> None:
    for job in ("evaluate", "promote"):
        before = scripts()["gitlab", job].splitlines()
        assert before[:4] == [
            'gate="$(mktemp --directory)"',
            "trap 'rm -rf \"$gate\"' EXIT",
            'cd "$gate" || exit',
            'git clone --quiet --depth 1 --branch "$CI_DEFAULT_BRANCH" "$CI_REPOSITORY_URL" .',
        ]
        names = [next(iter(step)) for step in steps(job)]
        assert names[:3] == ["run", "checkout", "run"]
        assert steps(job)[2]["run"]["command"].splitlines()[:2] == [
            'git fetch --quiet origin "$BASE"',
            "git checkout --quiet --detach FETCH_HEAD",
        ]
        done = stage(job).one("steps").body
        assert done[0].words == ("deleteDir",)
        assert done[1].words == ("git", "url", "env", "REPOSITORY", "branch", "main", "credentialsId", "git-reader")
    assert circleci()["executors"]["vm"]["environment"]["BASE"] == "main"
    assert jenkins().one("options").one("skipDefaultCheckout")
    assert not [each for each in jenkins().walk() if each.name == "checkout"]


def test_the_report_is_kept_after_a_failure_too() -> None:
    for job, files in (("evaluate", REPORT), ("promote", {"receipt"})):
        kept = gitlab()[job]["artifacts"]
        assert kept["when"] == "always"
        assert files <= set(kept["paths"])
        (stored,) = [step["store_artifacts"] for step in steps(job) if "store_artifacts" in step]
        assert stored["when"] == "always"
        archived = stage(job).one("post").one("always").one("archiveArtifacts")
        assert archived.words == ("archiveArtifacts", "artifacts", f"{stored['path']}/", "allowEmptyArchive", "true")
        for file in files:
            assert f"{stored['path']}/{file}" in scripts()["circleci", job]
            assert f"{stored['path']}/{file}" in scripts()["jenkins", job]


def test_only_the_default_branch_promotes() -> None:
    (rule,) = gitlab()["promote"]["rules"]
    assert '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $CI_COMMIT_REF_PROTECTED == "true"' in rule["if"]
    (workflow,) = circleci()["workflows"].values()
    evaluate, promote = (next(iter(job.values())) for job in workflow["jobs"])
    assert promote["filters"] == {"branches": {"only": "main"}}
    assert promote["requires"] == ["evaluate"]
    assert workflow["when"] == "<< pipeline.parameters.lynx-run-id >>"
    when = stage("promote").one("when").one("allOf")
    assert when.one("branch").words == ("branch", "main")
    assert {each.name for each in when.body} == {"expression", "branch"}
    assert evaluate["context"] == ["lynxgate-read"]
    assert promote["context"] == ["lynxgate-production"]


def test_only_the_promoting_job_has_the_registrys_credentials() -> None:
    """GitLab's come with the environment, CircleCI's with the context; Jenkins' are named, around that job's steps."""
    assert [name for name, job in gitlab().items() if "environment" in job] == ["promote"]
    assert "LYNXGATE_REGISTRY" not in json.dumps(gitlab()) + json.dumps(circleci())
    assert "AWS_" not in stage("evaluate").text
    assert "credentialsId mlflow-writer" in stage("promote").text
    assert "credentialsId lynxgate-registry" in stage("promote").text
    assert "credentialsId mlflow-reader" in stage("evaluate").text
    evaluation = [each for each in stage("evaluate").one("steps").all("sh") if "minieval" in each.text]
    assert len(evaluation) == 1, "candidate code runs outside `withCredentials`"


def test_a_promotion_runs_alone_and_is_not_cancelled() -> None:
    assert gitlab()["promote"]["resource_group"] == "lynxgate-promotion"
    assert gitlab()["promote"]["interruptible"] is False
    assert circleci()["workflows"]["candidate"]["jobs"][1]["promote"]["serial-group"] == "lynxgate-promotion"
    assert jenkins().one("options").one("disableConcurrentBuilds").words == ("disableConcurrentBuilds",)


def test_there_is_no_cache() -> None:
    assert "cache" not in json.dumps(gitlab())
    assert "cache" not in json.dumps(circleci())
    assert "cache" not in jenkins().text
    for job in ("evaluate", "promote"):
        for system in ("gitlab", "circleci", "jenkins"):
            assert "lynxgate fetch --fresh" in scripts()[system, job]


def test_artifacts_are_unpacked_where_nothing_is_run() -> None:
    """GitLab unpacks into the project's folder: there the code that runs is elsewhere, and files are named in full."""
    assert gitlab()["promote"]["extends"] == gitlab()["evaluate"]["extends"] == ".as-on-the-default-branch"
    assert not re.search(r'(?<!> )(?<!cat )(?<!--evaluation )"\$CI_PROJECT_DIR', scripts()["gitlab", "promote"])
    (attached,) = [step["attach_workspace"]["at"] for step in steps("promote") if "attach_workspace" in step]
    assert attached == "/tmp/lynxgate-evaluation"
    assert not [step for step in steps("evaluate") if "attach_workspace" in step]
    outside = stage("promote").one("steps").one("dir")
    assert outside.words == ("dir", "env", "WORKSPACE_TMP", "/evaluation")
    assert [each.words for each in outside.body] == [("deleteDir",), ("unstash", "report")]
    assert [each.name for each in jenkins().walk()].count("unstash") == 1
    places = {
        "gitlab": "$CI_PROJECT_DIR",
        "circleci": f"{attached}/report",
        "jenkins": "$WORKSPACE_TMP/evaluation/report",
    }
    for system, place in places.items():
        text = scripts()[system, "promote"]
        for name in ("candidate.sha", "candidate_eval.json"):
            assert text.count(name) == text.count(f"{place}/{name}") > 0, (system, name)


def test_values_are_data() -> None:
    """A parameter reaches a shell as a variable in quotes, never as a part of its text."""
    for (system, job), text in scripts().items():
        assert "<<" not in text.replace("<<<", ""), (system, job)
        assert not re.search(r"\$\{?(LYNX_)?(RUN_ID|SEMVER)\b(?![^\n\"]*\")", text), (system, job)
    text = JENKINS.read_text()
    assert text.count("sh '''") == len(re.findall(r"^ *sh\b", text, re.MULTILINE)) == 3


@pytest.mark.parametrize("value", ["$(touch owned)", "a" * 31, f"{'ab' * 16}\nx", "--help", ""])
@pytest.mark.parametrize("system", ["circleci", "jenkins"])
def test_a_malformed_request_stops_first(tmp_path: Path, system: str, value: str) -> None:
    """The first lines of the job, run: exit 6 for what is malformed, and past them for what is not."""
    text = scripts()[system, "evaluate"]
    script = text[: text.index("|| exit 6") + len("|| exit 6")]
    names = ("RUN_ID", "SEMVER") if system == "circleci" else ("LYNX_RUN_ID", "LYNX_SEMVER")
    for values, code in (((value, "v0.3.1"), 6), (("ab" * 16, value), 6), (("ab" * 16, "v0.3.1"), 0)):
        environment = {"PATH": "/usr/bin:/bin", **dict(zip(names, values, strict=True))}
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=environment, cwd=tmp_path, check=False)
        assert done.returncode == code
    assert list(tmp_path.iterdir()) == []


def test_the_page_names_the_version_and_its_links_exist() -> None:
    page = (EXAMPLES / "README.md").read_text()
    links = re.findall(r"\]\(([^)#]+)", page) + re.findall(r"`(tests/[\w/.]+)`", page)
    for link in links:
        assert ((ROOT if link.startswith("tests/") else EXAMPLES) / link).exists(), link
    version = json.loads((ROOT / "tests/npm/package.json").read_text())["dependencies"]["gitlab-ci-local"]
    assert f"`gitlab-ci-local` {version}," in page
