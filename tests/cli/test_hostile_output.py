"""No command prints what a terminal or a workflow's log obeys, wherever in a registry or a file name it stands."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lynxgate
from lynxgate.adapters.local import DirectoryStore
from lynxgate.audit.verify import audit
from lynxgate.cli.app import run
from lynxgate.errors import IntegrityFailure
from lynxgate.escape import visible_lines
from lynxgate.promotion.tombstones import tombstone
from lynxgate.registry.tombstone import Tombstone
from minieval.contract.exits import Exit
from tests.promotion.conftest import workshop  # noqa: F401 - a fixture here too
from tests.promotion.workshop import DEV, Workshop

ESC, OSC, C1, RIGHT_TO_LEFT = "\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\u202e"
COMMAND, OLD_COMMAND = "::error::forged", "##[error]forged"
HOSTILE = f"x{ESC}{OSC}{C1}{RIGHT_TO_LEFT}\n{COMMAND}\n{OLD_COMMAND}\r"
NAME = f"{C1}{RIGHT_TO_LEFT}{OLD_COMMAND}"  # what a `Name` may hold
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|##\[|^\s*::", re.MULTILINE)


@pytest.fixture
def hostile(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:  # noqa: F811
    """A registry with v0.3.0 and v0.3.1, the documents of which hold hostile text in every field that may."""
    monkeypatch.chdir(workshop.folder)
    for name, value in DEV.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LYNXGATE_REGISTRY", "registry")
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    workshop.promote(workshop.candidate("b"), "v0.3.1")
    tombstone(workshop.candidate("a").sha, "reason", workshop.context(), DEV)
    for path in (workshop.folder / "registry").glob("journal/*.json"):
        record = json.loads(path.read_bytes())
        record |= {"note": HOSTILE, "owner": NAME, "deadline": NAME, "registered_model": NAME}
        path.write_text(json.dumps(record))
    stone = workshop.folder / "registry" / "tombstones" / f"{workshop.candidate('a').sha}.json"
    stone.write_text(json.dumps(json.loads(stone.read_bytes()) | {"reason": NAME}))
    index = workshop.folder / "registry" / "index.jsonl"
    lines = [json.loads(line) for line in index.read_bytes().splitlines()]
    lines = [line | {"at": NAME} | ({"reason": NAME} if "reason" in line else {}) for line in lines]
    index.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (workshop.folder / "registry" / "entries" / f"{OLD_COMMAND}{C1}").write_bytes(b"")
    candidate = workshop.candidate("b")
    (workshop.folder / f"{NAME}.json").write_bytes(candidate.baseline)
    (workshop.folder / "eval_baseline.json").write_bytes(candidate.baseline)
    (workshop.folder / "candidate_eval.json").write_bytes(candidate.evaluation)
    return workshop


COMMANDS = {
    "list": (Exit.OK, "registry list"),
    "list --json": (Exit.OK, "registry list --json"),
    "list --all": (Exit.OK, "registry list --all"),
    "show": (Exit.OK, "registry show v0.3.1"),
    "show --json": (Exit.OK, "registry show v0.3.1 --json"),
    "lineage": (Exit.OK, "registry lineage v0.3.1 --offline"),
    "lineage, mermaid": (Exit.OK, "registry lineage v0.3.1 --offline --format mermaid"),
    "verify": (Exit.INTEGRITY, "registry verify --offline"),
    "verify --json": (Exit.INTEGRITY, "registry verify --offline --json"),
    "recover": (Exit.OK, "registry recover --tracking-uri http://127.0.0.1:9"),
    "rollback": (Exit.REFUSED, "registry rollback --to v0.3.0 --tracking-uri http://127.0.0.1:9"),
    "tombstone": (Exit.OK, "registry tombstone {a} --reason x --tracking-uri http://127.0.0.1:9"),
    "fetch, tombstoned": (Exit.REFUSED, "fetch --semver v0.3.0 --tracking-uri http://127.0.0.1:9"),
    "fetch": (Exit.UNAVAILABLE, "fetch --production --tracking-uri http://127.0.0.1:9 --dest {name}"),
    "promote": (Exit.USAGE, "promote --canonical-sha {a} --semver {name} --bundle {name}"),
    "activate": (Exit.OK, "baseline activate --baseline {name}.json"),
    "show of a baseline": (Exit.OK, "baseline show --baseline {name}.json"),
    "policy": (Exit.OK, "policy show --baseline {name}.json"),
    "validate": (Exit.CANNOT_JUDGE, "validate {name}.json {name}"),
    "compare": (Exit.OK, "compare --candidate candidate_eval.json --baseline {name}.json --output {name}.verdict"),
    "explain": (Exit.CANNOT_JUDGE, "explain {name}.json"),
    "replay": (Exit.CANNOT_JUDGE, "replay {name}.json"),
    "ci archive": (Exit.OK, "ci archive --dest {name}"),
    "import": (Exit.USAGE, "import flat {name} --output {name}.json"),
    "schema": (Exit.USAGE, "schema {name}"),
    "an unknown option": (Exit.USAGE, "registry list --{name}"),
    "an unknown command": (Exit.USAGE, "{name}"),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.slow
def test_nothing_that_is_obeyed_is_printed(name: str, hostile: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    expected, command = COMMANDS[name]
    words = [each.format(name=NAME, a=hostile.candidate("a").sha) for each in command.split()]
    assert run(words) == expected
    out, err = capfd.readouterr()
    assert out + err
    for text in (out, err):
        assert OBEYED.search(text) is None, ascii(text)
    if "--json" in words:
        json.loads(out)


def test_json_still_holds_the_name(hostile: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    del hostile
    assert run(["registry", "show", "v0.3.1", "--json"]) == Exit.OK
    (record,) = json.loads(capfd.readouterr().out)
    assert (record["note"], record["owner"]) == (HOSTILE, NAME)


@pytest.mark.slow
def test_commands_print_through_one_place() -> None:
    """`print` and `echo` are called in `lynxgate.cli.output` alone."""
    (package,) = map(Path, lynxgate.__path__)
    places = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in ("print", "echo")
    }
    assert places == {"cli/output.py"}


@pytest.mark.parametrize("text", [COMMAND, f"  {COMMAND}", f"a {OLD_COMMAND}", f"a\n{COMMAND}", f"#{OLD_COMMAND}"])
def test_a_runner_finds_no_command(text: str) -> None:
    assert OBEYED.search(visible_lines(text)) is None


@pytest.mark.parametrize("deadline", ["2026-01-01T00:00:00", "soon", "9999", NAME])
def test_a_bad_deadline_is_one_sentence(
    workshop: Workshop,  # noqa: F811
    deadline: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    path = workshop.folder / "registry" / "journal" / "v0.3.0.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"deadline": deadline, "state": "pending"}))
    words = ["--registry", str(workshop.folder / "registry"), "--tracking-uri", "http://127.0.0.1:9"]
    for name, value in DEV.items():
        monkeypatch.setenv(name, value)
    assert run(["registry", "recover", *words]) == Exit.INTEGRITY
    err = capfd.readouterr().err
    assert "is not a time with an offset" in err
    assert "Traceback" not in err
    findings = audit(workshop.store, None).findings
    assert any("is not a time with an offset" in finding.problem for finding in findings)


@pytest.mark.parametrize("key", ["journal/v0.9.0.json", "tags.json", "index.jsonl", "registry.json", "gates/a/b.json"])
@pytest.mark.slow
def test_a_fifo_is_not_waited_for(workshop: Workshop, key: str) -> None:  # noqa: F811
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    path = workshop.folder / "registry" / key
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    words = ["registry", "verify", "--offline", "--registry", str(workshop.folder / "registry")]
    ended = subprocess.run([sys.executable, "-m", "lynxgate", *words], capture_output=True, timeout=60, check=False)
    assert ended.returncode == Exit.INTEGRITY
    assert b"is not a regular file" in ended.stderr
    with pytest.raises(IntegrityFailure, match="is not a regular file"):
        list(DirectoryStore(workshop.folder / "registry").lines()) if key == "index.jsonl" else workshop.store.read(key)


def test_a_tombstone_with_a_hostile_reason_parses() -> None:
    """What was written stays readable: the field is escaped where it is printed, and not refused."""
    assert Tombstone(canonical_sha="0" * 64, reason=NAME).reason == NAME
