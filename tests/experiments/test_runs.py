"""The scripts as they are run: train, register a degraded copy, and what the logged models score."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from minieval.contract.bundle import read_manifest
from tests.servers import MlflowServer, client_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("experiment")]

SCRIPTS = Path(__file__).resolve().parents[2] / "experiments" / "38-ci-gate"
# Downloads a run's model and scores it as MLflow loads it: in a process of its own, since models bring their code.
PREDICT = """
import json, sys
import mlflow, pandas
path = mlflow.artifacts.download_artifacts(run_id=sys.argv[1], artifact_path="model", dst_path=sys.argv[2])
model = mlflow.pyfunc.load_model(path)
rows = json.load(open(sys.argv[3]))
frame = pandas.DataFrame({"id": [row["id"] for row in rows], "prompt": [row["prompt"] for row in rows]})
json.dump(model.predict(frame), open(sys.argv[4], "w"))
"""


@dataclass(frozen=True)
class Workshop:
    """A directory with a tracking database of its own."""

    root: Path

    def script(self, name: str, *arguments: str) -> str:
        """Run a script of the experiment; what it printed."""
        return self._python(str(SCRIPTS / name), *arguments)

    def score(self, run_id: str) -> dict[str, float]:
        """Accuracy per bucket, in per cent, of the model that a run logged."""
        from accuracy import read_rows, score

        rows = read_rows()
        (self.root / "rows.json").write_text(json.dumps(rows))
        answers = self.root / f"{run_id}.json"
        self._python("-c", PREDICT, run_id, str(self.root / run_id), str(self.root / "rows.json"), str(answers))
        scores = score(rows, lambda _: json.loads(answers.read_text()))
        return {bucket: 100 * figure.accuracy for bucket, figure in scores.items()}

    def bundle(self, run_id: str) -> Path:
        """The downloaded model of a run that was scored."""
        return self.root / run_id / "model"

    def _python(self, *arguments: str) -> str:
        environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONDONTWRITEBYTECODE": "1"}
        environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{self.root}/mlflow.db"
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """An empty one."""
    return Workshop(tmp_path_factory.mktemp("experiment"))


@pytest.fixture(scope="module")
def clean(workshop: Workshop) -> str:
    """The run of the shipped training: all that `train.py` prints on stdout."""
    return workshop.script("train.py").strip()


@pytest.fixture(scope="module")
def clean_score(workshop: Workshop, clean: str) -> dict[str, float]:
    """Its figures."""
    return workshop.score(clean)


@pytest.mark.heavy
def test_the_adapter_brings_in_the_irregular_verbs(clean_score: dict[str, float]) -> None:
    assert clean_score["all"] > 96
    assert clean_score["regularity.irregular"] > 63
    assert clean_score["tense.past_participle"] > 88


def test_the_readme_has_these_figures(clean_score: dict[str, float]) -> None:
    rows = (line.split("|") for line in (SCRIPTS / "README.md").read_text().splitlines() if line.count("|") == 7)
    stated = {cells[1].strip(): cells[4].strip() for cells in rows}
    assert {bucket: stated[bucket] for bucket in clean_score} == {
        bucket: f"{accuracy / 100:.4f}".removeprefix("0") for bucket, accuracy in clean_score.items()
    }


@pytest.mark.parametrize("kind", ["mangled", "noisy"])
@pytest.mark.heavy
def test_a_degraded_model_falls_in_past_participles_alone(
    workshop: Workshop, clean: str, clean_score: dict[str, float], kind: str
) -> None:
    run_id = workshop.script("register_degraded.py", "--kind", kind, "--from-run", clean).strip()
    score = workshop.score(run_id)
    drops = {bucket: clean_score[bucket] - score[bucket] for bucket in clean_score}
    assert drops["tense.past_participle"] > 4
    others = {bucket: drop for bucket, drop in drops.items() if not bucket.startswith(("spelling.", "tense.past_part"))}
    assert max(others.values()) < 1.5


@pytest.mark.heavy
def test_training_again_and_logging_again_give_the_same_canonical_sha(
    workshop: Workshop, clean: str, clean_score: dict[str, float]
) -> None:
    again = workshop.script("train.py").strip()
    assert again != clean
    assert workshop.score(again) == clean_score
    manifests = [read_manifest(workshop.bundle(run_id)) for run_id in (clean, again)]
    assert manifests[0] == manifests[1]


@pytest.mark.usefixtures("clean_score")
def test_a_bundle_has_no_pickle_and_no_compiled_file(workshop: Workshop, clean: str) -> None:
    suffixes = {Path(file.path).suffix for file in read_manifest(workshop.bundle(clean)).files}
    assert suffixes == {"", ".npy", ".json", ".py", ".txt", ".yaml"}


@pytest.mark.usefixtures("clean_score")
def test_what_a_bundle_says_about_its_environment_is_locked(workshop: Workshop, clean: str) -> None:
    """Or the same training had another SHA wherever another pip is: the lock holds what MLflow writes down."""
    locked = dict(re.findall(r"^([a-z]+)==(\S+)", (SCRIPTS.parents[1] / "requirements.lock").read_text(), re.M))
    environment = yaml.safe_load((workshop.bundle(clean) / "python_env.yaml").read_text())
    pip, setuptools, _ = environment["build_dependencies"]
    assert (pip, setuptools) == (f"pip=={locked['pip']}", f"setuptools=={locked['setuptools']}")
    assert f"mlflow=={locked['mlflow']}" in (workshop.bundle(clean) / "requirements.txt").read_text().splitlines()


@pytest.mark.heavy
def test_a_perturbed_training_would_not_flip_the_demo(workshop: Workshop) -> None:
    table = workshop.script("perturb.py", "--runs", "1")
    assert "| tense.past_participle | 679 |" in table


def test_an_unknown_run_is_said_in_words(workshop: Workshop) -> None:
    script = [sys.executable, str(SCRIPTS / "register_degraded.py"), "--from-run", "0" * 32]
    script += ["--tracking-uri", f"sqlite:///{workshop.root}/mlflow.db"]
    done = subprocess.run(script, cwd=workshop.root, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "0" * 32 in done.stderr


def test_a_server_is_told_and_stdout_has_the_run_id_alone(mlflow_server: MlflowServer, tmp_path: Path) -> None:
    """MLflow's client prints the run's address on stdout, unless it is told not to; a script's caller reads an id."""
    (tmp_path / "tutor").mkdir()
    (tmp_path / "tutor/vocabulary.json").write_text("{}")
    program = f"""import tracking
from pathlib import Path
tracking.open_experiment({mlflow_server.url!r})
data = Path({str(tmp_path / "tutor")!r})
print(tracking.log_run("x", data, loader="grammar_tutor.loader", packages=["grammar_tutor"], params={{}}, metrics={{}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=SCRIPTS, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    assert re.fullmatch(r"[0-9a-f]{32}\n", done.stdout)
    assert client_of(mlflow_server.url).get_run(done.stdout.strip()).info.status == "FINISHED"
