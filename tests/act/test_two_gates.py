"""Two models in one repository, each with a gate of its own (`lynxgate init --name`), in one pull request under act."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry
from lynxgate.wiring import open_store
from minieval.contract.bundle import read_manifest
from tests.act.conftest import SEMVER, Parts, Scene, open_scene
from tests.act.repository import GOOD, Repository, eval_rows, make_bundle, write
from tests.act.test_stranger import NAME, PIN, call, publish_action
from tests.servers import client_of, log_bundle

pytestmark = [pytest.mark.slow, pytest.mark.heavy]

MODELS = ("wine", "grape")


def log_both(url: str, bundles: dict[str, Path]) -> str:
    """One run that logged both models, each by its name."""
    run_id = log_bundle(url, bundles["wine"], status=None, name="wine")
    client = client_of(url)
    experiment = client.get_run(run_id).info.experiment_id
    model = client.create_logged_model(experiment, name="grape", source_run_id=run_id)
    client.log_model_artifacts(model.model_id, str(bundles["grape"]))
    client.finalize_logged_model(model.model_id, "READY")
    client.set_terminated(run_id, "FINISHED")
    return run_id


def adopt(root: Path, parts: Parts, run_id: str) -> Repository:
    """A repository with two services: one gate is set up from its folder, the other from the top."""
    data = eval_rows()
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    files = {
        "README.md": "Two services.\n",
        ".gitignore": "__pycache__/\n",
        ".dvc/config": "[core]\n    remote = here\n['remote \"here\"']\n    url = ../remote\n",
        f"remote/files/md5/{md5[:2]}/{md5[2:]}": data.decode(),
    }
    for name in MODELS:
        files |= {
            f"services/{name}/words.jsonl": data.decode(),
            f"services/{name}/words.jsonl.dvc": (
                f"outs:\n- md5: {md5}\n  size: {len(data)}\n  hash: md5\n  path: words.jsonl\n"
            ),
            f"services/{name}/.gitignore": "/words.jsonl\n",
        }
    write(root, files)
    repository = Repository(root, NAME)
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.git("remote", "add", "origin", f"https://github.com/{NAME}")
    call(root / "services/wine", "lynxgate", "init", "--name", "wine", "--eval-set", "words.jsonl", "--action", PIN)
    grape = ("--baseline", "services/grape/eval_baseline.json", "--eval-set", "services/grape/words.jsonl")
    call(root, "lynxgate", "init", "--name", "grape", *grape, "--action", PIN)
    for name in MODELS:
        fetch = ["lynxgate", "fetch", "--run-id", run_id, "--model-name", name, "--tracking-uri", parts.server.url]
        call(root, *fetch)
        minieval = ["python", "-m", "minieval", "--bundle", "candidate", "--output", "candidate_eval.json"]
        call(root, *minieval, "--eval-set", f"services/{name}/words.jsonl", "--run-id", run_id)
        of_baseline = ("--baseline", f"services/{name}/eval_baseline.json")
        call(root, "lynxgate", "baseline", "rebaseline", *of_baseline)
        call(root, "lynxgate", "baseline", "activate", *of_baseline)
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "With two gates")
    repository.git("checkout", "--quiet", "-b", "candidate")
    write(root, {"README.md": "Changed.\n"})
    repository.git("commit", "--quiet", "--all", "--message", "A candidate")
    return repository


@pytest.fixture
def bundles(tmp_path: Path) -> dict[str, Path]:
    """Both models are right everywhere, and their bytes differ."""
    return {name: make_bundle(tmp_path / "bundles" / name, f"{GOOD}\n# {name}\n") for name in MODELS}


@pytest.fixture
def scene(tmp_path: Path, parts: Parts, bundles: dict[str, Path]) -> Iterator[Scene]:
    """One pull request, a run with both models, and a registry for each."""
    run_id = log_both(parts.server.url, bundles)
    for name in MODELS:
        create_registry(open_store(f"{parts.registry}-{name}"), Environment.PRODUCTION, name)
    repository = adopt(tmp_path / "repository", parts, run_id)
    with open_scene(repository, tmp_path / "shed", parts) as opened:
        opened.shed.published[PIN] = publish_action(tmp_path / "published")
        opened.runs["both"] = run_id
        opened.variables |= {f"LYNXGATE_REGISTRY_{name.upper()}": f"{parts.registry}-{name}" for name in MODELS}
        yield opened


def test_two_models_in_one_repository(scene: Scene, bundles: dict[str, Path]) -> None:
    """Each label starts its gate, which takes its request, its model of the run, its registry, comment and check."""
    for minutes, name in enumerate(MODELS):
        scene.ask(f"{scene.request('both')} model={name}", minutes=minutes)
    for minutes, name in enumerate(MODELS):
        scene.workflow = f"lynxgate-{name}.yml"
        ran = scene.label(minutes=10 + minutes, label=f"deploy-candidate-{name}")
        assert ran.code == 0
        assert ran.jobs == dict.fromkeys(("request", "evaluate", "announce", "promote", "report"), "success")

    shas = {name: read_manifest(bundle).canonical_sha for name, bundle in bundles.items()}
    assert len(set(shas.values())) == 2
    for name, comment in zip(MODELS, scene.comments, strict=True):
        assert comment.startswith(f"<!-- lynxgate:gate-{name} -->\n\n### Lynxgate: promoted {SEMVER}")
        assert f"- model: `{name}`" in comment
        assert shas[name] in comment
    names = [made.body["name"] for made in scene.github.calls("POST", "/check-runs")]
    assert names == ["lynxgate-wine", "lynxgate-grape"]
    assert scene.tags("both") == {f"lynxgate.semver.{name}.{SEMVER}": shas[name] for name in MODELS}
    shared = scene.registry
    for name in MODELS:
        scene.registry = f"{shared}-{name}"
        tags = scene.registry_json("tags.json")
        assert (tags["production"], tags["semver"][SEMVER]) == (SEMVER, shas[name])
    scene.registry = shared
    # The registry without a name was left alone; the keys of the others begin with their own prefix.
    assert [key for key in scene.registry_bytes() if key.startswith("/")] == ["/registry.json"]


def test_a_request_for_another_model_does_not_start_a_gate(scene: Scene) -> None:
    """The label of one model with a request for the other: refused, and no candidate is downloaded."""
    scene.ask(f"{scene.request('both')} model=wine")
    scene.workflow = "lynxgate-grape.yml"
    ran = scene.label(label="deploy-candidate-grape")
    assert ran.code != 0
    assert ran.result("request", "Request") == "failure"
    assert ran.ran("evaluate") == []
    (comment,) = scene.comments
    assert comment.startswith("<!-- lynxgate:gate-grape -->\n\n### Lynxgate: no request to act on")
    assert "semver=v0.X.Y model=grape" in comment
