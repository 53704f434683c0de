"""The auditor's commands: a healthy registry holds, and every tampering is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lynxgate.audit.verify import audit
from lynxgate.cli.app import run
from lynxgate.promotion.run_tag import tag_key
from lynxgate.registry.layout import evidence_key, manifest_key
from minieval.contract.exits import Exit
from tests.promotion.workshop import Workshop
from tests.servers import free_port

Tampering = Callable[[Workshop], str]  # does it, and returns the word that the finding must hold


@pytest.fixture
def promoted(workshop: Workshop) -> Workshop:
    """Two promotions and nothing wrong."""
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    workshop.promote(workshop.candidate("b"), "v0.3.1")
    return workshop


def test_a_healthy_registry_holds(promoted: Workshop) -> None:
    result = audit(promoted.store, promoted.tracking)
    assert (result.promotions, result.entries, result.findings) == (2, 2, ())


def replace_in(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new, 1))


def evidence_of(workshop: Workshop) -> tuple[Path, str]:
    held = workshop.context().journal.read("v0.3.1")
    assert held is not None
    key = evidence_key(held.record.canonical_sha, held.record.evidence)
    return workshop.folder / "registry" / key, key


def in_manifest(workshop: Workshop) -> str:
    key = manifest_key(workshop.candidate("b").sha)
    replace_in(workshop.folder / "registry" / key, b'"size":', b'"size" ')
    return key


def in_manifest_size(workshop: Workshop) -> str:
    key = manifest_key(workshop.candidate("b").sha)
    path = workshop.folder / "registry" / key
    data = path.read_bytes()
    at = data.index(b'"size":') + 7
    path.write_bytes(data[:at] + (b"9" if data[at : at + 1] != b"9" else b"8") + data[at + 1 :])
    return key


def in_evidence(workshop: Workshop) -> str:
    path, key = evidence_of(workshop)
    replace_in(path, b"v0.3.1", b"v0.3.7")
    return key


def at_the_end_of_evidence(workshop: Workshop) -> str:
    path, key = evidence_of(workshop)
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    return key


def in_first_event(workshop: Workshop) -> str:
    replace_in(workshop.folder / "registry" / "index.jsonl", b'"semver":"v0.3.0"', b'"semver":"v0.3.9"')
    return "index event 2: names"


def in_last_event(workshop: Workshop) -> str:
    path = workshop.folder / "registry" / "index.jsonl"
    head, last = path.read_bytes().rsplit(b'"at":"2', 1)
    path.write_bytes(head + b'"at":"3' + last)
    return "index event 2: differs"


def in_an_event_s_sha(workshop: Workshop) -> str:
    sha = workshop.candidate("b").sha.encode()
    wrong = (b"0" if sha[:1] != b"0" else b"1") + sha[1:]
    replace_in(workshop.folder / "registry" / "index.jsonl", sha, wrong)
    return "index event 2"


def in_tags_sha(workshop: Workshop) -> str:
    sha = workshop.candidate("b").sha.encode()
    wrong = (b"0" if sha[:1] != b"0" else b"1") + sha[1:]
    replace_in(workshop.folder / "registry" / "tags.json", sha, wrong)
    return "tags.json"


def in_tags_version(workshop: Workshop) -> str:
    replace_in(workshop.folder / "registry" / "tags.json", b'"v0.3.0": ', b'"v0.3.2": ')
    return "v0.3.2"


def in_a_record_s_sha(workshop: Workshop) -> str:
    sha = workshop.candidate("b").sha.encode()
    wrong = (b"0" if sha[:1] != b"0" else b"1") + sha[1:]
    replace_in(workshop.folder / "registry" / "journal" / "v0.3.1.json", sha, wrong)
    return "journal/v0.3.1.json"


def in_a_record_s_state(workshop: Workshop) -> str:
    replace_in(workshop.folder / "registry" / "journal" / "v0.3.1.json", b'"promoted"', b'"in-doubt"')
    return "tags.json: names v0.3.1"


def in_a_record_s_layout(workshop: Workshop) -> str:
    path = workshop.folder / "registry" / "journal" / "v0.3.1.json"
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    return "is not written as the gate writes it"


def in_the_mark(workshop: Workshop) -> str:
    replace_in(workshop.folder / "registry" / "registry.json", b'"dev"', b'"Dev"')
    return "registry.json"


def in_the_mark_s_environment(workshop: Workshop) -> str:
    replace_in(workshop.folder / "registry" / "registry.json", b'"dev"', b'"dew"')
    return "for dev, and this one is"


def in_mlflow(workshop: Workshop) -> str:
    candidate = workshop.candidate("b")
    workshop.tracking.set_tag(candidate.run_id, tag_key("v0.3.1"), "0" * 64)
    return f"MLflow run {candidate.run_id}"


def remove_event(workshop: Workshop) -> str:
    path = workshop.folder / "registry" / "index.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    return "journal/v0.3.1.json: is promoted, but"


def remove_manifest(workshop: Workshop) -> str:
    key = manifest_key(workshop.candidate("a").sha)
    (workshop.folder / "registry" / key).unlink()
    return f"{key}: is missing"


@pytest.mark.parametrize(
    "tamper",
    [
        in_manifest,
        in_manifest_size,
        in_evidence,
        at_the_end_of_evidence,
        in_first_event,
        in_last_event,
        in_an_event_s_sha,
        in_tags_sha,
        in_tags_version,
        in_a_record_s_sha,
        in_a_record_s_state,
        in_a_record_s_layout,
        in_the_mark,
        in_the_mark_s_environment,
        in_mlflow,
        remove_event,
        remove_manifest,
    ],
)
@pytest.mark.slow
def test_tampering_is_found_and_named(promoted: Workshop, tamper: Tampering) -> None:
    words = tamper(promoted)
    findings = [f"{finding.place}: {finding.problem}" for finding in audit(promoted.store, promoted.tracking).findings]
    assert any(words in finding for finding in findings), findings


def test_an_mlflow_that_does_not_answer_is_no_finding(promoted: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["registry", "verify", "--registry", str(promoted.folder / "registry")]
    command += ["--tracking-uri", f"http://127.0.0.1:{free_port()}"]
    assert run(command) == Exit.UNAVAILABLE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "MLflow was not compared" in captured.err
    assert run([*command, "--json"]) == Exit.UNAVAILABLE
    assert "connection refused" in json.loads(capsys.readouterr().out)["unchecked"]
    # What the registry itself shows is reported all the same, and outweighs it.
    words = remove_manifest(promoted)
    assert run(command) == Exit.INTEGRITY
    captured = capsys.readouterr()
    assert words in captured.out
    assert "MLflow was not compared" in captured.err


def test_a_tag_that_another_registry_confirms_is_its_own(promoted: Workshop) -> None:
    other = Workshop(promoted.folder / "elsewhere")
    shutil.copytree(promoted.folder / "registry", other.folder / "registry")
    promoted.promote(promoted.candidate("c"), "v0.3.2")
    (finding,) = audit(other.store, promoted.tracking).findings
    assert finding.place == f"MLflow run {promoted.candidate('c').run_id}"
    assert audit(other.store, promoted.tracking, sharing=[promoted.store]).findings == ()
    promoted.tracking.set_tag(promoted.candidate("a").run_id, tag_key("v0.3.2"), promoted.candidate("c").sha)
    (finding,) = audit(other.store, promoted.tracking, sharing=[promoted.store]).findings
    assert finding.place == f"MLflow run {promoted.candidate('a').run_id}"


def test_evidence_that_is_consistent_but_false_is_found(promoted: Workshop) -> None:
    """Rewriting the whole chain around a false verdict is still seen: the verdict does not follow."""
    path, key = evidence_of(promoted)
    statement = json.loads(path.read_bytes())
    statement["predicate"]["documents"]["evaluation"] = statement["predicate"]["documents"]["evaluation"].replace(
        '"correct": 95', '"correct": 90'
    )
    path.write_text(json.dumps(statement, indent=2) + "\n")
    places = {finding.place for finding in audit(promoted.store, promoted.tracking).findings}
    assert key in places
