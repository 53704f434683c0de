"""The event ``pull_request: labeled`` as GitHub hands it to a workflow; only the fields that decide anything.

- The file is GitHub's, so unknown fields are ignored; those below are strict, and a missing one is an error.
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
    sha: Annotated[str, Field(pattern=f"^{COMMIT}$")]
    repo: _Repository | None


class _PullRequest(_Part):
    number: Annotated[StrictInt, Field(ge=1)]
    head: _Side
    base: _Side


class LabelledEvent(_Part):
    """Somebody set a label on a pull request."""

    action: Literal["labeled"]
    label: _Named
    pull_request: _PullRequest
    repository: _Repository
    sender: _Account

    @property
    def number(self) -> int:
        """The pull request's number."""
        return self.pull_request.number

    @property
    def head_sha(self) -> str:
        """The commit that was the head when the label was set, 40 hex digits."""
        return self.pull_request.head.sha

    @property
    def from_fork(self) -> bool:
        """Whether the head lives in another repository, or in one that is gone."""
        head = self.pull_request.head.repo
        return head is None or head.full_name.lower() != self.repository.full_name.lower()


def parse_labelled_event(data: bytes, *, where: str) -> LabelledEvent:
    """Read the event's bytes.

    Raises:
        CannotJudge: it is another event, or not one of GitHub's.
    """
    tree = parse_json(data, where=where)
    try:
        return LabelledEvent.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise CannotJudge(
            f"{where}: {place}: {first['msg']}; this reads the event `pull_request: types: [labeled]`"
        ) from error
