"""From a label on a pull request to the request it is about, or the reason why there is none.

One function holds all that stands between a comment and the gate; the grammar is `lynxgate.pull_request.request`.
"""

from __future__ import annotations

from dataclasses import dataclass

from lynxgate.pull_request.event import LabelledEvent
from lynxgate.pull_request.forge import Forge
from lynxgate.pull_request.request import Declined, PromotionRequest, choose, find_label_event, requesters


@dataclass(frozen=True)
class Terms:
    """What a label asks a gate to look at: the label's name, and the path of the committed baseline."""

    label: str
    baseline: str
    repository: str


@dataclass(frozen=True)
class Admitted:
    """A request that counts, for exactly this head; ``head_sha`` has 40 hex digits."""

    asked: PromotionRequest
    head_sha: str
    number: int
    author: str


def refuse_unseen(event: LabelledEvent, terms: Terms) -> Declined | None:
    """What the event alone forbids; none of it is answered in the pull request."""
    if event.repository.full_name.lower() != terms.repository.lower():
        return Declined("the event is about another repository", "Run this in the workflow of its own.", speak=False)
    if event.label.name != terms.label:
        return Declined(f"the label is not {terms.label}", "Nothing needs to be done.", speak=False)
    if event.from_fork:
        return Declined(
            "the pull request comes from a fork, whose workflows get no secrets",
            "A maintainer pushes the branch to this repository and opens a pull request from there.",
            speak=False,
        )
    return None


def admit(forge: Forge, event: LabelledEvent, terms: Terms) -> Admitted | Declined:
    """Find the request that the label of ``event`` is about.

    1. The event: this repository, this label, no fork.
    2. The pull request as it is now: open, its head still the event's, the baseline untouched.
    3. The label: still as the event's sender left it.
    4. The comments: the one request that counts.

    Raises:
        StoreFailure: the forge could not be asked.
    """
    if declined := refuse_unseen(event, terms) or _refuse_pull(forge, event, terms):
        return declined
    events = forge.labels(event.number)
    labelled = find_label_event(events, terms.label, event.sender.login)
    if isinstance(labelled, Declined):
        return labelled
    comments = forge.comments(event.number)
    people = {labelled.actor.lower(), *requesters(comments)}
    permissions = {login: forge.permission(login) for login in sorted(people)}
    chosen = choose(comments, permissions, events, labelled)
    if isinstance(chosen, Declined):
        return chosen
    return Admitted(chosen.asked, event.head_sha, event.number, chosen.author)


def _refuse_pull(forge: Forge, event: LabelledEvent, terms: Terms) -> Declined | None:
    pull = forge.pull(event.number)
    again = f"Set the label `{terms.label}` again."
    if not pull.is_open:
        return Declined("the pull request is closed", "Open it again, and set the label again.")
    if pull.head_sha != event.head_sha:
        return Declined("commits were pushed after the label was set", again)
    files = forge.files(event.number)
    if any(terms.baseline in (file.path, file.previous) for file in files):
        return Declined(
            f"this pull request changes {terms.baseline}, and a baseline gets its own PR",
            "Merge the baseline by a pull request of its own first.",
        )
    if len(files) < pull.changed_files:
        return Declined(
            "this pull request changes more files than GitHub lists, so that a changed baseline could hide among them",
            "Split it.",
        )
    return None
