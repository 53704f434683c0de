"""Requests and responses held against GitHub's OpenAPI document, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tests.github_objects import contract

# What any operation may answer though the document does not list it for each.
UNLISTED = frozenset({401, 403, 404, 429, 500, 502, 503})


@dataclass
class Asked:
    """A request in the form that openapi-core reads."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes | None
    content_type: str = "application/json"
    host_url: str = "https://api.github.com"
    parameters: RequestParameters = field(init=False)

    def __post_init__(self) -> None:
        self.method = self.method.lower()
        self.parameters = RequestParameters(query=ImmutableMultiDict(self.query), header=Headers())


@dataclass
class Answered:
    """A response in the form that openapi-core reads."""

    status_code: int
    data: bytes
    content_type: str = "application/json"
    headers: Mapping[str, Any] = field(default_factory=dict)


def find_violation(asked: Asked, answered: Answered) -> str | None:
    """What GitHub's document has against this exchange, or `None`."""
    document = _document()
    try:
        if answered.status_code < 400:
            document.validate_request(asked)
        listed = str(answered.status_code) in _responses(document, asked)
        if listed or answered.status_code not in UNLISTED:
            document.validate_response(asked, answered)
    except OpenAPIError as error:
        reasons = getattr(error.__cause__, "schema_errors", ())
        why = "; ".join(f"{each.json_path}: {each.message[:200]}" for each in reasons) or repr(error.__cause__ or error)
        return f"{asked.method} {asked.path} {answered.status_code}: {why[:500]}"
    return None


@cache
def _document() -> OpenAPI:
    return OpenAPI.from_dict(contract())


def _responses(document: OpenAPI, asked: Asked) -> set[str]:
    from openapi_core.templating.paths.finders import APICallPathFinder

    found = APICallPathFinder(document.spec).find(asked.method, asked.host_url + asked.path)
    return set((found.operation / "responses").keys())
