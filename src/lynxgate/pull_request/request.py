"""A promotion request in a pull request: its form, and which one counts. Pure.

- A request is a whole line ``mlflow_run_id=<32 hex> semver=v0.3.1`` of a comment's plain text, as its reader sees it
  (`lynxgate.pull_request.visible_lines`), with `` model=<name>`` at its end where it names a model. Anything else is
  text: only hex digits, numbers and the plain name of a model leave this module.
- Where the baseline names a model, only requests for that model are considered; those for others belong to other gates.
- It counts if its author may write to the repository, by the collaborator-permission API, and if it is older than the
  label and was not edited since. GitHub's times are whole seconds, so a request of the same second is not older.
- The newest request that counts is taken. It is a conflict if another request that counts differs and no label was
  set between the two, or if a different one came after the label. A conflict remains, however often the label is set,
  until it is resolved.
- In doubt it refuses, and states what to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lynxgate.errors import UsageFailure
from lynxgate.identity import MODEL, parse_model, parse_run_id, parse_semver
from lynxgate.pull_request.forge import Comment, LabelEvent, Permission, same_login
from lynxgate.pull_request.visible_lines import find_plain_lines
from minieval.contract.identities import RUN_ID

HOW_TO_ASK = (
    "A person with write access comments one line\n\n"
    "```\nmlflow_run_id=<the 32 hex digits of the MLflow run> semver=v0.X.Y\n```\n\n"
    "and then sets the label `{label}` (remove it first if it is set). The line must be plain text: not in code, "
    "a list, a quotation or HTML."
)
OUR_MARK = "<!-- lynxgate:"  # the start of every comment of the gate
# The version is parsed afterwards; here its characters are enough to bound the text that can pass.
_LINE = re.compile(rf"mlflow_run_id=({RUN_ID})[ \t]+semver=(v[0-9.]{{5,32}})(?:[ \t]+model=({MODEL}))?")
_NEWLINE = re.compile(r"\r\n|\r|\n")  # as Markdown; `splitlines` has more
_LOOKS_LIKE = re.compile(r"mlflow_run_id|semver\s*=")


@dataclass(frozen=True)
class PromotionRequest:
    """A request: to promote this run as that version; ``model`` is the name of the model in the run, if it is given."""

    run_id: str
    semver: str
    model: str | None = None


@dataclass(frozen=True)
class Chosen:
    """The request that counts, with its author and comment."""

    request: PromotionRequest
    author: str
    comment_id: int


@dataclass(frozen=True)
class Declined:
    """The reason why no request counts, and what to do.

    ``comment`` is false where a comment in the pull request would be wrong or impossible.
    """

    reason: str
    advice: str
    comment: bool = True


def parse_requests(body: str) -> tuple[PromotionRequest, ...]:
    """Return the different requests in the plain lines of a comment, in order."""
    # Most comments have no such line anywhere, and need no parser.
    if not any(_parse_line(line.strip(" \t")) for line in _NEWLINE.split(body)):
        return ()
    found = (_parse_line(line) for line in find_plain_lines(body))
    return tuple(dict.fromkeys(request for request in found if request is not None))


def looks_like_request(body: str) -> bool:
    """Return whether a comment mentions a request but does not have its form; false for our own comments."""
    if body.startswith(OUR_MARK):
        return False
    return not parse_requests(body) and _LOOKS_LIKE.search(body) is not None


def find_label_event(events: Sequence[LabelEvent], label: str, labeller: str) -> LabelEvent | Declined:
    """Return the event by which ``labeller`` set ``label``, if the label has not changed since."""
    ours = sorted((event for event in events if event.label == label), key=_moment)
    if not ours:
        return Declined(f"GitHub has no record of the label {label}", f"Set the label `{label}` again.")
    newest = ours[-1]
    # The label must be as this run's sender set it; any later event has a run of its own.
    if not newest.added:
        return Declined(f"the label {label} was removed", f"Set the label `{label}` again.")
    if not same_login(newest.actor, labeller):
        return Declined(
            f"another account set the label {label} again after this run started",
            "The run that this started decides; no action is needed.",
            comment=False,
        )
    return newest


def requesters(comments: Sequence[Comment], model: str | None = None) -> tuple[str, ...]:
    """Return the authors of requests for ``model`` (`None`: for any), in lower case, each once."""
    return tuple(dict.fromkeys(each.author.lower() for each in comments if _find_requests(each.body, model)))


def choose(
    comments: Sequence[Comment],
    permissions: Mapping[str, Permission],
    events: Sequence[LabelEvent],
    labelled: LabelEvent,
    model: str | None = None,
) -> Chosen | Declined:
    """Return the request that ``labelled`` is about, or why there is none.

    ``permissions`` is by lower-case login; an account that it lacks has no permission. ``model`` is the name in the
    baseline; without one every request is considered.
    """
    how = _explain(labelled.label, model)
    if not _may(permissions, labelled.actor):
        return Declined(
            "the account that set the label may not write to this repository",
            f"Ask a person with write access to set the label `{labelled.label}`.",
        )
    asking = [each for each in sorted(comments, key=_posted) if _find_requests(each.body, model)]
    counting = [each for each in asking if _may(permissions, each.author)]
    in_time = [each for each in counting if each.created_at < labelled.at]
    if not in_time:
        return Declined(_why_none(comments, asking, counting, model), how)
    # Its text at the time of the label is unknown. An older one refuses too: it may have been a conflict then.
    if any(each.updated_at >= labelled.at for each in in_time):
        return Declined("a request was edited after the label was set", how)
    newest = in_time[-1]
    # The label before the newest request ends an older discussion: earlier requests are no conflict.
    since = _last_set(events, labelled.label, newest.created_at)
    rivals = [each for each in counting if since is None or each.created_at >= since]
    # One comment may have two different requests; that is a conflict too.
    wanted = {request for each in rivals for request in _find_requests(each.body, model)}
    if len(wanted) > 1:
        return Declined(
            "there are different requests, and it is unclear which one the label is about",
            "Delete all but one of them. " + how,
        )
    return Chosen(wanted.pop(), newest.author, newest.id)


def _find_requests(body: str, model: str | None) -> tuple[PromotionRequest, ...]:
    return tuple(each for each in parse_requests(body) if model is None or each.model == model)


def _explain(label: str, model: str | None) -> str:
    how = HOW_TO_ASK.format(label=label)
    return how if model is None else how.replace("semver=v0.X.Y", f"semver=v0.X.Y model={model}")


def _parse_line(line: str) -> PromotionRequest | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    try:
        model = None if match[3] is None else parse_model(match[3])
        return PromotionRequest(parse_run_id(match[1]), str(parse_semver(match[2])), model)
    except UsageFailure:
        return None


def _may(permissions: Mapping[str, Permission], login: str) -> bool:
    return permissions.get(login.lower(), Permission.NONE).may_promote


def _posted(comment: Comment) -> tuple[datetime, int]:
    return comment.created_at, comment.id


def _moment(event: LabelEvent) -> tuple[datetime, int]:
    return event.at, event.id


def _last_set(events: Sequence[LabelEvent], label: str, before: datetime) -> datetime | None:
    return max((e.at for e in events if e.label == label and e.added and e.at < before), default=None)


def _why_none(
    comments: Sequence[Comment], asking: Sequence[Comment], counting: Sequence[Comment], model: str | None
) -> str:
    if counting:
        return "the request is not older than the label"
    if asking:
        return "there is a request, but its author may not write to this repository"
    if any(parse_requests(each.body) for each in comments):
        return f"there is a request, but none for the model {model}, which the baseline names"
    if any(looks_like_request(each.body) for each in comments):
        return "there is a comment that mentions a request but does not have its form"
    return "there is no request in this pull request"
