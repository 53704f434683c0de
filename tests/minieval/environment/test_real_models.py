"""Models that the gate's own environment cannot run: another scikit-learn, and a package that the gate does not have.

They are built from a real index: the one that the machine's pip or uv is configured with, or uv's default.
"""

from __future__ import annotations

import importlib.util
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from minieval.command import run
from minieval.contract.digests import digest_bytes
from minieval.contract.model_environment import lock_path
from minieval.contract.report import parse_evaluation
from minieval.environment.build import Builder
from minieval.environment.choose import choose_python
from minieval.environment.uv import read_lock
from tests.minieval.candidates import model, upper_rows, write_bundle, write_rows
from tests.package_index import find_index

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1800)]

REQUIREMENTS = ["mlflow==3.4.0", "scikit-learn==1.2.2", "numpy<2", "pandas<3", "roman==4.2"]
TRAIN = f"""
import sys
import mlflow.sklearn
import pandas
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestClassifier
rows = pandas.DataFrame({{"x": [float(i % 7) for i in range(70)], "y": [float(i % 3) for i in range(70)]}})
right = ["big" if x > 3 else "small" for x in rows["x"]]
forest = RandomForestClassifier(n_estimators=5, random_state=0).fit(rows, right)
mlflow.sklearn.save_model(
    forest, sys.argv[1], pip_requirements={REQUIREMENTS!r}, signature=infer_signature(rows, forest.predict(rows))
)
"""


@dataclass(frozen=True)
class Built:
    """The Python of the requirements, and the cache in which it is kept."""

    executable: str
    cache: Path
    index: str | None


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder, index = tmp_path_factory.mktemp("built"), find_index()
    made = write_bundle(folder / "bundle", "", files={"requirements.txt": "\n".join(REQUIREMENTS).encode()})
    chosen = choose_python("model", made, folder, Builder(index, folder / "cache" / "lynxgate"), warn=lambda _: None)
    return Built(chosen.python.executable, folder / "cache", index)


def evaluate(made: Path, rows: Path, output: Path, *more: str) -> int:
    return run(["--bundle", str(made), "--eval-set", str(rows), "--output", str(output), *more])


@pytest.fixture
def options(built: Built, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(built.cache))
    return ["--python", "model", *(["--python-index", built.index] if built.index else [])]


def test_a_model_that_needs_another_scikit_learn(
    built: Built, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "bundle"
    subprocess.run([built.executable, "-c", TRAIN, str(made)], check=True, cwd=tmp_path, timeout=600)
    rows = write_rows(
        tmp_path / "eval" / "rows.jsonl",
        [
            {"id": str(i), "x": float(i), "y": 1.0, "expected": "big" if i > 3 else "small", "buckets": ["all"]}
            for i in range(7)
        ],
    )
    output = tmp_path / "o.json"
    assert evaluate(made, rows, output, "--python", "gate") == 3
    err = capsys.readouterr().err
    assert "scikit-learn==1.2.2 (" in err
    assert "(--python model builds the environment that it asks for)" in err
    assert evaluate(made, rows, output, *options) == 0
    evaluation, lock = parse_evaluation(output.read_bytes()), lock_path(output).read_bytes()
    assert evaluation.aggregate is not None
    assert (evaluation.aggregate.n, evaluation.aggregate.correct) == (7, 7)
    found = evaluation.model_environment
    assert found is not None
    assert (found.interpreter, found.differences, found.lock_sha256) == ("model", (), digest_bytes(lock))
    assert read_lock(lock)["scikit-learn"] == "1.2.2"


def test_a_model_that_needs_a_package_that_the_gate_does_not_have(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert importlib.util.find_spec("roman") is None
    source = "import roman\n" + model("return [p.upper() + '' * roman.fromRoman('X') for p in frame['prompt']]")
    files = {"requirements.txt": "\n".join(REQUIREMENTS).encode()}
    made, output = write_bundle(tmp_path / "bundle", source, files=files), tmp_path / "o.json"
    rows = write_rows(tmp_path / "eval" / "rows.jsonl", upper_rows(6))
    assert evaluate(made, rows, output) == 3
    err = capsys.readouterr().err
    assert "No module named 'roman' (--python model builds the environment" in err
    assert evaluate(made, rows, output, *options) == 0
    assert parse_evaluation(output.read_bytes()).aggregate is not None
