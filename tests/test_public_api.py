"""The public Python API: every name resolves, is documented, and loads nothing before it is used."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

import lynxgate
import minieval
from tests import samples

PACKAGES = (lynxgate, minieval)
NAMES = [
    pytest.param(package, name, id=f"{package.__name__}.{name}") for package in PACKAGES for name in package.__all__
]
# Every import of a client library, a model library or the documents' library is too much for a bare import.
HEAVY = {"pydantic", "typer", "rich", "yaml", "rfc8785", "mlflow", "dvc", "boto3", "github", "numpy", "pandas"}


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_a_public_name_resolves_to_one_documented_object(package: ModuleType, name: str) -> None:
    found = getattr(package, name)
    assert getattr(package, name) is found
    assert found.__doc__
    assert found.__doc__.split("\n")[0].endswith((".", ","))
    if inspect.isfunction(found):
        assert "Raises:" in found.__doc__, f"{name} documents no errors"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_type_checkers_and_the_interpreter_are_given_the_same_names(package: ModuleType) -> None:
    assert sorted(package._MODULES) == sorted(package.__all__)
    assert set(package.__all__) <= set(dir(package))
    tree = ast.parse(Path(str(package.__file__)).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    declared = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert declared == package._MODULES


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_no_module_can_replace_a_public_name(package: ModuleType) -> None:
    (folder,) = package.__path__
    assert not {path.stem for path in Path(folder).iterdir()} & set(package.__all__)


@pytest.mark.parametrize("package", ["lynxgate", "minieval"])
def test_importing_a_package_loads_none_of_its_modules_and_no_dependency(package: str) -> None:
    program = f"import sys; before = set(sys.modules); import {package}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert [name for name in loaded if name.partition(".")[0] in ("lynxgate", "minieval")] == [package]
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    assert len(loaded) < 60  # the rest is importlib and typing, from the standard library


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_an_unknown_name_is_an_attribute_error(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = package.nothing_like_this
    with pytest.raises(ImportError):
        importlib.import_module(f"{package.__name__}.nothing_like_this")


def test_documents_that_were_parsed_can_be_compared() -> None:
    evaluation = lynxgate.parse_evaluation(samples.write(samples.evaluation()))
    baseline = lynxgate.parse_baseline(samples.write(samples.baseline()))
    verdict = lynxgate.compare(evaluation, baseline)
    assert verdict.passed
    assert verdict.exit is lynxgate.Exit.OK
    assert lynxgate.parse_verdict(verdict.to_json()) == verdict
    assert lynxgate.compare(evaluation, baseline, tolerance_pp=Decimal("0.1")).passed is False


def test_a_verdict_on_parsed_documents_names_the_bytes_this_package_writes(tmp_path: Path) -> None:
    evaluation = minieval.parse_evaluation(samples.write(samples.evaluation()))
    file = tmp_path / "candidate_eval.json"
    file.write_bytes(minieval.dump_evaluation(evaluation))
    agreed = tmp_path / "eval_baseline.json"
    agreed.write_bytes(samples.write({"_comment": "for people", **samples.baseline()}))
    from_values = lynxgate.compare(evaluation, lynxgate.parse_baseline(agreed.read_bytes()))
    from_files = lynxgate.decide(file, agreed)
    assert from_values.inputs.evaluation_sha256 == from_files.inputs.evaluation_sha256
    assert from_values.inputs.baseline_sha256 != from_files.inputs.baseline_sha256  # the comment is not a value
    assert from_values.model_copy(update={"inputs": from_files.inputs}) == from_files
    assert lynxgate.compare(evaluation, lynxgate.parse_baseline(agreed.read_bytes()), inputs=from_files.inputs) == (
        from_files
    )


def test_a_document_that_is_not_valid_is_refused_by_name() -> None:
    with pytest.raises(lynxgate.CannotJudge, match=r"^mine\.json: "):
        lynxgate.parse_evaluation(b"{}", where="mine.json")
