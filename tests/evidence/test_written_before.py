"""What commit 5ac7d5b wrote stays readable: its verdicts replay, its evidence and registries verify and go on.

The files are in `tests/fixtures/written_by_5ac7d5b`, whose README.md describes them. They are never edited.

- Only exit codes, JSON and outcomes are asserted, no sentence: sentences are reworded.
- A `lynxgate.verdict/1` is compared by what was decided and not by its words: gates from 0.2.0 on write other words.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

# Modules of the library move: this block follows them, and nothing below does.
from lynxgate.adapters.dsse import DsseSigner
from lynxgate.adapters.local import DirectoryStore
from lynxgate.analysis.replay import replay
from lynxgate.audit.lineage import trace
from lynxgate.audit.verify import audit
from lynxgate.cli.app import run
from lynxgate.decision.groups import Groups, read_groups
from lynxgate.decision.verdict import Verdict, parse_verdict
from lynxgate.errors import Refused
from lynxgate.promotion.examine import Request
from lynxgate.promotion.promote import Ending, promote
from lynxgate.promotion.rollback import roll_back
from lynxgate.promotion.tombstones import tombstone
from lynxgate.registry.statement import Statement
from minieval.contract.documents import parse_document
from minieval.contract.exits import Exit
from tests.promotion.workshop import DEV, DirectoryTracking, Workshop
from tests.registry.test_evidence import make_key

FIXTURES = Path(__file__).parent.parent / "fixtures" / "written_by_5ac7d5b"
VERDICTS, REGISTRIES = FIXTURES / "verdicts", FIXTURES / "registries"
CASES: Mapping[str, Any] = json.loads((VERDICTS / "cases.json").read_bytes())
WITH_GROUPS = sorted(name for name, case in CASES.items() if case["eval_set"])
ENTRIES = sorted(path.relative_to(REGISTRIES).as_posix() for path in REGISTRIES.glob("registry*/entries/**/*.json"))
FILES, DIGEST = 146, "88a3bbdc4963fe22621a322bd17dc282ee04404a65ac5500382a86c173817abb"
# Replay repeats a decision by version 1 of the rules; a new one is taken by version 2, for which 60 groups with three
# losses are too few.
DECIDED_TODAY = {"groups-passed": Exit.CANNOT_JUDGE}
NOWHERE = ["--tracking-uri", "http://127.0.0.1:9"]  # for commands that have nothing to change in MLflow
A, B, C, D = (
    "78c97be8e6b1c7746e8dd4f5f8c34fbcd5d284ff6acf84167c307fb6ee3bde9f",
    "ddd7530138e35188e8ab37f63967dad5c81773d30e385a347b9a584c9cc3e00c",
    "e8e81afe95764f866821ef841a40dc475d91433a87b2c0f55c4522af6e2fab2a",
    "2e59d11478990781438f86515891e63f1bea2d9ea9a2adc21a37d01cd3f8d41a",
)


def test_the_files_are_those_that_were_written() -> None:
    files = {
        path.relative_to(FIXTURES).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in (VERDICTS, REGISTRIES)
        for path in folder.rglob("*")
        if path.is_file()
    }
    listing = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    assert (len(files), hashlib.sha256(listing.encode()).hexdigest()) == (FILES, DIGEST)
    assert {path.name for path in VERDICTS.iterdir() if path.is_dir()} == CASES.keys()


# --- verdicts ---------------------------------------------------------------------------------------------------------


def documents(name: str) -> tuple[bytes, bytes, bytes]:
    """Verdict, evaluation and baseline of a case."""
    verdict, evaluation, baseline = (f"{kind}.json" for kind in ("verdict", "evaluation", "baseline"))
    folder = VERDICTS / name
    return (folder / verdict).read_bytes(), (folder / evaluation).read_bytes(), (folder / baseline).read_bytes()


@cache
def groups_of(name: str) -> Groups | None:
    """The groups of a case's eval set, where it was given."""
    return read_groups(VERDICTS / name / "eval.jsonl") if CASES[name]["eval_set"] else None


def arguments(name: str, *, verdict: Path | None = None) -> list[str]:
    """The command that replays a case, perhaps with another verdict."""
    folder = VERDICTS / name
    words = ["replay", str(verdict or folder / "verdict.json"), "--candidate", str(folder / "evaluation.json")]
    words += ["--baseline", str(folder / "baseline.json")]
    return [*words, "--eval-set", str(folder / "eval.jsonl")] if CASES[name]["eval_set"] else words


def decided(verdict: Verdict) -> dict[str, Any]:
    """What was decided, as cases.json has it."""
    return {
        "exit": int(verdict.exit),
        "conditions": {each.name: str(each.outcome) for each in verdict.conditions},
        "aggregate": None if verdict.aggregate is None else str(verdict.aggregate.outcome),
        "rows": {row.bucket: str(row.outcome) for row in verdict.rows},
        "metrics": {row.metric: str(row.outcome) for row in verdict.metrics},
        "warnings": [row.metric for row in verdict.metrics if row.warning is not None],
    }


def expected(name: str) -> dict[str, Any]:
    return {key: value for key, value in CASES[name].items() if key not in {"about", "tolerance", "eval_set"}}


@pytest.mark.parametrize("name", CASES)
def test_a_verdict_parses_and_replays(name: str) -> None:
    verdict, evaluation, baseline = documents(name)
    assert decided(parse_verdict(verdict)) == expected(name)
    assert decided(replay(verdict, evaluation, baseline, groups=groups_of(name))) == expected(name)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.slow
def test_the_commands_read_it(name: str, tmp_path: Path) -> None:
    folder = VERDICTS / name
    files = [str(folder / f"{kind}.json") for kind in ("verdict", "evaluation", "baseline")]
    assert run(arguments(name)) == Exit.OK
    assert run(["validate", *files]) == Exit.OK
    assert run(["explain", files[0]]) == Exit.OK
    again = ["compare", *arguments(name)[2:], "--output", str(tmp_path / "verdict.json")]
    again += ["--tolerance", CASES[name]["tolerance"]] if CASES[name]["tolerance"] else []
    assert run(again) == DECIDED_TODAY.get(name, CASES[name]["exit"])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.slow
def test_another_decision_is_refused(name: str, tmp_path: Path) -> None:
    """Of every table of the verdict one outcome, then the evaluation that it names."""
    stored = json.loads(documents(name)[0])
    tables = [stored[key] for key in ("rows", "metrics", "conditions") if stored.get(key)]
    tables += [[stored["aggregate"]]] if stored["aggregate"] else []
    changed = tmp_path / "verdict.json"
    for row, *_ in tables:
        outcome = row["outcome"]
        row["outcome"] = "regressed" if outcome == "held" else "held"
        changed.write_text(json.dumps(stored, indent=2))
        assert run(arguments(name, verdict=changed)) == Exit.INTEGRITY
        row["outcome"] = outcome
    stored["inputs"]["evaluation_sha256"] = "0" * 64
    changed.write_text(json.dumps(stored, indent=2))
    assert run(arguments(name, verdict=changed)) == Exit.INTEGRITY


@pytest.mark.parametrize("name", WITH_GROUPS)
def test_groups_are_asked_for(name: str) -> None:
    """A verdict that respects groups does not replay without the eval set."""
    assert run(arguments(name)[:-2]) == Exit.CANNOT_JUDGE


def test_verdicts_of_every_kind_are_there() -> None:
    assert len(WITH_GROUPS) == 3
    assert {case["exit"] for case in CASES.values()} == {Exit.OK, Exit.REGRESSION, Exit.CANNOT_JUDGE}
    assert {json.loads(documents(name)[0])["rule"] for name in CASES} == {"point", "guard", "noninferior"}
    outcomes = {outcome for case in CASES.values() for outcome in case["rows"].values()}
    assert outcomes == {"held", "regressed", "inconclusive", "missing", "unmeasured", "new"}
    metrics = {outcome for case in CASES.values() for outcome in case["metrics"].values()}
    assert metrics == outcomes


# --- registries -------------------------------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The registries and runs, copied into the current folder, as a laptop works on them."""
    folder = tmp_path / "context"
    shutil.copytree(REGISTRIES, folder)
    monkeypatch.chdir(folder)
    for name in ("LYNXGATE_REGISTRY", "LYNXGATE_SIGNING_KEY", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in DEV.items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.mark.parametrize(
    "path", [entry for entry in ENTRIES if "/evidence/" in entry and not entry.endswith(".dsse.json")]
)
def test_the_verdict_in_evidence_follows_by_its_decision(path: str) -> None:
    """Other words follow from its documents; another outcome of any table does not."""
    statement = parse_document((REGISTRIES / path).read_bytes(), Statement, where=path)
    again, _, _ = statement.decide()

    def follows(tree: Any) -> bool:
        predicate = statement.predicate.model_copy(update={"verdict": tree})
        return statement.model_copy(update={"predicate": predicate}).follows(again)

    stored = json.loads(json.dumps(statement.predicate.verdict))
    assert follows(stored)
    rows = [*stored["conditions"], *stored["rows"], *stored.get("metrics", ())]
    rows += [stored["aggregate"]] if stored["aggregate"] else []
    assert len(rows) > 1
    for row in rows:
        row["reason"] = "in other words"
        assert follows(stored)
        outcome, row["outcome"] = row["outcome"], "regressed" if row["outcome"] == "held" else "held"
        assert not follows(stored)
        row["outcome"] = outcome
    # A /2 is written by the gate that the statement names.
    named = again.to_tree()
    assert not follows(named)


def verify(registry: str, *more: str) -> int:
    return run(["registry", "verify", "--offline", "--registry", registry, *more])


def answer(capfd: pytest.CaptureFixture[str], *words: str, registry: str = "registry", code: Exit = Exit.OK) -> Any:
    """The JSON that a command of the registry prints, which has to exit with ``code``."""
    capfd.readouterr()
    assert run(["registry", *words, "--registry", registry, "--json"]) == code
    return json.loads(capfd.readouterr().out)


def head_of(registry: str) -> str:
    """The number and the SHA-256 of the last line of the index."""
    lines = Path(registry, "index.jsonl").read_bytes().splitlines()
    return f"{len(lines)}:{hashlib.sha256(lines[-1]).hexdigest()}"


def documents_of(folder: Path, semver: str) -> tuple[bytes, bytes]:
    """Evaluation and baseline in the evidence of a version."""
    record = json.loads((folder / "registry" / "journal" / f"{semver}.json").read_bytes())
    evidence = folder / "registry" / "entries" / record["canonical_sha"] / "evidence" / f"{record['evidence']}.json"
    found = json.loads(evidence.read_bytes())["predicate"]["documents"]
    return found["evaluation"].encode(), found["baseline"].encode()


@pytest.mark.usefixtures("copied")
@pytest.mark.slow
def test_the_registries_verify(capfd: pytest.CaptureFixture[str]) -> None:
    key = ("--public-key", "key.pub.pem")
    assert verify("registry") == Exit.OK
    assert verify("registry-signed", *key) == Exit.OK
    found = answer(capfd, "verify", "--offline")
    assert found == {"promotions": 3, "entries": 4, "head": head_of("registry"), "findings": []}
    found = answer(capfd, "verify", "--offline", *key, registry="registry-signed")
    assert found == {"promotions": 2, "entries": 2, "head": head_of("registry-signed"), "findings": []}
    # Only v0.2.0 is signed there, and the key has to have signed all.
    found = answer(capfd, "verify", "--offline", *key, code=Exit.INTEGRITY)
    assert [each["place"].split("/")[1] for each in found["findings"]] == [A, C]


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize("registry", ["registry", "registry-signed"])
def test_the_tags_of_the_runs_agree(registry: str) -> None:
    store, tracking = DirectoryStore(Path(registry)), DirectoryTracking(Path("mlflow"))
    # Both registries of the fixture stand on one MLflow: each confirms the tags that the other does not know.
    (other,) = {"registry", "registry-signed"} - {registry}
    sharing = [DirectoryStore(Path(other))]
    assert audit(store, tracking, sharing=sharing).findings == ()
    (tag,) = Path("mlflow", B[:32], "tags").glob(f"lynxgate.semver.{'v0.2.0' if registry == 'registry' else 'v1.0.0'}")
    tag.write_text(A)
    (finding,) = audit(store, tracking, sharing=sharing).findings
    assert B[:32] in finding.place


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.slow
def test_a_changed_byte_is_found(entry: str, copied: Path) -> None:
    """In evidence, signatures and manifests: the middle byte of each."""
    registry, path = entry.partition("/")[0], copied / entry
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    key = ("--public-key", "key.pub.pem") if registry == "registry-signed" else ()
    assert verify(registry, *key) == Exit.INTEGRITY


@pytest.mark.usefixtures("copied")
def test_the_history_is_read(capfd: pytest.CaptureFixture[str]) -> None:
    listed = answer(capfd, "list", "--all")
    events = [(event["kind"], event.get("semver"), event["canonical_sha"]) for event in listed["events"]]
    assert listed["production"] == "v0.2.0"
    assert events == [
        ("promoted", "v0.1.0", A),
        ("promoted", "v0.2.0", B),
        ("promoted", "v0.3.0", C),
        ("rolled-back", "v0.2.0", B),
        ("tombstoned", None, C),
    ]
    states = {
        semver: [(record["state"], record["canonical_sha"]) for record in answer(capfd, "show", semver)]
        for semver in ("v0.1.0", "v0.2.0", "v0.3.0", "v0.4.0", "v0.4.1")
    }
    assert states == {
        "v0.1.0": [("promoted", A)],
        "v0.2.0": [("promoted", B)],
        "v0.3.0": [("promoted", C)],
        "v0.4.0": [("rolled-back", D)],
        "v0.4.1": [("in-doubt", D)],
    }
    signed = answer(capfd, "list", "--all", registry="registry-signed")
    assert [event["semver"] for event in signed["events"]] == ["v1.0.0", "v1.1.0"]


@pytest.mark.usefixtures("copied")
def test_the_lineage_is_read(capfd: pytest.CaptureFixture[str]) -> None:
    ways = {"registry": ["v0.3.0", "v0.2.0", "v0.1.0"], "registry-signed": ["v1.1.0", "v1.0.0"]}
    for registry, way in ways.items():
        found = answer(capfd, "lineage", way[0], "--offline", registry=registry)
        assert [each["semver"] for each in found] == way
    generations = trace(DirectoryStore(Path("registry")), "v0.3.0", DirectoryTracking(Path("mlflow")))
    training = [hashlib.sha256(name).hexdigest() for name in (b"c", b"b", b"a")]
    assert [each.training_data_sha256 for each in generations] == training


def test_a_gate_that_was_counted_without_its_answers_counts_on(copied: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An entry of then does not name what the bundle answered, so the same comparison is another one, and then free."""
    evaluation, baseline = documents_of(copied, "v0.2.0")
    Path("evaluation.json").write_bytes(evaluation)
    Path("baseline.json").write_bytes(baseline)
    for free in (False, True):
        found = answer(capfd, "count-gate", "--evaluation", "evaluation.json", "--baseline", "baseline.json")
        assert (found["used"], found["free"]) == (2, free)
    assert len(list(Path("registry", "gates").rglob("*.json"))) == 2


@pytest.mark.slow
def test_the_registry_goes_on(copied: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What stood there is repeated, a rollback and a tombstone are added, and a new promotion is refused."""
    workshop = Workshop(copied)
    evaluation, baseline = documents_of(copied, "v0.2.0")
    bundle = workshop.tracking.root / B[:32] / "model"
    again = promote(Request(B, "v0.2.0", evaluation, baseline, bundle), workshop.context(), workshop.tracking, DEV)
    assert again.ending is Ending.ALREADY
    assert answer(capfd, "recover", *NOWHERE) == []
    for semver in ("v0.4.0", "v0.4.1"):
        evaluation, baseline = documents_of(copied, semver)
        request = Request(D, semver, evaluation, baseline, workshop.tracking.root / D[:32] / "model")
        with pytest.raises(Refused):  # its entries have the older format, and it takes no new promotion
            promote(request, workshop.context(), workshop.tracking, DEV)
    assert run(["registry", "rollback", "--to", "v0.3.0", "--registry", "registry", *NOWHERE]) == Exit.REFUSED
    assert answer(capfd, "rollback", "--to", "v0.1.0", *NOWHERE)["production"] == "v0.1.0"
    assert answer(capfd, "tombstone", D, "--reason", "replaced", *NOWHERE)["written"] is True
    found = answer(capfd, "verify", "--offline")
    assert found == {"promotions": 3, "entries": 4, "head": head_of("registry"), "findings": []}
    sharing = [DirectoryStore(Path("registry-signed"))]  # the other registry on the fixture's MLflow
    assert audit(workshop.store, workshop.tracking, sharing=sharing).findings == ()


@pytest.mark.slow
def test_a_signed_registry_goes_on(copied: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With a new key: its first event confirms the events without a signature before it."""
    private, public = make_key(tmp_path)
    workshop = Workshop(copied)
    context = replace(workshop.context(DirectoryStore(Path("registry-signed"))), signer=DsseSigner(private))
    # A rollback, since its entries have the older format, with which no new promotion is made.
    assert roll_back("v1.0.0", context, DEV)[0].semver == "v1.0.0"
    tombstone(C, "replaced", context, DEV)  # an event of the newer version that follows one
    capfd.readouterr()
    assert verify("registry-signed", "--public-key", "key.pub.pem", "--public-key", str(public)) == Exit.OK
    assert "; 2 events of an older version are not signed" in capfd.readouterr().out
    # Without a signature, and as of the older version, an event after it is found by both rules.
    index = Path("registry-signed", "index.jsonl")
    lines = index.read_bytes().splitlines()
    last = json.loads(lines[-1])
    del last["signature"]
    for schema, keys in (("lynxgate.event/1", ()), ("lynxgate.event/2", ("--public-key", "key.pub.pem"))):
        lines[-1] = json.dumps({**last, "schema": schema}, sort_keys=True, separators=(",", ":")).encode()
        index.write_bytes(b"".join(line + b"\n" for line in lines))
        assert verify("registry-signed", *keys) == Exit.INTEGRITY
