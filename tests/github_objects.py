"""GitHub's objects as its API gives them: the examples of its own contract, patched, and the webhook's payload.

- Everything here is held to GitHub's schemas: responses by `tests.github_contract`, the payload by `labelled_event`.
"""

from __future__ import annotations

import base64
import copy
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from lynxgate.pull_request.forge import blob_sha

FIXTURES = Path(__file__).parent / "fixtures/github"
Json = dict[str, Any]


@cache
def contract() -> Json:
    """The slice of GitHub's OpenAPI document."""
    found: Json = json.loads((FIXTURES / "openapi.json").read_text())
    return found


def stamp(at: datetime) -> str:
    """A time as GitHub writes it: UTC, in whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def user(login: str) -> Json:
    """An account; a login in brackets is an app's."""
    found = copy.deepcopy(_example("issue-comment")["user"])
    number = 1000 + sum(login.encode())
    return {**found, "login": login, "id": number, "type": "Bot" if login.endswith("[bot]") else "User"}


def comment(api: str, repository: str, pull: int, key: int, *, author: str, body: str, at: datetime) -> Json:
    """A comment of a pull request's conversation, unedited."""
    return {
        **_example("issue-comment"),
        "id": key,
        "url": f"{api}/repos/{repository}/issues/comments/{key}",
        "html_url": f"https://github.com/{repository}/pull/{pull}#issuecomment-{key}",
        "issue_url": f"{api}/repos/{repository}/issues/{pull}",
        "body": body,
        "user": user(author),
        "created_at": stamp(at),
        "updated_at": stamp(at),
        "author_association": "OWNER",  # always, so that whoever believes it lets everybody in
    }


def issue_event(api: str, repository: str, key: int, kind: str, *, actor: str, at: datetime, label: str) -> Json:
    """An entry of an issue's events: ``labeled`` or ``unlabeled``."""
    found = {**_example("issue-event-for-issue-items")[0], "id": key, "event": kind, "actor": user(actor)}
    found |= {"url": f"{api}/repos/{repository}/issues/events/{key}", "created_at": stamp(at)}
    return found | {"commit_id": None, "commit_url": None, "label": {"name": label, "color": "c5def5"}}


def pull(api: str, repository: str, number: int, head: str, *, files: int, title: str = "A candidate") -> Json:
    """A pull request of the repository's own branch."""
    found: Json = copy.deepcopy(_example("pull-request"))
    url = f"{api}/repos/{repository}/pulls/{number}"
    found |= {"url": url, "number": number, "title": title, "state": "open", "changed_files": files, "merged": False}
    found["requested_teams"] = []  # the example lacks what its own schema requires
    found |= {"merged_at": None, "closed_at": None, "issue_url": f"{api}/repos/{repository}/issues/{number}"}
    found["head"] |= {"sha": head, "ref": "candidate"}
    for side in (found["head"], found["base"]):
        side["repo"] |= {"full_name": repository, "name": repository.partition("/")[2]}
    return found


def listed_pull(whole: Json) -> Json:
    """A pull request as it stands in a list."""
    found: Json = copy.deepcopy(_example("pull-request-simple-items")[0])
    for key in ("url", "html_url", "number", "title", "body", "state", "user"):
        found[key] = whole[key]
    found["requested_teams"] = []  # as in `pull`
    for side in ("head", "base"):
        found[side] |= {"ref": whole[side]["ref"], "sha": whole[side]["sha"]}
    return found


def git_ref(api: str, repository: str, ref: str, sha: str) -> Json:
    """A reference."""
    url = f"{api}/repos/{repository}/git"
    return {
        **_example("git-ref"),
        "ref": ref,
        "url": f"{url}/{ref}",
        "object": {"type": "commit", "sha": sha, "url": f"{url}/commits/{sha}"},
    }


def content_file(api: str, repository: str, path: str, data: bytes) -> Json:
    """A file as the contents API gives it; of more than a megabyte, like GitHub, without its content."""
    small = len(data) <= 1_000_000
    about = {"encoding": "base64" if small else "none", "content": base64.b64encode(data).decode() if small else ""}
    found = {**_example("content-file-response-if-content-is-a-file"), **_named(api, repository, path, data)}
    return found | about


def file_commit(api: str, repository: str, path: str, data: bytes, commit: str) -> Json:
    """The answer to a file that was written."""
    found: Json = copy.deepcopy(_example("file-commit-example-for-updating-a-file"))
    found["content"] |= _named(api, repository, path, data)
    found["commit"]["sha"] = commit
    return found


def _named(api: str, repository: str, path: str, data: bytes) -> Json:
    url = f"{api}/repos/{repository}/contents/{path}"
    name = path.rpartition("/")[2]
    return {"name": name, "path": path, "sha": blob_sha(data), "size": len(data), "url": url}


def changed_file(name: str, previous: str | None = None) -> Json:
    """A file in a pull request's list."""
    found = {**_example("diff-entry-items")[0], "filename": name, "status": "renamed" if previous else "modified"}
    return found | ({"previous_filename": previous} if previous else {})


def permission(login: str, role: str) -> Json:
    """The collaborator-permission answer; like GitHub it maps maintain to write and triage to read."""
    base = {"maintain": "write", "triage": "read"}.get(role, role)
    found = _example("repository-collaborator-permission-response-if-user-has-admin-permissions")
    return {**found, "permission": base, "role_name": role, "user": {**user(login), "role_name": role}}


def check_run(api: str, repository: str, key: int, body: Json, annotations: int) -> Json:
    """A check run made of a request's body."""
    found = copy.deepcopy(_example("check-run"))
    url = f"{api}/repos/{repository}/check-runs/{key}"
    output = {key: body.get("output", {}).get(key) for key in ("title", "summary", "text")}
    output |= {"annotations_count": annotations, "annotations_url": f"{url}/annotations"}
    kept = {key: body[key] for key in ("name", "head_sha", "status", "conclusion") if key in body}
    return {**found, "id": key, "url": url, **kept, "output": output}


def labelled_event(
    repository: str, number: int, label: str, sender: str, head: str, *, head_repository: str | None = None
) -> Json:
    """The payload of `pull_request: labeled`, patched from GitHub's example and valid against its schema."""
    found: Json = json.loads((FIXTURES / "pull_request.labeled.json").read_text())
    found |= {"number": number, "sender": {**found["sender"], "login": sender}}
    found["label"]["name"] = label
    found["repository"] |= {"full_name": repository, "name": repository.partition("/")[2]}
    asked = found["pull_request"]
    asked["number"] = number
    asked["head"]["sha"] = head
    asked["base"]["repo"]["full_name"] = repository
    asked["head"]["repo"]["full_name"] = head_repository or repository
    check_event(found)
    return found


def check_event(payload: Json) -> None:
    """Hold a payload against the schema of GitHub's webhooks; raises `jsonschema.ValidationError`."""
    import jsonschema  # type: ignore[import-untyped]

    schema = json.loads((FIXTURES / "webhooks.schema.json").read_text())
    jsonschema.Draft7Validator(schema).validate(payload)


def _example(name: str) -> Any:
    return contract()["components"]["examples"][name]["value"]
