"""GitHub's REST API as the forge. The only file that imports github (PyGithub).

- Every request ends after ``timeout`` seconds of silence; reading is tried three times where GitHub failed, writing
  once.
- Lists are read to their last page. When a page fails, the whole list fails: half a list is never used as a whole.
- The token goes into the Authorization header and nowhere else; messages are scrubbed of it.
- A comment is ours when it starts with the marker and our own account wrote it: anyone can quote a marker.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import requests
from github import Auth, Github, GithubException
from github.CheckRun import CheckRun
from github.ContentFile import ContentFile
from github.GithubException import BadAttributeException
from github.GithubObject import NotSet
from github.Issue import Issue
from github.IssueComment import IssueComment
from github.PullRequest import PullRequest
from github.Repository import Repository
from urllib3.util import Retry

from lynxgate.errors import OutcomeUnknown, Refused, StoreFailure
from lynxgate.pull_request.forge import (
    Annotation,
    ChangedFile,
    Check,
    Comment,
    LabelEvent,
    Permission,
    Proposal,
    Proposed,
    Pull,
    blob_sha,
    same_login,
)
from lynxgate.redact import scrub, strip_credentials

TIMEOUT_SECONDS = 10
ACTIONS_ACCOUNT = "github-actions[bot]"  # whose token GITHUB_TOKEN is
MAX_ANNOTATIONS = 50  # GitHub takes no more in one call
_PAGE = 100
_READS = Retry(
    total=2,
    backoff_factor=0.5,
    allowed_methods=["GET"],
    status_forcelist=[500, 502, 503, 504],
    raise_on_status=False,
    respect_retry_after_header=False,  # a server may request an hour's wait; a gate has minutes
)
_ADVICE = {
    401: "it does not accept the token (GITHUB_TOKEN)",
    403: "this token may not do that; see the permissions in docs/ci.md",
    404: "there is no such thing, or this token may not see it",
    422: "it does not accept the content",
    429: "there were too many requests; try again later",
}


class GithubForge:
    """The forge on GitHub; ``account`` is the login that ``token`` writes as. `None`: it is looked up."""

    def __init__(
        self,
        repository: str,
        token: str,
        *,
        api_url: str = "https://api.github.com",
        account: str | None = None,
        timeout: int = TIMEOUT_SECONDS,
    ) -> None:
        self._where = strip_credentials(api_url)
        self._token = token
        self._account = account
        self._owner = repository.partition("/")[0]
        with self._translated("reach the API", writing=False):
            self._github = Github(
                base_url=api_url,
                auth=Auth.Token(token),
                timeout=timeout,
                retry=_READS,
                per_page=_PAGE,
                seconds_between_requests=None,
                seconds_between_writes=None,
                lazy=True,
                user_agent="lynxgate",
            )
            self._repository: Repository = self._github.get_repo(repository)

    def pull(self, number: int) -> Pull:
        """As `Forge.pull`."""
        with self._translated(f"read pull request {number}", writing=False):
            found = self._pull(number)
            return Pull(found.number, found.head.sha, found.state == "open", found.changed_files)

    def files(self, number: int) -> Sequence[ChangedFile]:
        """As `Forge.files`; GitHub lists at most 3,000."""
        with self._translated(f"list the files of pull request {number}", writing=False):
            return [ChangedFile(each.filename, each.previous_filename) for each in self._pull(number).get_files()]

    def comments(self, number: int) -> Sequence[Comment]:
        """As `Forge.comments`."""
        with self._translated(f"list the comments of pull request {number}", writing=False):
            return [_comment(each) for each in self._issue(number).get_comments()]

    def labels(self, number: int) -> Sequence[LabelEvent]:
        """As `Forge.labels`."""
        with self._translated(f"list the events of pull request {number}", writing=False):
            return [
                LabelEvent(each.id, each.label.name, _login(each.actor), each.event == "labeled", each.created_at)
                for each in self._issue(number).get_events()
                if each.event in ("labeled", "unlabeled")
            ]

    def permission(self, login: str) -> Permission:
        """As `Forge.permission`. GitHub answers 404 for an app, which has no permission: `NONE`."""
        with self._translated(f"ask for the permission of {login}", writing=False):
            try:
                answer = self._repository.get_collaborator_permission(login)
            except GithubException as error:
                if error.status == 404:
                    return Permission.NONE
                raise
        return Permission(answer) if answer in list(Permission) else Permission.NONE

    def upsert_comment(self, number: int, marker: str, body: str) -> None:
        """As `Forge.upsert_comment`. The oldest of ours stays; later ones, of runs that raced, are deleted."""
        account = self._own_account()
        with self._translated(f"list the comments of pull request {number}", writing=False):
            issue = self._issue(number)
            ours = [
                each
                for each in issue.get_comments()
                if (each.body or "").startswith(marker) and same_login(_login(each.user), account)
            ]
        ours.sort(key=lambda each: each.id)
        with self._translated(f"comment on pull request {number}", writing=True):
            if not ours:
                made = issue.create_comment(body)
            elif ours[0].body != body:
                ours[0].edit(body)
            for spare in ours[1:]:
                spare.delete()
            if not ours and not same_login(_login(made.user), account):
                raise StoreFailure(
                    f"{self._where}: the comment was made by {_login(made.user)!r} and looked for by {account!r}, so "
                    "that the next run would not find it; name the account in LYNXGATE_GITHUB_ACCOUNT"
                )

    def create_check(self, check: Check) -> None:
        """As `Forge.create_check`: fifty annotations with the run, the others after it."""
        batches = [
            check.annotations[start : start + MAX_ANNOTATIONS]
            for start in range(0, len(check.annotations), MAX_ANNOTATIONS)
        ] or [()]
        with self._translated("create the check run", writing=True):
            run: CheckRun = self._repository.create_check_run(
                check.name,
                check.head_sha,
                details_url=check.details_url if check.details_url else NotSet,
                status="completed",
                conclusion=str(check.conclusion),
                output=_output(check, batches[0]),
            )
            for batch in batches[1:]:
                run.edit(output=_output(check, batch))

    def propose(self, proposal: Proposal) -> Proposed:
        """As `Forge.propose`. Only a branch of the proposal's own is created; no other is written to."""
        with self._translated("list the open pull requests", writing=False):
            head = f"{self._owner}:{proposal.branch}"
            for found in self._repository.get_pulls(state="open", head=head, base=proposal.base):
                return Proposed(found.number, found.html_url, is_new=False)
        self._create_branch(proposal)
        self._put_file(proposal)
        with self._translated(f"open a pull request into {proposal.base}", writing=True):
            made = self._repository.create_pull(
                proposal.base, proposal.branch, title=proposal.title, body=proposal.body, maintainer_can_modify=True
            )
            return Proposed(made.number, made.html_url, is_new=True)

    def _create_branch(self, proposal: Proposal) -> None:
        with self._translated(f"create the branch {proposal.branch}", writing=True):
            try:
                self._repository.create_git_ref(f"refs/heads/{proposal.branch}", proposal.base_sha)
            except GithubException as error:
                # An earlier run got this far; `_put_file` looks at what is there.
                if error.status != 422 or "already exists" not in str(error.message):
                    raise

    def _put_file(self, proposal: Proposal) -> None:
        with self._translated(f"read {proposal.path} on {proposal.branch}", writing=False):
            found = self._repository.get_contents(proposal.path, ref=proposal.branch)
            there = found.sha if isinstance(found, ContentFile) else None
        if there == blob_sha(proposal.data):
            return
        if there != proposal.replaces:
            raise Refused(
                f"the branch {proposal.branch} has another {proposal.path} than this change leaves or starts from; "
                "look at it, delete the branch, and run this again"
            )
        with self._translated(f"write {proposal.path} on {proposal.branch}", writing=True):
            self._repository.update_file(
                proposal.path, proposal.title, proposal.data, proposal.replaces, branch=proposal.branch
            )

    def _own_account(self) -> str:
        if self._account is None:
            with self._translated("ask whose token this is", writing=False):
                try:
                    self._account = self._github.get_user().login
                except GithubException as error:
                    # The token of an installation, such as GITHUB_TOKEN, may not look it up.
                    if error.status != 403:
                        raise
                    self._account = ACTIONS_ACCOUNT
        return self._account

    def _pull(self, number: int) -> PullRequest:
        return self._repository.get_pull(number)

    def _issue(self, number: int) -> Issue:
        return self._repository.get_issue(number)

    @contextlib.contextmanager
    def _translated(self, doing: str, *, writing: bool) -> Iterator[None]:
        """Translate exceptions of GitHub and the network into ours: what was being done, and GitHub's message."""
        start = f"{self._where}: cannot {doing}"
        try:
            yield
        except GithubException as error:
            advice = _ADVICE.get(error.status, "")
            message = scrub(str(error.message or ""), self._where, self._token)
            text = f"{start}: HTTP {error.status}" + "".join(f"; {part}" for part in (advice, message) if part)
            raise (OutcomeUnknown if writing and error.status >= 500 else StoreFailure)(text) from error
        except requests.RequestException as error:
            kind = OutcomeUnknown if writing and not isinstance(error, requests.ConnectTimeout) else StoreFailure
            raise kind(f"{start}: {scrub(str(error), self._where, self._token)}") from error
        except (AssertionError, AttributeError, KeyError, TypeError, ValueError, BadAttributeException) as error:
            # PyGithub raises these when the answer is not GitHub's: another host in a link, other types, not JSON.
            kind = OutcomeUnknown if writing else StoreFailure
            text = f"{start}: the answer is not one of GitHub's API ({type(error).__name__}); is GITHUB_API_URL right?"
            raise kind(text) from error


def _comment(found: IssueComment) -> Comment:
    return Comment(found.id, _login(found.user), found.body or "", found.created_at, found.updated_at)


def _login(user: object) -> str:
    """Return the login, or an empty one: GitHub names no user for a deleted account."""
    login = getattr(user, "login", None)
    return login if isinstance(login, str) else ""


def _output(check: Check, annotations: Sequence[Annotation]) -> dict[str, str | list[dict[str, str | int]]]:
    output: dict[str, str | list[dict[str, str | int]]] = {"title": check.title, "summary": check.summary}
    if annotations:
        output["annotations"] = [
            {
                "path": each.path,
                "start_line": each.line,
                "end_line": each.line,
                "annotation_level": str(each.level),
                "title": each.title,
                "message": each.message,
            }
            for each in annotations
        ]
    return output
