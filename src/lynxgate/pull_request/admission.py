"""From a label on a pull request to the request that counts, or the reason why none does.

- `admit` is the one way from a comment to the gate; the grammar of a request is `lynxgate.pull_request.request`.
- Each check refuses when in doubt.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.pull_request.event import LabelledEvent
from lynxgate.pull_request.forge import Forge
from lynxgate.pull_request.repository_paths import RepositoryFile
from lynxgate.pull_request.request import Declined, PromotionRequest, choose, find_label_event, requesters


@dataclass(frozen=True)
class Terms:
    """What a request must fit: the label, the committed baseline, and this repository.

    ``task`` are the task file that the baseline names and its scorer: they decide as the baseline does. ``model`` is
    the name in the baseline, if it has one.
    """

    label: str
    baseline: RepositoryFile
    repository: str
    task: tuple[RepositoryFile, ...] = ()
    model: str | None = None


@dataclass(frozen=True)
class Admitted:
    """A request that counts, for exactly this head commit; ``head_sha`` has 40 hex digits."""

    request: PromotionRequest
    head_sha: str
    number: int
    author: str


def refuse_unseen(event: LabelledEvent, terms: Terms) -> Declined | None:
    """Refuse by the event alone, before any call of the API; no comment is written for these refusals."""
    if event.repository.full_name.lower() != terms.repository.lower():
        return Declined(
            "the event is about another repository", "Run this in that repository's own workflow.", comment=False
        )
    if event.label.name != terms.label:
        return Declined(f"the label is not {terms.label}", "No action is needed.", comment=False)
    if event.from_fork:
        return Declined(
            "the pull request comes from a fork, whose workflows get no secrets",
            "Ask a maintainer to push the branch to this repository and to open a pull request from it.",
            comment=False,
        )
    return None


def admit(forge: Forge, event: LabelledEvent, terms: Terms) -> Admitted | Declined:
    """Return the request that the label of ``event`` is about, or why there is none.

    1. The event: this repository, this label, not from a fork.
    2. The pull request now: open, with the event's head, the baseline and its task unchanged.
    3. The label: still as the event's sender set it.
    4. The comments: the one request that counts.

    Raises:
        StoreFailure: the forge cannot be reached, or fails.
    """
    if declined := refuse_unseen(event, terms) or _refuse_pull(forge, event, terms):
        return declined
    events = forge.labels(event.number)
    labelled = find_label_event(events, terms.label, event.sender.login)
    if isinstance(labelled, Declined):
        return labelled
    comments = forge.comments(event.number)
    # One call for each account that matters, not for each comment.
    people = {labelled.actor.lower(), *requesters(comments, terms.model)}
    permissions = {login: forge.permission(login) for login in sorted(people)}
    chosen = choose(comments, permissions, events, labelled, terms.model)
    if isinstance(chosen, Declined):
        return chosen
    return Admitted(chosen.request, event.head_sha, event.number, chosen.author)


def _refuse_pull(forge: Forge, event: LabelledEvent, terms: Terms) -> Declined | None:
    pull = forge.pull(event.number)
    again = f"Set the label `{terms.label}` again."
    if not pull.is_open:
        return Declined("the pull request is closed", "Reopen it, then set the label again.")
    if pull.head_sha != event.head_sha:
        return Declined("commits were pushed after the label was set", again)
    files = forge.files(event.number)
    # A rename from or to one of them changes it as well.
    names = [name for file in files for name in (file.path, file.previous) if name is not None]
    for kind, agreed in (("baseline", terms.baseline), *(("task", each) for each in terms.task)):
        if any(agreed.is_changed_by(name) for name in names):
            return Declined(
                f"this pull request changes {agreed.path}; a {kind} changes only in a pull request of its own",
                f"Merge the change of the {kind} first, in a pull request of its own.",
            )
    # GitHub lists at most 3,000 files.
    if len(files) < pull.changed_files:
        return Declined(
            "this pull request changes more files than GitHub lists, so a change of the baseline could be missed",
            "Split the pull request.",
        )
    return None
