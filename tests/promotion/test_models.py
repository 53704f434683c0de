"""A registry belongs to one model, which the baseline names; a run may have several models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lynxgate.audit.verify import audit
from lynxgate.cli.app import run
from lynxgate.decision.baseline import parse_baseline
from lynxgate.errors import IntegrityFailure, Refused
from lynxgate.promotion.eval_set_usage import count_gate
from lynxgate.promotion.preconditions import check_preconditions
from lynxgate.promotion.promote import promote
from lynxgate.promotion.run_tag import parse_tag_key, tag_key
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import create_registry, read_mark
from lynxgate.registry.record import read_record
from lynxgate.registry.resolve import find_production
from lynxgate.registry.statement import Statement
from minieval.contract.bundle import read_manifest
from minieval.contract.documents import parse_document
from minieval.contract.exits import Exit
from minieval.contract.report import Evaluation
from tests.promotion.test_promote import snapshot
from tests.promotion.workshop import (
    DEV,
    Candidate,
    Workshop,
    with_documents,
    write_baseline,
    write_bundle,
    write_evaluation,
)


def named(workshop: Workshop, bundle: str, model: str | None) -> Candidate:
    """A candidate under a baseline of ``model``."""
    return with_documents(workshop.candidate(bundle), baseline=write_baseline(model=model))


def read_evidence(workshop: Workshop, sha: str) -> Statement:
    """The one piece of evidence for a bundle."""
    (path,) = (workshop.folder / workshop.registry / "entries" / sha / "evidence").glob("*.json")
    return parse_document(path.read_bytes(), Statement, where=str(path))


@pytest.mark.parametrize(
    ("registry", "baseline", "reason"),
    [
        ("wine", "grape", "is the registry of model wine, and this is model grape; use its own registry"),
        ("wine", None, 'the baseline names no model; add "model": "wine"'),
        (None, "wine", "a registry without the name of a model, and this is model wine"),
    ],
)
def test_a_registry_takes_no_other_model(
    workshop: Workshop, registry: str | None, baseline: str | None, reason: str
) -> None:
    workshop.open_registry(model=registry)
    workshop.promote(named(workshop, "a", registry), "v0.1.0")
    other, before = named(workshop, "b", baseline), snapshot(workshop.folder)
    with pytest.raises(Refused, match=reason):
        workshop.promote(other, "v0.2.0")
    with pytest.raises(Refused, match=reason):
        check_preconditions(workshop.store, DEV, "v0.2.0", baseline)
    assert snapshot(workshop.folder) == before
    assert find_production(workshop.store) == "v0.1.0"


def test_a_comparison_is_not_counted_in_the_registry_of_another_model(workshop: Workshop) -> None:
    workshop.open_registry(model="wine")
    candidate = workshop.candidate("a")
    document = json.loads(write_baseline(model="grape"))
    document["policy"] |= {"rule": "guard", "shelf_life": "warn"}
    evaluation = parse_document(candidate.evaluation, Evaluation, where="it")
    before = snapshot(workshop.folder)
    with pytest.raises(Refused, match="registry of model wine"):
        count_gate(workshop.store, DEV, evaluation, parse_baseline(json.dumps(document).encode()))
    assert snapshot(workshop.folder) == before


def test_a_baseline_does_not_take_the_figures_of_another_model(
    workshop: Workshop, capfd: pytest.CaptureFixture[str]
) -> None:
    workshop.promote(named(workshop, "a", "wine"), "v0.1.0")
    path = workshop.folder / "eval_baseline.json"
    options = ["--from", "production", "--baseline", str(path), "--registry", str(workshop.folder / "registry")]
    path.write_bytes(write_baseline(model="grape"))
    assert run(["baseline", "rebaseline", *options]) == Exit.REFUSED
    assert "is the registry of model wine, and this is model grape" in capfd.readouterr().err
    assert path.read_bytes() == write_baseline(model="grape")
    path.write_bytes(write_baseline(model="wine"))
    assert run(["baseline", "rebaseline", *options]) == Exit.OK


def test_the_first_promotion_to_a_dev_registry_gives_it_its_model(workshop: Workshop) -> None:
    workshop.promote(named(workshop, "a", "wine"), "v0.1.0")
    mark = read_mark(workshop.store)
    assert mark is not None and (mark.environment, mark.model) == (Environment.DEV, "wine")


def test_a_mark_never_changes(workshop: Workshop) -> None:
    assert create_registry(workshop.store, Environment.PRODUCTION, "wine")
    assert not create_registry(workshop.store, Environment.PRODUCTION, "wine")
    for environment, model in (("production", "grape"), ("production", None), ("staging", "wine"), ("dev", "wine")):
        with pytest.raises(Refused):
            create_registry(workshop.store, Environment(environment), model)


def test_two_models_in_one_run_have_registries_tags_and_evidence_of_their_own(workshop: Workshop) -> None:
    """One run logged both; each is promoted by its name, as the same version, and both registries verify."""
    first = workshop.candidate("a")
    grape_bundle = write_bundle_at(workshop.tracking.root / first.run_id / "grape")
    grape_sha = read_manifest(grape_bundle).canonical_sha
    grape = Candidate(
        grape_bundle, first.run_id, grape_sha, write_evaluation(grape_sha, first.run_id), write_baseline(model="grape")
    )
    other = replace(workshop, registry="registry-grape")
    workshop.promote(with_documents(first, baseline=write_baseline(model="wine")), "v0.1.0")
    request = replace(grape.request("v0.1.0"), logged_model="grape")
    promote(request, other.context(), other.tracking, DEV)

    assert workshop.tracking.read_tag(first.run_id, "lynxgate.semver.wine.v0.1.0") == first.sha
    assert workshop.tracking.read_tag(first.run_id, "lynxgate.semver.grape.v0.1.0") == grape_sha
    for each in (workshop, other):
        assert audit(each.store, each.tracking).findings == ()
    bound = read_evidence(other, grape_sha).predicate.promotion
    assert bound.logged_model == "grape"
    found = read_record(other.store, "v0.1.0")
    assert found is not None and (found.record.model, found.record.logged_model) == ("grape", "grape")


def test_the_model_of_another_name_in_the_run_is_not_the_bundle(workshop: Workshop) -> None:
    first = workshop.candidate("a")
    write_bundle_at(workshop.tracking.root / first.run_id / "grape")
    with pytest.raises(IntegrityFailure, match="holds another model now"):
        promote(replace(first.request("v0.1.0"), logged_model="grape"), workshop.context(), workshop.tracking, DEV)
    assert find_production(workshop.store) is None


def test_evidence_of_another_model_is_found_by_an_auditor(workshop: Workshop) -> None:
    """A mark that is changed to another model breaks the chain, and each piece of evidence is named."""
    candidate = named(workshop, "a", "wine")
    workshop.promote(candidate, "v0.1.0")
    mark = workshop.folder / "registry/registry.json"
    mark.write_text(mark.read_text().replace('"wine"', '"grape"'))
    problems = [finding.problem for finding in audit(workshop.store, None).findings]
    assert "names model wine in its baseline, and the registry grape" in problems
    assert "has a record that names model wine, and the registry grape" in problems


def test_the_keys_of_tags_keep_models_and_environments_apart() -> None:
    staging = Environment("staging")
    keys = [tag_key("v0.1.0", environment, model) for environment in (None, staging) for model in (None, "v0", "wine")]
    assert len(set(keys)) == 6
    assert tag_key("v0.1.0") == tag_key("v0.1.0", Environment.DEV) == "lynxgate.semver.v0.1.0"
    assert [parse_tag_key(key) for key in keys] == [(None, "v0.1.0"), ("v0", "v0.1.0"), ("wine", "v0.1.0")] * 2


@pytest.mark.parametrize("name", ["", "Production", "semver", "latest", "v1", "a.b", "-a", "a b", "a\n", "x" * 32])
def test_what_is_no_environment(name: str) -> None:
    with pytest.raises(ValueError, match="is not an environment"):
        Environment(name)


def write_bundle_at(folder: Path) -> Path:
    write_bundle(folder, folder.name)
    return folder
