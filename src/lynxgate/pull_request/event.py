"""The event ``pull_request: labeled`` that GitHub gives a workflow: only the fields that a decision needs.

- The file is GitHub's, so unknown fields are ignored. The fields below are strict; a missing one is an error.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from lynxgate.errors import CannotJudge
from minieval.contract.documents import parse_json
from minieval.contract.identities import COMMIT


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Named(_Part):
    name: StrictStr


class _Account(_Part):
    login: StrictStr


class _Repository(_Part):
    full_name: StrictStr


class _Side(_Part):
    # GitHub gives null for a head repository that was deleted.
    sha: Annotated[str, Field(pattern=f"^{COMMIT}$")]
    repo: _Repository | None


class _PullRequest(_Part):
    number: Annotated[StrictInt, Field(ge=1)]
    head: _Side
    base: _Side


class LabelledEvent(_Part):
    """A label was set on a pull request."""

    action: Literal["labeled"]
    label: _Named
    pull_request: _PullRequest
    repository: _Repository
    sender: _Account

    @property
    def number(self) -> int:
        """Return the pull request's number."""
        return self.pull_request.number

    @property
    def head_sha(self) -> str:
        """Return the commit that was the head when the label was set, 40 hex digits."""
        return self.pull_request.head.sha

    @property
    def from_fork(self) -> bool:
        """Return whether the head is in another repository, or in a deleted one."""
        head = self.pull_request.head.repo
        return head is None or head.full_name.lower() != self.repository.full_name.lower()


def parse_labelled_event(data: bytes, *, where: str) -> LabelledEvent:
    """Return the event in ``data``; ``where`` names the file in messages.

    Raises:
        CannotJudge: it is another event, or not an event of GitHub.
    """
    tree = parse_json(data, where=where)
    try:
        return LabelledEvent.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise CannotJudge(
            f"{where}: {place}: {first['msg']}; the event must be `pull_request: types: [labeled]`"
        ) from error
