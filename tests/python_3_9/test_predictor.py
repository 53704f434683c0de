"""The predictor in Python 3.9 with MLflow 2.9: models answer as without MLflow, over Arrow and over lines."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from minieval.data.schema import Kind
from minieval.runner import predictor as script
from minieval.runner.child import Child, Limits
from minieval.runner.predictions import Predictor
from tests.matrix.cases import Case, check_answers
from tests.minieval.runner.tables import column, table

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]

PYTHON = Path(__file__).parents[2] / ".venv-python-3-9" / "bin" / "python"
KINDS = {str: Kind.TEXT, int: Kind.INTEGER, float: Kind.NUMBER}


@pytest.mark.parametrize("arrow", [True, False], ids=["arrow", "lines"])
@pytest.mark.parametrize("name", ["a class", "a signature", "an array"])
def test_a_model_of_mlflow_2_9_answers_as_without_mlflow(name: str, arrow: bool, tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.fail("there is no environment of Python 3.9; make it with: just python-3-9", pytrace=False)
    case = save(name, tmp_path)
    with start(tmp_path) as found:
        found.wait_until_ready()
        assert found.arrow, "this environment has pyarrow"
        found.arrow = arrow
        check_answers(case, found)


def save(name: str, folder: Path) -> Case:
    command = [str(PYTHON), "-W", "ignore", str(Path(__file__).with_name("save_model.py")), name, str(folder)]
    done = subprocess.run(command, env=environment(folder), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((folder / "case.json").read_bytes())
    assert found["versions"][0] == "2.9.2"
    assert found["versions"][1].startswith("3.9.")
    columns = [column(each, KINDS[type(cells[0])]) for each, cells in found["rows"].items()]
    return Case(columns, table(columns, found["rows"]), found["answers"])


@contextmanager
def start(folder: Path) -> Iterator[Predictor]:
    """The predictor of a bundle, by the other Python, which knows no option -P."""
    command = [str(PYTHON), "-s", "-B", str(script.__file__), "--bundle", str(folder / "bundle")]
    command += ["--memory-mb", "8192", "--file-mb", "256", "--cpu-seconds", "600"]
    with Child(command, environment=environment(folder), cwd=folder, limits=Limits()) as child:
        yield Predictor(child)


def environment(folder: Path) -> dict[str, str]:
    return {"PATH": f"{PYTHON.parent}:{os.environ['PATH']}", "HOME": str(folder), "LANG": "C.UTF-8", "TZ": "UTC"}
