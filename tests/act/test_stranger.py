"""Somebody else's repository: made with `lynxgate init`, its workflow and the reusable action run by act."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from minieval.task.document import read_task
from tests.act.conftest import SEMVER, Parts, Scene, open_scene
from tests.act.repository import ROOT, Repository, eval_rows, write
from tests.minieval.candidates import UPPER, write_bundle
from tests.package_index import find_index
from tests.servers import log_bundle, once

pytestmark = pytest.mark.slow

NAME = "stranger/inflector"
EVAL_SET = "data/words.jsonl"
PIN = "lynxgate/lynxgate@" + "1" * 40
OWNED = 'x\'; touch "$LYNX_SHED/owned"; $(touch $LYNX_SHED/owned) `touch $LYNX_SHED/owned`\n::error::'
CHECKOUT = "Check out the default branch"
HOSTILE = {
    "words.py": "print('changed')\n",
    "eval_baseline.json": "{}\n",
    f"{EVAL_SET}.dvc": "outs:\n- md5: 00000000000000000000000000000000\n  path: words.jsonl\n  hash: md5\n",
    ".dvc/config": "[core]\n    remote = theirs\n['remote \"theirs\"']\n    url = /nowhere\n",
    ".github/workflows/lynxgate-gate.yml": "on: workflow_call\njobs: {}\n",
}


@pytest.fixture
def stranger(tmp_path: Path, shared_root: Path, parts: Parts) -> Iterator[Scene]:
    """A copy of the stranger's repository, and all that is around it."""
    made = once(shared_root, "stranger", lambda: str(adopt(shared_root / "stranger", parts).root))
    repository = Repository(Path(shutil.copytree(made, tmp_path / "repository", symlinks=True)), NAME)
    with open_scene(repository, tmp_path / "shed", parts) as scene:
        scene.shed.published[PIN] = publish_action(tmp_path / "published")
        scene.workflow = "lynxgate.yml"
        yield scene


def adopt(root: Path, parts: Parts) -> Repository:
    """The commands of docs/adopt.md, in a repository that had an eval set under DVC and nothing of a gate."""
    repository = make_repository(root)
    call(root, "lynxgate", "init", "--eval-set", EVAL_SET, "--action", PIN)
    shutil.copy(root / "eval_baseline.json", root / "waiting.json")
    call(root, "lynxgate", "fetch", "--run-id", parts.runs["good"], "--tracking-uri", parts.server.url)
    minieval = ["python", "-m", "minieval", "--bundle", "candidate", "--eval-set", EVAL_SET]
    call(root, *minieval, "--output", "candidate_eval.json", "--run-id", parts.runs["good"])
    call(root, "lynxgate", "baseline", "rebaseline")
    call(root, "lynxgate", "baseline", "arm")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "With a gate")
    repository.git("checkout", "--quiet", "-b", "candidate")
    write(root, HOSTILE)
    repository.git("commit", "--quiet", "--all", "--message", "A candidate")
    return repository


def make_repository(root: Path) -> Repository:
    """What the stranger had before."""
    data = eval_rows()
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    files = {
        "words.py": "print('mine')\n",
        ".gitignore": "__pycache__/",
        ".dvc/config": "[core]\n    remote = here\n['remote \"here\"']\n    url = ../remote\n",
        EVAL_SET: data.decode(),
        f"{EVAL_SET}.dvc": f"outs:\n- md5: {md5}\n  size: {len(data)}\n  hash: md5\n  path: words.jsonl\n",
        "data/.gitignore": "/words.jsonl\n",
        f"remote/files/md5/{md5[:2]}/{md5[2:]}": data.decode(),
    }
    write(root, files)
    repository = Repository(root, NAME)
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.git("remote", "add", "origin", f"https://github.com/{NAME}")
    return repository


def publish_action(folder: Path) -> Path:
    """What a checkout of the action holds."""
    folder.mkdir()
    shutil.copy(ROOT / "action.yml", folder)
    for name in ("requirements-gate.lock", "requirements-report.lock"):
        shutil.copy(ROOT / name, folder)
    for name in ("src", ".ci"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def call(root: Path, *command: str) -> None:
    """A command as somebody types it."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.heavy
def test_a_clean_candidate_is_promoted_and_a_regressed_one_is_not(stranger: Scene) -> None:
    stranger.ask(stranger.request("good"))
    ran = stranger.label()
    assert ran.code == 0
    assert ran.jobs == dict.fromkeys(("request", "evaluate", "announce", "promote", "report"), "success")
    assert [ran.ran(job) for job in ("evaluate", "promote")] == [[CHECKOUT, "Evaluate"], [CHECKOUT, "Promote"]]
    (comment,) = stranger.comments
    assert f"### Lynxgate: promoted {SEMVER}" in comment
    assert stranger.registry_json("tags.json")["production"] == SEMVER
    assert f"lynxgate.semver.{SEMVER}" in stranger.tags()
    kept = json.loads((stranger.shed.artifacts / "lynxgate/decision/manifest.json").read_text())
    assert kept["exit_code"] == 0
    assert (kept["asked"]["semver"], kept["asked"]["head_sha"]) == (SEMVER, stranger.repository.head)
    before = stranger.registry_bytes()

    stranger.ask(stranger.request("degraded", "v0.3.2"), minutes=20)
    ran = stranger.label(minutes=30)
    assert ran.code != 0
    assert ran.result("evaluate", "Evaluate") == "failure"
    assert ran.ran("promote") == []
    assert ran.jobs["report"] == "success"
    (comment,) = stranger.comments
    assert "not promoted: a regression (exit 2)" in comment
    assert "`tense.past_participle`" in comment
    assert "| `tense.past_simple`" not in comment
    assert stranger.registry_bytes() == before
    assert stranger.tags("degraded") == {}
    checks = [call.body["conclusion"] for call in stranger.github.calls("POST", "/check-runs")]
    assert checks == ["success", "failure"]


JUDGE = """
import json, os, sys
import pandas
import pyarrow as pa
from pyarrow import parquet

sys.path.insert(0, os.path.join(os.environ["MINIEVAL_BUNDLE"], "code"))
import candidate

assert not [name for name in os.environ if "TOKEN" in name or "MLFLOW" in name or "AWS" in name]
rows = [json.loads(line) for line in open(os.environ["MINIEVAL_EVAL_SET"])]
frame = pandas.DataFrame([{"prompt": row["prompt"]} for row in rows])
answers = list(candidate._load_pyfunc("").predict(frame))
scores = [int(answer == row["expected"]) for answer, row in zip(answers, rows)]
table = {"id": [row["id"] for row in rows], "score": scores, "answer": list(map(json.dumps, answers))}
print("::error::judged")
parquet.write_table(pa.table(table), os.environ["MINIEVAL_ROWS"])
"""


@pytest.mark.heavy
def test_an_evaluator_of_their_own(stranger: Scene) -> None:
    """Label, comment, check and action work with a command of the task; rows are kept since the policy allows it."""
    root, git = stranger.repository.root, stranger.repository.git
    head = stranger.repository.head
    git("checkout", "--quiet", "main")
    task = root / "data/words.toml"
    (root / "data/judge.py").write_text(JUDGE)
    task.write_text(
        'schema = "minieval.task/1"\nid = "id"\n[buckets]\nlists = ["buckets"]\n'
        '[evaluator]\ncommand = ["python", "judge.py"]\n'
    )
    baseline = json.loads((root / "eval_baseline.json").read_text())
    baseline["task"] = {"path": "data/words.toml", "sha256": read_task(task).sha256}
    baseline["policy"] |= {"min_isolation": "external", "keep_rows": True}
    (root / "eval_baseline.json").write_text(json.dumps(baseline))
    gate = root / ".github/workflows/lynxgate-gate.yml"
    line = "          tracking-uri: ${{ vars.MLFLOW_TRACKING_URI }}\n"
    assert gate.read_text().count(line) == 1
    gate.write_text(gate.read_text().replace(line, f"          isolation: auto\n{line}"))
    git("add", "--all")
    git("commit", "--quiet", "--message", "An evaluator of our own")
    git("checkout", "--quiet", "candidate")
    assert stranger.repository.head == head

    stranger.ask(stranger.request("good"))
    ran = stranger.label()
    assert ran.code == 0
    assert ran.jobs == dict.fromkeys(("request", "evaluate", "announce", "promote", "report"), "success")
    (comment,) = stranger.comments
    assert f"### Lynxgate: promoted {SEMVER}" in comment
    evaluation = json.loads((stranger.shed.artifacts / "lynxgate/candidate_eval.json").read_text())
    assert evaluation["evaluator"]["isolation"] == "external"
    rows = (stranger.shed.artifacts / "lynxgate/candidate_rows.parquet").read_bytes()
    assert evaluation["rows"]["sha256"] == hashlib.sha256(rows).hexdigest()

    stranger.ask(stranger.request("degraded", "v0.3.2"), minutes=20)
    ran = stranger.label(minutes=30)
    assert ran.code != 0
    assert ran.ran("promote") == []
    (comment,) = stranger.comments
    assert "not promoted: a regression (exit 2)" in comment
    checks = [call.body["conclusion"] for call in stranger.github.calls("POST", "/check-runs")]
    assert checks == ["success", "failure"]


@pytest.mark.heavy
def test_the_ten_lines(stranger: Scene) -> None:
    """Verdict, SHA and report are outputs; an exit code says why there are none; and no input is ever a command."""
    good, degraded = stranger.runs["good"], stranger.runs["degraded"]
    promote = {"task": "promote", "run-id": good, "semver": SEMVER, "registry": stranger.registry}
    promote |= {"canonical-sha": "${{ needs.waiting.outputs.sha }}", "evaluation-sha256": "0" * 64}
    jobs = {
        "waiting": {"run-id": good, "baseline": "waiting.json"},
        "regressed": {"run-id": degraded},
        "unjudged": {"run-id": good, "baseline": "no_baseline.json"},
        "registry": {"run-id": good, "registry": "registry"},
        "hostile": dict.fromkeys(("run-id", "tracking-username"), OWNED),
        "baseline": {"run-id": good, "baseline": OWNED},
        "invented": {**promote, **dict.fromkeys(("run-id", "semver", "canonical-sha", "head-sha"), OWNED)},
        "replaced": {**promote, "artifact": "waiting"},
        "report": {
            "task": "report",
            "artifact": "none",
            "evaluation-result": "failure",
            "semver": SEMVER,
            "run-id": good,
        },
    }
    before = stranger.registry_bytes()
    stranger.ask(stranger.request("good"))
    stranger.workflow = "ten.yml"
    path = stranger.repository.root / ".github/workflows/ten.yml"
    made = {name: ten_lines(name, given) for name, given in jobs.items()}
    made["waiting"]["outputs"] = {"sha": "${{ steps.gate.outputs.canonical-sha }}"}
    made["replaced"]["needs"] = "waiting"
    path.write_text(yaml.safe_dump({"on": "pull_request", "jobs": made}))
    assert stranger.label().code == 0

    said = {name: json.loads((stranger.shed.root / f"{name}.json").read_text()) for name in jobs}
    sha = said["waiting"]["canonical-sha"]
    assert len(sha) == 64
    assert_outputs(said["waiting"], "success", verdict="report-only", report="verdict.json", **{"exit-code": "0"})
    assert_outputs(said["regressed"], "failure", verdict="failed", report="verdict.json", **{"exit-code": "2"})
    assert said["regressed"]["canonical-sha"] not in ("", sha)
    codes = {"unjudged": "3", "registry": "64", "hostile": "64", "baseline": "3", "invented": "6", "replaced": "4"}
    for name, code in codes.items():
        assert_outputs(said[name], "failure", verdict="", report="", **{"exit-code": code, "canonical-sha": ""})
    (comment,) = stranger.comments
    assert said["report"]["outcome"] == "success"
    assert "a store or service failed (exit 5), before there was a verdict" in comment
    assert stranger.registry_bytes() == before
    assert not list(stranger.shed.root.rglob("owned"))
    assert not list(stranger.repository.root.rglob("owned"))


@pytest.mark.heavy
def test_a_model_that_needs_a_package_of_its_own(stranger: Scene, tmp_path: Path) -> None:
    """The action builds its environment anew in the evaluating job, and archives the lock with the decision."""
    needs = {"requirements.txt": b"mlflow==3.4.0\nroman==4.2\n"}
    run_id = log_bundle(stranger.server.url, write_bundle(tmp_path / "roman", f"import roman\n{UPPER}", files=needs))
    model = {"run-id": run_id, "baseline": "waiting.json", "python": "model", "python-index": find_index() or ""}
    jobs = {
        "built": {**model, "memory-mb": "4000", "timeout": "900", "batch-size": "7"},
        "gates": {"run-id": run_id, "baseline": "waiting.json"},
        "small": {"run-id": stranger.runs["good"], "baseline": "waiting.json", "memory-mb": "20"},
        "hostile": {**model, **dict.fromkeys(("python", "python-index", "memory-mb", "timeout", "batch-size"), OWNED)},
    }
    stranger.ask(stranger.request("good"))
    stranger.workflow = "model.yml"
    path = stranger.repository.root / ".github/workflows/model.yml"
    made = {name: ten_lines(name, given) for name, given in jobs.items()}
    path.write_text(yaml.safe_dump({"on": "pull_request", "jobs": made}))
    ran = stranger.label()
    assert ran.code == 0
    said = {name: json.loads((stranger.shed.root / f"{name}.json").read_text()) for name in jobs}
    assert_outputs(said["built"], "success", verdict="report-only", **{"exit-code": "0"})
    assert_outputs(said["gates"], "failure", verdict="", **{"exit-code": "3"})
    assert "No module named 'roman' (--python model builds the environment" in ran.log
    assert_outputs(said["small"], "failure", verdict="", **{"exit-code": "3"})
    assert "used more than 20 MiB of memory" in ran.log
    assert_outputs(said["hostile"], "failure", verdict="", **{"exit-code": "64"})
    decision = stranger.shed.artifacts / "built" / "decision"
    lock = (decision / "candidate_eval.model.lock").read_bytes()
    evaluation = json.loads((decision / "candidate_eval.json").read_bytes())
    assert b"\nroman==4.2 " in lock
    assert evaluation["model_environment"]["lock_sha256"] == hashlib.sha256(lock).hexdigest()
    assert (stranger.shed.artifacts / "built" / "candidate_eval.model.lock").read_bytes() == lock
    assert not (stranger.shed.root / "home" / ".cache" / "lynxgate").exists()
    assert not list(stranger.shed.root.rglob("owned"))


def assert_outputs(said: dict[str, str], outcome: str, **expected: str) -> None:
    assert said["outcome"] == outcome
    assert {name: said[name] for name in expected} == expected


def ten_lines(name: str, given: dict[str, str]) -> dict[str, Any]:
    """The job in docs/adopt.md with other inputs, and a step that keeps the action's outputs."""
    page = (ROOT / "docs/adopt.md").read_text()
    text = page.partition("<!-- part=ten-lines -->\n```yaml\n")[2].partition("```")[0]
    assert len(text.splitlines()) == 10
    (job,) = yaml.safe_load(text.replace("lynxgate/lynxgate@COMMIT", PIN)).values()
    checkout, gate = job["steps"]
    checkout["with"]["ref"] = "main"  # of a pull request there would be a merge commit, which is GitHub's to make
    gate |= {"with": {**gate["with"], "artifact": name, **given}, "continue-on-error": True}
    names = ("verdict", "canonical-sha", "report", "exit-code")
    keep = "import json, os; print(json.dumps({k[2:]: v for k, v in os.environ.items() if k.startswith('O_')}))"
    outputs = {f"O_{each}": f"${{{{ steps.gate.outputs.{each} }}}}" for each in names}
    job["steps"].append(
        {
            "run": f'"$LYNX_SHED/tools/python" -c "{keep}" > "$LYNX_SHED/{name}.json"',
            "env": {**outputs, "O_outcome": "${{ steps.gate.outcome }}"},
        }
    )
    return dict(job)
