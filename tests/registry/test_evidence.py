"""Evidence that stands alone: bound to its promotion in every part, and signed by a key that is verified offline."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lynxgate.adapters.dsse import DsseSigner, DsseVerifier
from lynxgate.audit.verify import audit
from lynxgate.cli.app import run
from lynxgate.errors import IntegrityFailure, Refused, UsageFailure
from lynxgate.promotion.examine import ExpectedProduction
from lynxgate.promotion.promote import promote
from lynxgate.promotion.recovery import recover_all
from lynxgate.promotion.rollback import roll_back
from lynxgate.promotion.tombstones import tombstone
from lynxgate.registry.events import Event, Promotion, as_promotion
from lynxgate.registry.evidence_check import find_flaws
from lynxgate.registry.layout import evidence_key, signature_key
from lynxgate.registry.record import Record, State
from minieval.contract.bundle import read_manifest
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_document, pretty_json
from minieval.contract.exits import Exit
from tests.promotion.test_promote import snapshot
from tests.promotion.workshop import DEV, DirectoryTracking, LaterStore, Workshop, write_evaluation


def make_key(folder: Path, name: str = "key", algorithm: str = "ed25519") -> tuple[Path, Path]:
    """A key pair made as the docs say: by openssl."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    openssl = ["openssl", "genpkey", "-algorithm", algorithm, "-out", str(private)]
    subprocess.run(openssl, check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    return private, public


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private and a public key."""
    return make_key(tmp_path)


def promote_signed(workshop: Workshop, name: str, semver: str, key: Path | None) -> None:
    context = replace(workshop.context(), signer=None if key is None else DsseSigner(key))
    promote(workshop.candidate(name).request(semver), context, workshop.tracking, DEV)


@pytest.fixture
def signed(workshop: Workshop, keys: tuple[Path, Path]) -> Workshop:
    """v0.3.0 and v0.3.1, both signed."""
    promote_signed(workshop, "a", "v0.3.0", keys[0])
    promote_signed(workshop, "b", "v0.3.1", keys[0])
    return workshop


def read_record(workshop: Workshop, semver: str = "v0.3.1") -> Record:
    held = workshop.context().journal.read(semver)
    assert held is not None
    return held.record


def read_promotion(workshop: Workshop, semver: str = "v0.3.1") -> Promotion:
    event = read_record(workshop, semver).event
    assert event is not None
    promotion = as_promotion(event)
    assert promotion is not None
    return promotion


def paths(workshop: Workshop, public: Path, semver: str = "v0.3.1") -> tuple[Path, Path]:
    """The files of a promotion's evidence and of its signature."""
    record, registry = read_record(workshop, semver), workshop.folder / "registry"
    key_id = DsseVerifier(public).key_id
    return (
        registry / evidence_key(record.canonical_sha, record.evidence),
        registry / signature_key(record.canonical_sha, record.evidence, key_id),
    )


def problems(workshop: Workshop, *public: Path) -> list[str]:
    verifiers = [DsseVerifier(path) for path in public]
    return [f"{each.place}: {each.problem}" for each in audit(workshop.store, workshop.tracking, verifiers).findings]


# --- what a verdict is bound to


def statement_of(workshop: Workshop) -> dict[str, Any]:
    record = read_record(workshop)
    path = workshop.folder / "registry" / evidence_key(record.canonical_sha, record.evidence)
    tree: dict[str, Any] = json.loads(path.read_bytes())
    return tree


def flaws(workshop: Workshop, statement: dict[str, Any]) -> list[str]:
    """What is wrong with a statement that is put in place of v0.3.1's, its hash announced as the true one."""
    data = pretty_json(statement)
    promotion = replace(read_promotion(workshop), evidence=digest_bytes(data))
    return list(find_flaws(data, promotion, read_manifest(workshop.candidate("b").bundle)))


def set_at(*path: str | int, to: object) -> Callable[[dict[str, Any], Workshop], None]:
    def change(statement: dict[str, Any], _: Workshop) -> None:
        place: Any = statement
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


def other_evaluation(statement: dict[str, Any], workshop: Workshop) -> None:
    """An evaluation of another bundle, with the verdict that truly follows from it."""
    other = workshop.candidate("other")
    documents = statement["predicate"]["documents"]
    documents["evaluation"] = other.evaluation.decode()
    fresh = Workshop(workshop.folder / "elsewhere")
    fresh.promote(fresh.candidate("other"), "v0.3.1")
    statement["predicate"]["verdict"] = statement_of(fresh)["predicate"]["verdict"]


def worse_evaluation(statement: dict[str, Any], workshop: Workshop) -> None:
    b = workshop.candidate("b")
    statement["predicate"]["documents"]["evaluation"] = write_evaluation(b.sha, b.run_id, correct=90).decode()


def report_only(statement: dict[str, Any], _: Workshop) -> None:
    documents = statement["predicate"]["documents"]
    documents["baseline"] = documents["baseline"].replace('"active"', '"report-only"')


def other_policy(statement: dict[str, Any], _: Workshop) -> None:
    documents = statement["predicate"]["documents"]
    documents["baseline"] = documents["baseline"].replace('"tolerance_pp": 2.0', '"tolerance_pp": 3.0')


def other_eval_set(statement: dict[str, Any], _: Workshop) -> None:
    documents = statement["predicate"]["documents"]
    documents["baseline"] = documents["baseline"].replace("a" * 32, "b" * 32)


def another_file(statement: dict[str, Any], _: Workshop) -> None:
    statement["subject"].append({"name": "more.bin", "digest": {"sha256": "0" * 64}})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_at("predicate", "promotion", "semver", to="v0.3.0"), "is the evidence for v0.3.0"),
        (
            set_at("predicate", "promotion", "production_before", to="v0.2.0"),
            "names v0.2.0 as the version in production",
        ),
        (
            set_at("predicate", "promotion", "production_before", to=None),
            "names none as the version in production",
        ),
        (set_at("predicate", "promotion", "mlflow_run_id", to="0" * 32), f"is about run {'0' * 32}"),
        (other_evaluation, "holds an evaluation of"),
        (worse_evaluation, "do not pass"),
        (report_only, "do not pass"),
        (other_policy, "does not follow from the documents"),
        (other_eval_set, "b" * 32),
        (another_file, "not the files of the manifest"),
        (set_at("subject", 0, "digest", "sha256", to="0" * 64), "its subject is not"),
        (set_at("predicate", "documents", "model_lock", to="mlflow==3.0"), "the lock in it is not"),
        (set_at("predicate", "verdict", "rule", to="none"), "does not follow"),
        (set_at("_type", to="https://in-toto.io/Statement/v0.1"), "is not evidence as the gate writes it"),
        (set_at("subject", to=[]), "is not evidence as the gate writes it"),
        (set_at("predicate", "more", to=1), "is not evidence as the gate writes it"),
    ],
)
@pytest.mark.slow
def test_evidence_of_anything_else_is_seen(
    signed: Workshop, change: Callable[[dict[str, Any], Workshop], None], words: str
) -> None:
    statement = statement_of(signed)
    assert flaws(signed, statement) == []
    change(statement, signed)
    assert any(words in flaw for flaw in flaws(signed, statement)), flaws(signed, statement)


@pytest.mark.slow
def test_evidence_of_another_version_of_the_gate_holds_by_its_decision(signed: Workshop) -> None:
    statement = statement_of(signed)
    statement["predicate"]["gate"]["version"] = "0.0.1"
    assert flaws(signed, statement) == ["the verdict in it does not follow from the documents in it"]  # two gates
    statement["predicate"]["verdict"]["gate"]["version"] = "0.0.1"
    row = statement["predicate"]["verdict"]["rows"][0]
    row["reason"] = "in the words of that time"
    assert flaws(signed, statement) == []
    row["outcome"] = "regressed"
    assert flaws(signed, statement) == ["the verdict in it does not follow from the documents in it"]
    del row["outcome"]
    assert flaws(signed, statement) == ["the verdict in it does not follow from the documents in it"]


def test_a_whole_registry_forged_around_the_evidence_of_another_promotion_is_seen(workshop: Workshop) -> None:
    """The same bundle as v0.3.0 and v0.3.1; record and event of v0.3.1 then name v0.3.0's evidence."""
    candidate = workshop.candidate("a")
    workshop.promote(candidate, "v0.3.0")
    workshop.promote(candidate, "v0.3.1")
    earlier, record = read_record(workshop, "v0.3.0"), read_record(workshop)
    assert record.event is not None
    assert problems(workshop) == []
    event = Event.model_validate({**record.event.to_tree(), "evidence": earlier.evidence})
    registry = workshop.folder / "registry"
    first, _ = (registry / "index.jsonl").read_bytes().splitlines()
    (registry / "index.jsonl").write_bytes(first + b"\n" + event.line() + b"\n")
    forged = record.with_changes(evidence=earlier.evidence, event=event.to_tree())
    (registry / "journal" / "v0.3.1.json").write_bytes(forged.to_bytes())
    found = problems(workshop)
    assert any("is the evidence for v0.3.0, not for v0.3.1" in problem for problem in found), found
    assert any("names none as the version in production" in problem for problem in found), found


def test_a_decision_against_another_production_is_refused_and_writes_nothing(workshop: Workshop) -> None:
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    request = workshop.candidate("b").request("v0.3.2")
    before = snapshot(workshop.folder)
    for stale in (ExpectedProduction(None), ExpectedProduction("v0.2.0")):
        with pytest.raises(Refused, match=r"when this was decided, and it is v0\.3\.0 now; decide again"):
            promote(replace(request, against=stale), workshop.context(), workshop.tracking, DEV)
    assert snapshot(workshop.folder) == before
    promote(replace(request, against=ExpectedProduction("v0.3.0")), workshop.context(), workshop.tracking, DEV)
    promote(
        replace(request, against=ExpectedProduction("v0.3.0")), workshop.context(), workshop.tracking, DEV
    )  # again: as it is


def test_production_that_moves_after_the_check_is_still_seen(workshop: Workshop) -> None:
    """It moves between the examination and the claim, to a version that is still lower than ours."""
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    request = replace(workshop.candidate("b").request("v0.3.2"), against=ExpectedProduction("v0.3.0"))

    class Overtaken(DirectoryTracking):
        downloads = 0

        def download(self, run_id: str, destination: Path, progress: object = None, name: str | None = None) -> None:
            super().download(run_id, destination, name=name)
            self.downloads += 1
            if self.downloads == 1:
                workshop.promote(workshop.candidate("c"), "v0.3.1")

    tracking = Overtaken(workshop.tracking.root)
    with pytest.raises(Refused, match=r"production was v0\.3\.0 when this was decided, and it is v0\.3\.1 now"):
        promote(request, workshop.context(), tracking, DEV)
    assert workshop.context().journal.read("v0.3.2") is None


# --- signatures


def test_signed_evidence_is_proved_offline(signed: Workshop, keys: tuple[Path, Path]) -> None:
    assert problems(signed, keys[1]) == []
    assert problems(signed) == []


def test_openssl_agrees(signed: Workshop, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """The envelope is DSSE as others verify it: its signature is Ed25519's over the pre-authentication encoding."""
    evidence, signature = (path.read_bytes() for path in paths(signed, keys[1]))
    envelope = json.loads(signature)
    assert base64.b64decode(envelope["payload"]) == evidence
    kind = envelope["payloadType"].encode()
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(evidence), evidence)
    (tmp_path / "pae").write_bytes(pae)
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        str(keys[1]),
        "-rawin",
        "-in",
        str(tmp_path / "pae"),
    ]
    done = subprocess.run([*command, "-sigfile", str(tmp_path / "sig")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def unsigned(workshop: Workshop, keys: tuple[Path, Path]) -> str:
    paths(workshop, keys[1])[1].unlink()
    return "is missing: this key did not sign the evidence for v0.3.1"


def altered_signature(workshop: Workshop, keys: tuple[Path, Path]) -> str:
    path = paths(workshop, keys[1])[1]
    envelope = json.loads(path.read_bytes())
    made = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    made[0] ^= 1
    envelope["signatures"][0]["sig"] = base64.b64encode(made).decode()
    path.write_bytes(pretty_json(envelope))
    return "was not signed by this key"


def signature_of_another_promotion(workshop: Workshop, keys: tuple[Path, Path]) -> str:
    paths(workshop, keys[1])[1].write_bytes(paths(workshop, keys[1], "v0.3.0")[1].read_bytes())
    return "is the signature of something else"


def no_envelope(workshop: Workshop, keys: tuple[Path, Path]) -> str:
    paths(workshop, keys[1])[1].write_bytes(b"[1]")
    return "is not a DSSE envelope"


def signed_by_another_under_our_name(workshop: Workshop, keys: tuple[Path, Path]) -> str:
    evidence, path = paths(workshop, keys[1])
    other = DsseSigner(make_key(workshop.folder, "other")[0])
    envelope = other.sign(evidence.read_bytes()).replace(other.key_id.encode(), DsseVerifier(keys[1]).key_id.encode())
    path.write_bytes(envelope)
    return "was not signed by this key"


def another_kind_of_payload(workshop: Workshop, keys: tuple[Path, Path]) -> str:
    path = paths(workshop, keys[1])[1]
    path.write_bytes(path.read_bytes().replace(b"application/vnd.in-toto+json", b"application/vnd.in-toto-json"))
    return "was not signed by this key"


def altered_evidence(workshop: Workshop, keys: tuple[Path, Path]) -> str:
    path = paths(workshop, keys[1])[0]
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    return "is the signature of something else"


@pytest.mark.parametrize(
    "tamper",
    [
        unsigned,
        altered_signature,
        signature_of_another_promotion,
        no_envelope,
        signed_by_another_under_our_name,
        another_kind_of_payload,
        altered_evidence,
    ],
)
def test_what_the_key_did_not_sign_is_found(
    signed: Workshop, keys: tuple[Path, Path], tamper: Callable[[Workshop, tuple[Path, Path]], str]
) -> None:
    words = tamper(signed, keys)
    found = problems(signed, keys[1])
    assert any(words in problem for problem in found), found


def test_a_signature_that_lies_beside_other_evidence_is_found_without_a_key(
    signed: Workshop, keys: tuple[Path, Path]
) -> None:
    signature_of_another_promotion(signed, keys)
    assert any("is a signature of" in problem for problem in problems(signed))


def test_another_key_has_signed_nothing(signed: Workshop, tmp_path: Path) -> None:
    found = problems(signed, make_key(tmp_path, "other")[1])
    assert len([problem for problem in found if "this key did not sign" in problem]) == 2


@pytest.mark.slow
def test_a_key_may_be_replaced(signed: Workshop, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """A promotion that died after signing is done again with a new key: both signatures stay, and both are good."""
    new = make_key(tmp_path, "new")
    evidence = paths(signed, keys[1])[0].read_bytes()
    record = read_record(signed)
    signer = DsseSigner(new[0])
    signed.store.create(signature_key(record.canonical_sha, record.evidence, signer.key_id), signer.sign(evidence))
    assert problems(signed, keys[1]) == []
    assert problems(signed, keys[1], new[1]) == []
    # The new key alone has signed neither the older evidence nor the events.
    found = problems(signed, new[1])
    assert [problem.partition(":")[2][:7] for problem in found] == [" is sig", " is sig", " is mis"]


def test_signing_again_gives_the_same_bytes(keys: tuple[Path, Path]) -> None:
    first, second = DsseSigner(keys[0]), DsseSigner(keys[0])
    assert first.sign(b"evidence") == second.sign(b"evidence")
    assert first.key_id == DsseVerifier(keys[1]).key_id
    with pytest.raises(IntegrityFailure, match="something else"):
        DsseVerifier(keys[1]).check(first.sign(b"evidence"), b"other evidence")


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
    for use in (DsseSigner, DsseVerifier):
        with pytest.raises(UsageFailure) as refusal:
            use(path)
        assert "c2VjcmV0" not in str(refusal.value)
        assert refusal.value.__cause__ is None or content is None


@pytest.mark.slow
def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    private, public = make_key(tmp_path, "rsa", "RSA")
    with pytest.raises(UsageFailure, match="not an Ed25519 private key"):
        DsseSigner(private)
    with pytest.raises(UsageFailure, match="not an Ed25519 public key"):
        DsseVerifier(public)


@pytest.mark.slow
def test_the_command_verifies(signed: Workshop, keys: tuple[Path, Path], capfd: pytest.CaptureFixture[str]) -> None:
    command = ["registry", "verify", "--offline", "--registry", str(signed.folder / "registry")]
    assert run([*command, "--public-key", str(keys[1])]) == Exit.OK
    assert f"all evidence signed by {DsseVerifier(keys[1]).key_id}" in capfd.readouterr().out
    unsigned(signed, keys)
    assert run([*command, "--public-key", str(keys[1])]) == Exit.INTEGRITY
    assert "did not sign" in capfd.readouterr().out
    assert run(command) == Exit.OK


def test_evidence_parses_as_it_was_written(signed: Workshop) -> None:
    from lynxgate.registry.statement import Statement

    statement = parse_document(pretty_json(statement_of(signed)), Statement, where="evidence")
    assert statement.predicate.promotion.production_before == "v0.3.0"


# --- signed history


@pytest.mark.slow
def test_after_a_signed_event_none_is_unsigned(signed: Workshop, keys: tuple[Path, Path]) -> None:
    """Refused before anything is written; the sentence names the option."""
    candidate = signed.candidate("c")
    before = snapshot(signed.folder)
    for act in (
        lambda: promote_signed(signed, "c", "v0.4.0", None),
        lambda: roll_back("v0.3.0", signed.context(), DEV),
        lambda: tombstone(signed.candidate("a").sha, "leaks names", signed.context(), DEV),
    ):
        with pytest.raises(Refused, match="--signing-key or LYNXGATE_SIGNING_KEY"):
            act()
    assert snapshot(signed.folder) == before
    context = replace(signed.context(), signer=DsseSigner(keys[0]))
    roll_back("v0.3.0", context, DEV)
    tombstone(signed.candidate("b").sha, "leaks names", context, DEV)
    promote(candidate.request("v0.4.0"), context, signed.tracking, DEV)
    assert problems(signed, keys[1]) == []


class MuchLaterStore(LaterStore):
    """The registry two hours later: the lease of who tried an hour ago is over too."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


def test_a_signed_promotion_is_recovered_with_a_key(signed: Workshop, keys: tuple[Path, Path]) -> None:
    """Its process ended just before the commit: MLflow has the tag, and the event is still to be written."""
    index = signed.folder / "registry" / "index.jsonl"
    index.write_bytes(index.read_bytes().splitlines(keepends=True)[0])
    found = signed.context().journal.read("v0.3.1")
    assert found is not None
    signed.context().journal.advance(found, state=State.PENDING, event=None)
    with pytest.raises(Refused, match="--signing-key"):
        recover_all(signed.context(signed.later))
    later = replace(signed.context(MuchLaterStore(signed.folder / "registry")), signer=DsseSigner(keys[0]))
    assert [record.state for record in recover_all(later)] == [State.PROMOTED]
    assert problems(signed, keys[1]) == []


def test_events_before_the_first_signature_are_named(workshop: Workshop, keys: tuple[Path, Path]) -> None:
    promote_signed(workshop, "a", "v0.3.0", None)
    promote_signed(workshop, "b", "v0.3.1", keys[0])
    assert problems(workshop) == []
    found = problems(workshop, keys[1])
    assert len(found) == 2
    assert any(problem == "index event 1: is not signed" for problem in found)


def test_an_event_is_covered_in_every_field(signed: Workshop, keys: tuple[Path, Path]) -> None:
    event = read_promotion(signed).event
    verifier = DsseVerifier(keys[1])
    assert event.signature is not None
    verifier.check_event(event.signature.value, event.signed_bytes())
    changes = {
        "number": 7,
        "previous": "0" * 64,
        "at": "2026-01-01T00:00:00+00:00",
        "canonical_sha": "1" * 64,
        "semver": "v0.3.7",
        "mlflow_run_id": "1" * 32,
        "evidence": "1" * 64,
        "production_before": None,
        "reason": "a reason",
    }
    for name, value in changes.items():
        forged = event.model_copy(update={name: value})
        with pytest.raises(IntegrityFailure, match="was not signed by this key"):
            verifier.check_event(event.signature.value, forged.signed_bytes())
    # A signature of evidence is none of an event, and the other way round.
    with pytest.raises(IntegrityFailure):
        verifier.check_event(DsseSigner(keys[0]).sign_event(b"{}"), b"{ }")


@pytest.mark.slow
def test_a_head_is_pinned(signed: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["registry", "verify", "--offline", "--registry", str(signed.folder / "registry")]
    assert run([*command, "--json"]) == Exit.OK
    head = json.loads(capfd.readouterr().out)["head"]
    assert run([*command, "--expect-head", head]) == Exit.OK
    first = digest_bytes(next(iter(signed.store.lines())))
    for wrong, words in (
        (f"1:{first}", f"index: goes on to event 2 after the expected head 1:{first}"),
        (f"2:{first}", "index event 2: hashes to"),
        (f"3:{first}", "index: ends at event 2, before the expected head"),
    ):
        capfd.readouterr()
        assert run([*command, "--expect-head", wrong]) == Exit.INTEGRITY
        assert words in capfd.readouterr().out
    for nonsense in ("", "2", "0:" + first, "2:" + first[1:], f"-1:{first}", "9" * 5000 + ":" + first):
        assert run([*command, "--expect-head", nonsense]) == Exit.USAGE
