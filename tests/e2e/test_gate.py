"""`lynxgate gate` from end to end on small real parts: an MLflow server, a DVC repository, a registry directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from lynxgate.cli.app import run
from lynxgate.promotion.authorization import CI_VARIABLES
from minieval.contract.digests import digest_bytes
from minieval.task.document import read_task
from tests.dvc_repository import DvcRepository, copy_dvc_repository
from tests.e2e.conftest import ROOT, environment
from tests.minieval.candidates import model, write_bundle
from tests.package_index import find_index
from tests.servers import MlflowServer, client_of, log_bundle, once

ROWS = 40
LOCK = f"pydantic=={metadata.version('pydantic')} \\\n    --hash=sha256:{'0' * 64}\n"


@dataclass(frozen=True)
class Scene:
    """A checkout at ``root`` with an eval set of two buckets, and two runs: one that is right, one that fell in one."""

    root: Path
    url: str
    clean: str
    degraded: str

    def gate(self, run_id: str, semver: str = "v0.1.0", *options: str) -> int:
        return run(["gate", "--run-id", run_id, "--semver", semver, "--tracking-uri", self.url, *options])

    def change_baseline(self, **changes: Any) -> None:
        path = self.root / "eval_baseline.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def registry(self) -> dict[str, bytes]:
        folder = self.root / ".lynxgate/registry"
        return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    def tags(self, run_id: str) -> dict[str, str]:
        return {
            name: value
            for name, value in client_of(self.url).get_run(run_id).data.tags.items()
            if name.startswith("lynxgate.")
        }


@pytest.fixture
def scene(
    shared_root: Path,
    tmp_path: Path,
    mlflow_server: MlflowServer,
    logged_model: tuple[str, str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    made = once(shared_root, "gate-repository", lambda: str(make_repository(shared_root / "gate-repository")))
    root = copy_dvc_repository(Path(made), tmp_path / "checkout").root
    worse = shutil.copytree(logged_model[2], tmp_path / "worse")
    next(worse.rglob("model.json")).write_text(json.dumps({"suffix": "?"}))
    for name in (*CI_VARIABLES, "LYNXGATE_REGISTRY", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LYNX_ENV", "dev")
    monkeypatch.chdir(root)
    return Scene(
        root, mlflow_server.url, log_bundle(mlflow_server.url, logged_model[2]), log_bundle(mlflow_server.url, worse)
    )


def make_repository(root: Path) -> Path:
    """The rows, versioned and pushed by the real dvc, then forgotten; the baseline; a lock of one package."""
    root.mkdir(parents=True)
    repository = DvcRepository(root)
    repository.run("init", "--no-scm", "-q")
    repository.run("remote", "add", "-q", "-d", "store", "remote")
    repository.file.write_text("".join(f"{json.dumps(row(number))}\n" for number in range(ROWS)))
    repository.run("add", "-q", "rows.jsonl")
    repository.run("push", "-q")
    figures = {"n": ROWS // 2, "correct": ROWS // 2, "accuracy": 1.0}
    baseline = {
        "schema": "lynxgate.baseline/1",
        "status": "active",
        "eval_set": "rows.jsonl",
        "eval_set_dvc_hash": md5_of(root / "rows.jsonl.dvc"),
        "eval_set_sha256": digest_bytes(repository.file.read_bytes()),
        "source": {"canonical_sha": "0" * 64, "semver": "v0.0.1"},
        "policy": {"rule": "point", "tolerance_pp": 2.0},
        "aggregate": {"n": ROWS, "correct": ROWS, "accuracy": 1.0},
        "buckets": {"tense.past": figures, "tense.present": figures},
    }
    (root / "eval_baseline.json").write_text(json.dumps(baseline))
    (root / "requirements.lock").write_text(LOCK)
    repository.forget()
    return root


def row(number: int) -> dict[str, Any]:
    """In the present both models are right; in the past only the one that shouts."""
    prompt = f"walk {number}"
    shout, ask = f"{prompt.upper()}!", f"{prompt.upper()}?"
    past = number % 2 == 0
    return {
        "id": f"row{number}",
        "prompt": prompt,
        "expected": shout,
        "accepted": [shout] if past else [shout, ask],
        "buckets": ["tense.past" if past else "tense.present"],
    }


def md5_of(dvc_file: Path) -> str:
    return next(line.split(": ")[1] for line in dvc_file.read_text().splitlines() if "md5: " in line)


@pytest.mark.slow
def test_it_promotes_once_and_refuses_the_other_without_a_trace(
    scene: Scene, logged_model: tuple[str, str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    sha = logged_model[1]
    assert scene.gate(scene.clean) == 0
    printed = capfd.readouterr()
    assert printed.out == f"promoted v0.1.0 {sha}\n"
    assert "warning: LYNX_ENV=dev writes to a dev registry; use CI to promote to production" in printed.err
    assert [line[:5] for line in printed.err.splitlines() if line.startswith("[")] == [f"[{n}/6]" for n in range(1, 7)]
    assert scene.tags(scene.clean) == {"lynxgate.semver.v0.1.0": sha}
    assert json.loads((scene.root / ".lynxgate/registry/tags.json").read_text())["production"] == "v0.1.0"
    before = scene.registry()

    assert scene.gate(scene.clean) == 0
    assert capfd.readouterr().out == f"already promoted v0.1.0 {sha}\n"
    assert scene.registry() == before

    options = ("--bundle", "worse", "--evaluation", "worse.json", "--verdict", "worse-verdict.json")
    assert scene.gate(scene.degraded, "v0.1.1", *options) == 2
    printed = capfd.readouterr()
    table = printed.out.splitlines()
    assert len(table) == 3
    assert table[2] == "| `tense.past` | 20 | 100.00 % | 0.00 % | -100.00 pp | 2.0 pp | regressed |"
    assert "[6/6] promotion: none; registry and MLflow are unchanged" in printed.err
    assert scene.registry() == before
    assert scene.tags(scene.degraded) == {}


@pytest.mark.slow
def test_a_report_only_baseline_says_what_would_fail_and_promotes_nothing(
    scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    scene.change_baseline(status="report-only")
    assert scene.gate(scene.degraded) == 0
    said = capfd.readouterr().out
    assert said.startswith("would fail: tense.past regressed: -100.00 pp")
    assert "| `tense.past` |" in said
    assert not (scene.root / ".lynxgate/registry").exists()
    assert scene.tags(scene.degraded) == {}


@pytest.mark.slow
@pytest.mark.heavy
def test_what_minieval_measured_is_guarded_from_the_baseline_to_the_promotion(
    scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    def guard(**limits: float) -> dict[str, Any]:
        return {"rule": "point", "metrics": {"bundle_bytes": limits}}

    metrics = {"bundle_bytes": {"unit": "bytes", "direction": "lower", "machine": True}}
    scene.change_baseline(status="report-only", metrics=metrics, policy=guard(max_pct=10))
    assert scene.gate(scene.clean) == 0
    assert "would fail: bundle_bytes unmeasured: the baseline has a placeholder" in capfd.readouterr().out
    assert run(["baseline", "rebaseline"]) == 0
    assert run(["baseline", "arm"]) == 0
    agreed = json.loads((scene.root / "eval_baseline.json").read_text())
    assert agreed["metrics"]["bundle_bytes"]["value"] > 0 and agreed["environment"]["fingerprint"]
    assert scene.gate(scene.clean) == 0
    assert "1 of 1 metric held" in capfd.readouterr().err

    before = scene.registry()
    scene.change_baseline(policy=guard(max=1))
    assert scene.gate(scene.clean, "v0.1.1") == 2
    assert "bundle_bytes regressed" in capfd.readouterr().err
    scene.change_baseline(policy=guard(max_pct=10), environment={"fingerprint": "another"})
    assert scene.gate(scene.clean, "v0.1.1") == 3
    assert "bundle_bytes unmeasured: it depends on the machine" in capfd.readouterr().err
    assert scene.registry() == before


def test_a_stale_eval_set_stops_it_before_anything_is_fetched(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    scene.change_baseline(eval_set_dvc_hash="0" * 32)
    assert scene.gate(scene.clean) == 4
    assert "0" * 32 in capfd.readouterr().err
    assert not (scene.root / "candidate").exists()
    assert not (scene.root / ".lynxgate/cache").exists()


def test_tampered_rows_stop_it(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    stored = next(path for path in (scene.root / "remote").rglob("*") if path.is_file())
    stored.chmod(0o644)
    stored.write_text(stored.read_text().replace("!", "?"))
    assert scene.gate(scene.clean) == 5  # DVC does not tell altered bytes from missing ones
    assert "rows.jsonl" in capfd.readouterr().err
    assert not (scene.root / "candidate").exists()


def test_another_version_than_the_lock_names_stops_it(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    (scene.root / "requirements.lock").write_text("pydantic==0.1\n")
    assert scene.gate(scene.clean) == 4
    assert "pydantic is " in capfd.readouterr().err
    assert not (scene.root / "candidate").exists()


def test_an_unknown_run_cannot_be_judged(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    verdict = scene.root / "verdict.json"
    verdict.write_text("of an earlier gate that passed")
    assert scene.gate("f" * 32) == 3
    assert "f" * 32 in capfd.readouterr().err
    assert not verdict.exists()
    # Not even where the command line is wrong.
    verdict.write_text("of an earlier gate that passed")
    assert scene.gate("not a run id") == 64
    assert not verdict.exists()


def test_the_files_that_it_writes_again_keep_their_mode(scene: Scene) -> None:
    written = [scene.root / name for name in ("verdict.json", "candidate_eval.json")]
    for path in written:
        path.write_text("of an earlier gate")
        path.chmod(0o640)
    assert scene.gate(scene.clean) == 0
    assert [path.stat().st_mode & 0o777 for path in written] == [0o640] * 2


def test_production_goes_through_ci(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LYNX_ENV")
    assert scene.gate(scene.clean) == 6
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "production go through CI" in printed.err
    assert not (scene.root / "candidate").exists()


def just(scene: Scene, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which("just", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, "just is not installed; `just setup` installs it into .venv"
    command = [found, "--justfile", str(ROOT / "Justfile"), "--working-directory", str(scene.root), *arguments]
    inherited = environment(PYTHONPATH=str(ROOT), **variables)
    return subprocess.run(command, env=inherited, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@pytest.mark.heavy
def test_why_the_candidate_is_not_fetched_by_mlflows_own_command(scene: Scene, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "mlflow", "artifacts", "download", "--run-id", scene.clean]
    told = environment(MLFLOW_TRACKING_URI=scene.url)
    subprocess.run([*command, "--dst-path", str(tmp_path / "own")], env=told, capture_output=True, check=True)
    assert not list((tmp_path / "own").rglob("MLmodel"))  # exit 0, and the model is not there

    assert run(["fetch", "--run-id", scene.clean, "--dest", "ours", "--tracking-uri", scene.url]) == 0
    assert (scene.root / "ours" / "MLmodel").is_file()


@pytest.mark.slow
def test_the_recipes_are_the_gate_and_the_comparison(scene: Scene, logged_model: tuple[str, str, Path]) -> None:
    done = just(scene, "register-model", scene.clean, "v0.1.0", LYNX_ENV="dev", MLFLOW_TRACKING_URI=scene.url)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"promoted v0.1.0 {logged_model[1]}\n"
    assert "warning: LYNX_ENV=dev" in done.stderr
    refused = just(scene, "register-model", scene.clean, "v0.1.1", MLFLOW_TRACKING_URI=scene.url)
    assert (refused.returncode, refused.stdout) == (6, "")

    done = just(scene, "compare-baseline", "candidate_eval.json")
    assert done.returncode == 0
    assert done.stdout.startswith("passed: 2 of 2 buckets held")
    evaluation = json.loads((scene.root / "candidate_eval.json").read_text())
    worse = evaluation["buckets"]["tense.past"]
    evaluation["buckets"]["tense.past"] = {"n": worse["n"], "correct": 0}
    # The aggregate falls with its bucket: an evaluation that contradicts itself is not judged.
    aggregate = evaluation["aggregate"]
    evaluation["aggregate"] = {"n": aggregate["n"], "correct": aggregate["correct"] - worse["correct"]}
    (scene.root / "worse.json").write_text(json.dumps(evaluation))
    done = just(scene, "compare-baseline", "worse.json")
    assert done.returncode == 2
    assert "| `tense.past` | 20 | 100.00 % | 0.00 % |" in done.stdout


JUDGE = """
import json, os
import pyarrow as pa
from pyarrow import parquet

suffix = json.load(open(next(os.path.join(folder, name) for folder, _, names in os.walk(os.environ["MINIEVAL_BUNDLE"])
                             for name in names if name == "model.json")))["suffix"]
rows = [json.loads(line) for line in open(os.environ["MINIEVAL_EVAL_SET"])]
answers = [row["prompt"].upper() + suffix for row in rows]
scores = [int(answer in row["accepted"]) for answer, row in zip(answers, rows)]
table = {"id": [row["id"] for row in rows], "score": scores, "answer": list(map(json.dumps, answers))}
parquet.write_table(pa.table(table), os.environ["MINIEVAL_ROWS"])
"""


@pytest.mark.slow
def test_an_evaluator_of_the_repository_is_gated_and_needs_the_policys_leave(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (scene.root / "judge.py").write_text(JUDGE)
    task = scene.root / "rows.toml"
    task.write_text(
        'schema = "minieval.task/1"\nid = "id"\naccepted = "accepted"\n[buckets]\nlists = ["buckets"]\n'
        '[evaluator]\ncommand = ["python", "judge.py"]\n'
    )
    policy = {"rule": "point", "tolerance_pp": 2.0}
    scene.change_baseline(task={"path": "rows.toml", "sha256": read_task(task).sha256}, policy=policy)
    monkeypatch.delenv("LYNX_ENV")
    for name, value in {"GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_ACTOR": "ann"}.items():
        monkeypatch.setenv(name, value)
    assert run(["registry", "init", "--environment", "production"]) == 0
    empty = scene.registry()

    assert scene.gate(scene.clean, "v0.1.0", "--isolation", "bwrap") == 3
    assert "runs without a sandbox" in capfd.readouterr().err
    assert scene.gate(scene.clean) == 6
    assert "made under isolation 'external'" in capfd.readouterr().err
    assert scene.registry() == empty

    scene.change_baseline(policy=policy | {"min_isolation": "external"})
    assert scene.gate(scene.degraded, "v0.1.0", "--rows", "worse.parquet", "--evaluation", "worse.json") == 2
    assert scene.gate(scene.clean, "v0.1.0", "--rows", "clean.parquet", "--with-inputs") == 0
    evaluation = json.loads((scene.root / "candidate_eval.json").read_text())
    assert evaluation["evaluator"]["isolation"] == "external"
    assert evaluation["rows"]["sha256"] == digest_bytes((scene.root / "clean.parquet").read_bytes())
    capfd.readouterr()
    words = ["worse.json", "candidate_eval.json", "--eval-set", "rows.jsonl", "--task", "rows.toml", "--format", "json"]
    assert run(["diff", *words, "--bucket", "tense.past"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["all_rows"] == {"rows": ROWS, "lost": 0, "gained": ROWS // 2}
    assert found["gained"][0]["before"]["answers"] == ["WALK 0?"]
    assert found["gained"][0]["now"]["answers"] == ["WALK 0!"]

    (scene.root / "judge.py").write_text(JUDGE + "# another judge\n")
    assert scene.gate(scene.clean, "v0.1.1") == 4
    assert "check out the agreed task" in capfd.readouterr().err


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_model_is_promoted_in_its_own_environment(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its policy requires the environment that the bundle asks for; the lock is in the evidence."""
    source = "import roman\n" + model("return [f'{prompt.upper()}!' for prompt in frame['prompt']]")
    needs = {"requirements.txt": b"mlflow==3.4.0\nroman==4.2\n"}
    run_id = log_bundle(scene.url, write_bundle(tmp_path / "roman", source, files=needs))
    scene.change_baseline(policy={"rule": "point", "tolerance_pp": 2.0, "require_model_environment": True})
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if (index := find_index()) is not None:
        monkeypatch.setenv("LYNXGATE_PYTHON_INDEX", index)
    assert scene.gate(run_id) == 3
    assert "No module named 'roman' (--python model builds the environment" in capfd.readouterr().err
    assert scene.gate(run_id, "v0.1.0", "--python", "model", "--memory-mb", "10") == 3
    assert "used more than 10 MiB of memory" in capfd.readouterr().err
    assert scene.gate(run_id, "v0.1.0", "--python", "model", "--batch-size", "9", "--memory-mb", "4000") == 0
    assert capfd.readouterr().out.startswith("promoted v0.1.0 ")
    lock = (scene.root / "candidate_eval.model.lock").read_text()
    assert "\nroman==4.2 " in lock
    (evidence,) = (json.loads(data) for path, data in scene.registry().items() if "/evidence/" in path)
    assert evidence["predicate"]["documents"]["model_lock"] == lock
    (condition,) = (
        each for each in evidence["predicate"]["verdict"]["conditions"] if each["name"] == "model environment"
    )
    assert condition["outcome"] == "held"
    assert len(list((tmp_path / "cache" / "lynxgate" / "environments").iterdir())) == 1
    assert run(["registry", "verify", "--tracking-uri", scene.url]) == 0
    # Another model, in the gate's environment: the lock of the one before is not taken for its own.
    assert scene.gate(scene.clean, "v0.2.0") == 0
    assert not (scene.root / "candidate_eval.model.lock").exists()
