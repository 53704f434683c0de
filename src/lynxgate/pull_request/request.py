"""A request for promotion in a pull request: what it looks like, and which one counts. Pure.

- A request is a whole line ``mlflow_run_id=<32 hex> semver=v0.3.1`` of a comment. What is not exactly that is text:
  nothing of a comment but hex digits and numbers ever leaves this module.
- It counts when its author may write to the repository (the collaborator-permission API says so, not the comment),
  and when it is older than the label and unedited since. Times are in whole seconds, so "older" is strictly so.
- The newest one that counts is taken, unless another that counts says something else and no label came between the
  two, or it came after the label. Such a conflict stands, however often the label is set, until it is resolved.
- Doubt refuses, and says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lynxgate.errors import UsageFailure
from lynxgate.identity import parse_run_id, parse_semver
from lynxgate.pull_request.forge import Comment, LabelEvent, Permission, same_login
from minieval.contract.identities import RUN_ID

HOW_TO_ASK = (
    "Somebody with write access comments one line\n\n"
    "```\nmlflow_run_id=<the 32 hex digits of the MLflow run> semver=v0.X.Y\n```\n\n"
    "and then sets the label `{label}` (takes it off first when it is set)."
)
OUR_MARK = "<!-- lynxgate:"  # how every comment of the gate begins
_LINE = re.compile(rf"mlflow_run_id=({RUN_ID})[ \t]+semver=(v[0-9.]{{5,32}})")
_LOOKS_LIKE = re.compile(r"mlflow_run_id|semver\s*=")
_HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


@dataclass(frozen=True)
class PromotionRequest:
    """What somebody asks for: this run, as that version."""

    run_id: str
    semver: str


@dataclass(frozen=True)
class Chosen:
    """The request that counts, and whose it is."""

    asked: PromotionRequest
    author: str
    comment_id: int


@dataclass(frozen=True)
class Declined:
    """Why there is no request to act on: one sentence, and what to do.

    ``speak`` is false where a comment in the pull request would be wrong or impossible.
    """

    reason: str
    advice: str
    speak: bool = True


def parse_requests(body: str) -> tuple[PromotionRequest, ...]:
    """The different requests in the visible lines of a comment, in their order."""
    shown = _HIDDEN.sub("\0", body)
    found = (_parse_line(line.strip(" \t")) for line in re.split(r"\r\n|\r|\n", shown))
    return tuple(dict.fromkeys(asked for asked in found if asked is not None))


def looks_like_request(body: str) -> bool:
    """Whether somebody speaks of a request without making one: worth a word on the form. Our own advice does not."""
    if body.startswith(OUR_MARK):
        return False
    return not parse_requests(body) and _LOOKS_LIKE.search(_HIDDEN.sub("", body)) is not None


def find_label_event(events: Sequence[LabelEvent], label: str, labeller: str) -> LabelEvent | Declined:
    """The event by which ``labeller`` set ``label``, if the label is still as that left it."""
    ours = sorted((event for event in events if event.label == label), key=_moment)
    if not ours:
        return Declined(f"GitHub has no record of the label {label}", f"Set the label `{label}` again.")
    newest = ours[-1]
    if not newest.added:
        return Declined(f"the label {label} has been taken off", f"Set the label `{label}` again.")
    if not same_login(newest.actor, labeller):
        return Declined(
            f"the label {label} has been set again by somebody else since this run began",
            "The run that this began decides; nothing needs to be done.",
            speak=False,
        )
    return newest


def requesters(comments: Sequence[Comment]) -> tuple[str, ...]:
    """The authors whose permission decides, each once."""
    return tuple(dict.fromkeys(each.author.lower() for each in comments if parse_requests(each.body)))


def choose(
    comments: Sequence[Comment],
    permissions: Mapping[str, Permission],
    events: Sequence[LabelEvent],
    labelled: LabelEvent,
) -> Chosen | Declined:
    """The request that ``labelled`` is about; ``permissions`` by lower-case login, `NONE` where it has none."""
    how = HOW_TO_ASK.format(label=labelled.label)
    if not _may(permissions, labelled.actor):
        return Declined(
            "whoever set the label may not write to this repository",
            f"Somebody with write access sets the label `{labelled.label}`.",
        )
    asking = [each for each in sorted(comments, key=_posted) if parse_requests(each.body)]
    counting = [each for each in asking if _may(permissions, each.author)]
    in_time = [each for each in counting if each.created_at < labelled.at]
    if not in_time:
        return Declined(_why_none(comments, asking, counting), how)
    if any(each.updated_at >= labelled.at for each in in_time):
        return Declined("a request was edited after the label was set", how)
    newest = in_time[-1]
    since = _last_set(events, labelled.label, newest.created_at)
    rivals = [each for each in counting if since is None or each.created_at >= since]
    wanted = {asked for each in rivals for asked in parse_requests(each.body)}
    if len(wanted) > 1:
        return Declined(
            "there are different requests, and it is not clear which one the label is about",
            "Delete all but one of them. " + how,
        )
    return Chosen(wanted.pop(), newest.author, newest.id)


def _parse_line(line: str) -> PromotionRequest | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    try:
        return PromotionRequest(parse_run_id(match[1]), str(parse_semver(match[2])))
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


def _why_none(comments: Sequence[Comment], asking: Sequence[Comment], counting: Sequence[Comment]) -> str:
    if counting:
        return "the request is not older than the label"
    if asking:
        return "there is a request, and its author may not write to this repository"
    if any(looks_like_request(each.body) for each in comments):
        return "there is a comment that speaks of a request and does not have its form"
    return "there is no request in this pull request"
