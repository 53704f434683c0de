"""Every document ever written keeps parsing, and the published JSON Schemas say what the readers do."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from lynxgate.decision.documents import KINDS, file_name, find_problems, render_schema
from lynxgate.rebaseline.move import rebaseline
from minieval.contract.documents import parse_document
from tests.samples import FIXTURES, baseline, evaluation, judge, parse_evaluation, write

OLD_DOCUMENTS = sorted(FIXTURES.glob("*.json"))


def validator(schema: str) -> Any:
    return jsonschema.Draft202012Validator(json.loads(render_schema(schema)))


@pytest.mark.parametrize("path", OLD_DOCUMENTS, ids=lambda path: path.stem)
def test_old_documents_parse_and_validate(path: Any) -> None:
    tree = json.loads(path.read_bytes())
    assert find_problems(path.read_bytes(), where=path.name) == (tree["schema"], ())
    validator(tree["schema"]).validate(tree)
    parse_document(path.read_bytes(), KINDS[tree["schema"]], where=path.name)


def test_every_schema_has_an_old_document() -> None:
    assert {json.loads(path.read_bytes())["schema"] for path in OLD_DOCUMENTS} == set(KINDS)


@pytest.mark.parametrize("schema", KINDS)
def test_the_published_schemas_are_up_to_date(schema: str) -> None:
    published = files("lynxgate.decision") / "schemas" / file_name(schema)
    assert published.read_bytes() == render_schema(schema), "run: lynxgate schema --write src/lynxgate/decision/schemas"
    jsonschema.Draft202012Validator.check_schema(json.loads(published.read_bytes()))


def test_only_schemas_with_a_reader_are_published() -> None:
    published = {
        entry.name for entry in (files("lynxgate.decision") / "schemas").iterdir() if entry.name.endswith(".json")
    }
    assert published == {file_name(schema) for schema in KINDS}


def test_what_we_write_validates() -> None:
    validator("minieval.evaluation/1").validate(evaluation())
    validator("lynxgate.baseline/1").validate(baseline())
    validator("lynxgate.verdict/2").validate(json.loads(judge(evaluation(), baseline()).to_json()))


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        (baseline(policy={"tolerance_pp": None}, status="report-only"), "policy"),
        (baseline(policy={"tolerance": 2}), "policy.tolerance"),
        (baseline(policy={"rule": "guard", "confidence": 0.5}), "policy.confidence"),
        (baseline(policy={"rule": "guardian"}), "policy.rule"),
        (baseline(policy={"max_negative_flip_rate": 2}), "policy.max_negative_flip_rate"),
        (baseline(policy={"metrics": {"m": {"max_pct": None}}}, status="report-only"), "policy.metrics.m"),
        (baseline(policy={"metrics": {"m": {"max_pct": -1}}}), "policy.metrics.m.max_pct"),
        (baseline(policy={"metrics": {"m": {"max_ratio": 0.9}}}), "policy.metrics.m.max_ratio"),
        (baseline(policy={"metrics": {"m": {"max_pc": 9}}}), "policy.metrics.m.max_pc"),
        (baseline(metrics={"m": {"value": 1, "direction": "down", "machine": True}}), "metrics.m.direction"),
        (baseline(metrics={"m": {"value": 1, "direction": "lower"}}), "metrics.m.machine"),
        (baseline(metrics={"m": {"value": "1", "direction": "lower", "machine": True}}), "metrics.m.value"),
        (baseline(environment={"fingerprint": 1}), "environment.fingerprint"),
        (baseline(status="armed"), "status"),
        (baseline({}), "buckets"),
        (baseline({"x": {"accuracy": 1.5}}), "buckets.x.accuracy"),
        (baseline({"x": {"accuracy": True}}), "buckets.x.accuracy"),
        (baseline({"x": {"accuracy": "0.9"}}), "buckets.x.accuracy"),
        (baseline({"_comment": {"accuracy": 0.9}, "x": {"accuracy": 0.9}}), "buckets"),
        (baseline(surprise=1), "surprise"),
        (evaluation({"x": {"n": -1, "accuracy": 1}}), "buckets.x.n"),
        (evaluation(eval_set={"dvc_md5": "A" * 32}), "eval_set.dvc_md5"),
        (evaluation(eval_set={"dvc_md5": "a" * 32 + "\n"}), "eval_set.dvc_md5"),
        ({**evaluation(), "buckets": []}, "buckets"),
    ],
)
def test_reader_and_schema_refuse_the_same(tree: Any, path: str) -> None:
    schema, problems = find_problems(write(tree), where="f")
    assert [each.path for each in problems] == [path]
    assert all(each.reason for each in problems)
    assert schema is not None
    # A final newline is beyond `pattern` in Python's reading of JSON Schema; the reader refuses it alone.
    assert "\\n" in json.dumps(tree) or not validator(schema).is_valid(tree)


def test_comments_are_admitted_everywhere_and_kept_out_of_the_value() -> None:
    tree = baseline({"_comment": "b", "x": {"_comment_why": ["a", "list"], "accuracy": 0.9}}, _comment="a")
    tree["policy"]["_comment"] = {"any": "thing"}
    tree["policy"]["buckets"] = {"_comment": "g", "x": {"_comment": None, "tier": "critical"}}
    assert find_problems(write(tree), where="f") == ("lynxgate.baseline/1", ())
    validator("lynxgate.baseline/1").validate(tree)
    measured = evaluation({"_comment": "b", "x": {"accuracy": 0.9, "_comment": 1}}, _comment_2="c")
    measured["eval_set"]["_comment"] = "e"
    verdict = judge(measured, tree)
    assert [row.bucket for row in verdict.rows] == ["x"]
    assert b"comment" not in verdict.to_json()


def test_provenance_is_for_people_and_stays() -> None:
    tree = baseline({"_generated_by": "us", "x": {"_generated_at": "today", "accuracy": 0.9}}, _generated_at=None)
    tree["policy"]["_generated_by"] = None
    assert find_problems(write(tree), where="f") == ("lynxgate.baseline/1", ())
    validator("lynxgate.baseline/1").validate(tree)
    moved = json.loads(rebaseline(write(tree), parse_evaluation(evaluation({"x": {"accuracy": 0.89}}))).data)
    assert moved["buckets"] == {"_generated_by": "us", "x": {"_generated_at": "today", "accuracy": 0.89}}
    assert "_generated_at" in moved and "_generated_by" in moved["policy"]
    for misspelt in ("_generated", "_generated_atx", "generated_at"):
        wrong = {**baseline(), misspelt: "x"}
        schema, problems = find_problems(write(wrong), where="f")
        assert [each.path for each in problems] == [misspelt]
        assert not validator(str(schema)).is_valid(wrong)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"schema": 1}', b'{"schema": "lynxgate.baseline/2"}', b"{"])
def test_a_document_without_a_schema_has_one_problem(data: bytes) -> None:
    schema, problems = find_problems(data, where="f")
    assert (schema, len(problems)) == (None, 1)


@pytest.mark.parametrize("path", OLD_DOCUMENTS, ids=lambda path: path.stem)
def test_documents_are_frozen_all_the_way_down(path: Any) -> None:
    _assert_frozen(parse_document(path.read_bytes(), KINDS[json.loads(path.read_bytes())["schema"]], where="f"))


def _assert_frozen(value: Any) -> None:
    assert not isinstance(value, dict | list | set | bytearray)
    if hasattr(value, "model_fields_set"):
        for name in type(value).model_fields:
            with pytest.raises(ValueError, match="frozen"):
                setattr(value, name, None)
            _assert_frozen(getattr(value, name))
    elif isinstance(value, tuple):
        for each in value:
            _assert_frozen(each)
    elif hasattr(value, "items"):
        with pytest.raises(TypeError):
            value["new"] = None
        for each in value.values():
            _assert_frozen(each)
