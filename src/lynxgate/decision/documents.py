"""The documents exchanged with the gate, by schema name: their JSON Schemas, and the problems of one.

- A published JSON Schema admits every document that the reader admits. The reader refuses more, which JSON Schema
  cannot express: `correct` above `n`, duplicate keys, a placeholder in an active baseline.
- A glob of a policy that matches nothing is a problem too. The reader admits it: a candidate may have what it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import ValidationError

from lynxgate.decision.baseline import PLACEHOLDERS, SCHEMA, Baseline
from lynxgate.decision.enforceable import list_idle_globs
from lynxgate.decision.verdict import VERDICTS
from lynxgate.errors import CannotJudge
from minieval.contract.documents import Document, Json, list_reasons, parse_json, pretty_json
from minieval.contract.report import FIRST_SCHEMA, SINCE_2, Evaluation
from minieval.contract.report import SCHEMA as EVALUATION

KINDS: Mapping[str, type[Document]] = MappingProxyType(
    {FIRST_SCHEMA: Evaluation, EVALUATION: Evaluation, "lynxgate.baseline/1": Baseline, **VERDICTS}
)
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NOISE = frozenset({"title", "default"})
_NULL = {"type": "null"}
_NO_OBJECT = {"not": {"type": "object"}}
_NOTE = "^_(comment|generated_(at|by)$)"  # as minieval.contract.documents.is_note
_WITHOUT_NULL = frozenset({"Policy", "BucketPolicy", "MetricPolicy"})


@dataclass(frozen=True)
class Problem:
    """One problem of a document: the path inside it (empty for the whole document) and the reason."""

    path: str
    reason: str


def file_name(schema: str) -> str:
    """Return the name of the file that a schema is published as."""
    return f"{schema.replace('/', '-')}.schema.json"


def render_schema(schema: str) -> bytes:
    """Return the JSON Schema (draft 2020-12) of one kind of document."""
    tree = KINDS[schema].model_json_schema(by_alias=True)
    # Two versions of a document can share a class.
    tree["properties"]["schema"] = {"const": schema, "type": "string"}
    if schema == FIRST_SCHEMA:
        _drop_later_fields(tree)
    null: Json = _NULL
    if schema == SCHEMA:
        null = {"enum": list(PLACEHOLDERS)}
        # A placeholder may replace a whole bucket; the reader turns it into an empty one before it is validated.
        entries = tree["properties"]["buckets"]
        entries["additionalProperties"] = {"anyOf": [entries["additionalProperties"], _NULL]}
    return pretty_json({"$schema": _DIALECT, "$id": f"urn:{schema.replace('/', ':')}", **_publish(tree, null)})


def find_problems(data: bytes, *, where: str) -> tuple[str | None, tuple[Problem, ...]]:
    """Return the schema that a document names (`None` if it names none) and all its problems."""
    try:
        tree = parse_json(data, where=where)
    except CannotJudge as error:
        return None, (Problem("", str(error).removeprefix(f"{where}: ")),)
    schema = tree.get("schema") if isinstance(tree, dict) else None
    if not isinstance(schema, str) or schema not in KINDS:
        return None, (Problem("schema", f"should be one of {', '.join(KINDS)}"),)
    try:
        document = KINDS[schema].model_validate(tree)
    except ValidationError as error:
        return schema, tuple(Problem(place, reason) for place, reason in list_reasons(error))
    idle = list_idle_globs(document) if isinstance(document, Baseline) else ()
    return schema, tuple(Problem(place, reason) for place, reason in idle)


def _drop_later_fields(tree: Json) -> None:
    """Remove what the first version of an evaluation does not have from the schema of the newest."""
    for name, fields in SINCE_2.items():
        entry = tree if name == tree["title"] else tree["$defs"][name]
        # The first paragraph is of both versions; the others describe what is dropped.
        entry["description"] = entry["description"].partition("\n\n")[0]
        for field in fields:
            del entry["properties"][field]
    count = 0
    while count != len(tree["$defs"]):  # what is dropped may be the only use of another entry
        count, text = len(tree["$defs"]), str(tree)
        tree["$defs"] = {name: entry for name, entry in tree["$defs"].items() if f"'#/$defs/{name}'" in text}


def _publish(node: Json, null: Json) -> Json:
    """Return a generated schema with ``null`` in place of its null, with comments admitted, without unneeded keys."""
    if isinstance(node, list):
        return [_publish(each, null) for each in node if null is not None or each != _NULL]
    if not isinstance(node, dict):
        return node
    if node == _NULL:
        return null
    published = {}
    for key, value in node.items():
        if key in {"properties", "$defs"}:
            # A null in a policy has no effect and is refused.
            published[key] = {each: _publish(v, None if each in _WITHOUT_NULL else null) for each, v in value.items()}
        elif key not in _NOISE:
            published[key] = _publish(value, null)
    if len(published.get("anyOf", ())) == 1:
        published |= published.pop("anyOf")[0]
    if "additionalProperties" in node:
        published["patternProperties"] = {_NOTE: {} if node["additionalProperties"] is False else _NO_OBJECT}
    return published
