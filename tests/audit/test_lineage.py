"""The lineage of a version, down to one whose baseline names none; missing and cyclic parents; hostile names."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lynxgate.adapters.mlflow import MlflowTracking
from lynxgate.audit.lineage import Generation, trace
from lynxgate.audit.lineage_report import as_mermaid, as_text, as_tree
from lynxgate.audit.promoted_evaluations import read_promoted
from lynxgate.cli.app import run
from lynxgate.errors import CannotJudge, IntegrityFailure
from lynxgate.ports import RunFacts
from lynxgate.registry.layout import evidence_key
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import parse_json
from minieval.contract.exits import Exit
from minieval.contract.report import EvalSetIdentity
from tests.promotion.workshop import Candidate, Workshop
from tests.servers import MlflowServer, client_of

HOSTILE = 'eval "]; click v0 "javascript:alert(1)" %%{init: {}}%% <script>`end` `#quot;'


def measured_on(candidate: Candidate, **source: str) -> Candidate:
    """The candidate under a baseline with this source."""
    tree = json.loads(candidate.baseline)
    return replace(candidate, baseline=json.dumps({**tree, "source": source}).encode())


def line(workshop: Workshop) -> Workshop:
    """v0.3.0; v0.3.1 measured against it; v0.4.0 against v0.3.1, which is named by its SHA alone."""
    a, b = workshop.candidate("a"), workshop.candidate("b")
    workshop.promote(a, "v0.3.0")
    workshop.promote(measured_on(b, semver="v0.3.0", canonical_sha=a.sha), "v0.3.1")
    workshop.promote(measured_on(workshop.candidate("c"), canonical_sha=b.sha), "v0.4.0")
    return workshop


def test_down_to_the_first(workshop: Workshop) -> None:
    line(workshop)
    workshop.tracking.set_tag(workshop.candidate("b").run_id, "training_data_sha256", "d" * 64)
    generations = trace(workshop.store, "v0.4.0", workshop.tracking)
    assert [(each.semver, each.parent) for each in generations] == [
        ("v0.4.0", "v0.3.1"),
        ("v0.3.1", "v0.3.0"),
        ("v0.3.0", None),
    ]
    assert [each.training_data_sha256 for each in generations] == [None, "d" * 64, None]
    assert {each.eval_set.dvc_md5 for each in generations} == {"a" * 32}
    assert generations[0].run_id == workshop.candidate("c").run_id
    assert [each.training_data_sha256 for each in trace(workshop.store, "v0.4.0", None)] == [None] * 3


def test_a_baseline_of_a_bundle_that_was_never_promoted_is_an_end(workshop: Workshop) -> None:
    workshop.promote(measured_on(workshop.candidate("a"), canonical_sha="e" * 64), "v0.3.0")
    (only,) = trace(workshop.store, "v0.3.0", None)
    assert (only.parent, only.origin_sha) == (None, "e" * 64)
    assert "not promoted here" in as_text([only], queried=False)
    assert "not promoted here<br/>eeeeeeeeeeee" in as_mermaid([only])


def test_what_is_not_promoted_has_no_lineage(workshop: Workshop) -> None:
    workshop.open_registry()
    with pytest.raises(CannotJudge, match=r"v0\.3\.0 is not promoted"):
        trace(workshop.store, "v0.3.0", None)


def test_a_version_that_the_registry_does_not_know_is_an_end(workshop: Workshop) -> None:
    """The documented path: a baseline of v0.1.0, which no gate promoted, and v0.2.0 as the first promotion."""
    a, b = workshop.candidate("a"), workshop.candidate("b")
    workshop.promote(measured_on(b, semver="v0.1.0", canonical_sha=a.sha), "v0.2.0")
    (only,) = generations = trace(workshop.store, "v0.2.0", None)
    assert (only.parent, only.origin_semver, only.origin_sha) == (None, "v0.1.0", a.sha)
    assert f"measured on v0.1.0 {a.sha}, not promoted here" in as_text(generations, queried=False)
    assert f"not promoted here<br/>v0.1.0<br/>{a.sha[:12]}" in as_mermaid(generations)
    assert as_tree(generations)[0]["baseline"]["source_semver"] == "v0.1.0"
    assert as_tree(generations)[0]["baseline"]["source_is_promoted"] is False
    # A later version goes on down to it.
    workshop.promote(measured_on(workshop.candidate("c"), semver="v0.2.0"), "v0.3.0")
    assert [each.semver for each in trace(workshop.store, "v0.3.0", None)] == ["v0.3.0", "v0.2.0"]


@pytest.mark.parametrize("named", ["v0.1.0", "v0.2.0"])
def test_the_same_bundle_is_an_end(named: str, workshop: Workshop) -> None:
    """As in the demo: the baseline was measured on the bundle that is then promoted, perhaps as that very version."""
    a = workshop.candidate("a")
    workshop.promote(measured_on(a, semver=named, canonical_sha=a.sha), "v0.1.0")
    (only,) = generations = trace(workshop.store, "v0.1.0", None)
    assert only.parent is None
    assert f"measured on {named} {a.sha}, the same bundle" in as_text(generations, queried=False)
    assert f"the same bundle<br/>{named}" in as_mermaid(generations)


def test_the_same_version_is_an_end(workshop: Workshop) -> None:
    a, b = workshop.candidate("a"), workshop.candidate("b")
    workshop.promote(measured_on(b, semver="v0.1.0", canonical_sha=a.sha), "v0.1.0")
    assert [each.parent for each in trace(workshop.store, "v0.1.0", None)] == [None]


def test_a_parent_of_another_bundle_fails(workshop: Workshop) -> None:
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    workshop.promote(measured_on(workshop.candidate("b"), semver="v0.3.0", canonical_sha="e" * 64), "v0.3.1")
    with pytest.raises(IntegrityFailure, match=r"names e{64} as v0\.3\.0"):
        trace(workshop.store, "v0.3.1", None)


def test_cyclic_parents_fail(workshop: Workshop) -> None:
    workshop.promote(measured_on(workshop.candidate("a"), semver="v0.3.1"), "v0.3.0")
    workshop.promote(measured_on(workshop.candidate("b"), semver="v0.3.0"), "v0.3.1")
    with pytest.raises(IntegrityFailure, match=r"v0\.3\.1 is its own ancestor \(v0\.3\.1 <- v0\.3\.0 <- v0\.3\.1\)"):
        trace(workshop.store, "v0.3.1", None)


def test_altered_evidence_fails(workshop: Workshop) -> None:
    line(workshop)
    held = workshop.context().journal.read("v0.3.1")
    assert held is not None
    path = workshop.folder / "registry" / evidence_key(held.record.canonical_sha, held.record.evidence)
    path.write_bytes(path.read_bytes().replace(b"v0.3.0", b"v0.2.0"))
    with pytest.raises(IntegrityFailure, match=digest_bytes(path.read_bytes())):
        trace(workshop.store, "v0.4.0", None)
    path.unlink()
    with pytest.raises(IntegrityFailure, match="is missing"):
        trace(workshop.store, "v0.4.0", None)


def test_evidence_for_another_registry_fails(workshop: Workshop) -> None:
    line(workshop)
    mark = workshop.folder / "registry" / "registry.json"
    own = json.loads(mark.read_bytes())
    mark.write_text(json.dumps({**own, "id": "f" * 32}))
    with pytest.raises(IntegrityFailure, match=f"is for the registry {own['id']} for dev, and this one is f{{32}}"):
        trace(workshop.store, "v0.3.0", None)
    mark.write_text(json.dumps({**own, "environment": "production"}))
    with pytest.raises(IntegrityFailure, match=r"for dev, and this one is .* for production"):
        read_promoted(workshop.store, "v0.3.0")


def hostile() -> Generation:
    identity = EvalSetIdentity(path=HOSTILE, dvc_md5="a" * 32)
    return Generation("v0.3.0", "b" * 64, "c" * 32, "d" * 64, identity, "e" * 64, None, None, None)


def test_mermaid_holds_no_character_of_what_somebody_named() -> None:
    """Every line is one of our own forms: quotes, brackets, markup and keywords of a name are entities in a label."""
    text = as_mermaid([hostile()])
    node = r'\w+(\[|\(|\[\()"(?:[A-Za-z0-9 ./_:]|#\d+;|<br/>)*"(\]|\)|\)\])'
    first, *lines = text.splitlines()
    assert first == "flowchart LR"
    for each in lines:
        assert re.fullmatch(rf"  ({node}( --> \w+)?|\w+ -->\|baseline\| \w+)", each), each
    assert "".join(chr(int(code)) for code in re.findall(r"#(\d+);", lines[-1])) == re.sub(r"[\w ./:]", "", HOSTILE)


def test_text_stays_on_its_lines() -> None:
    text = as_text(
        [replace(hostile(), eval_set=EvalSetIdentity(path="a\u202eb\u2028c", dvc_md5="a" * 32))], queried=True
    )
    assert len(text.splitlines()) == 6
    assert "\\u{202e}" in text


def test_json_is_strict(workshop: Workshop) -> None:
    tree = as_tree(trace(line(workshop).store, "v0.4.0", None))
    assert parse_json(json.dumps(tree).encode(), where="lineage") == tree


@pytest.mark.slow
def test_the_command(workshop: Workshop, capfd: pytest.CaptureFixture[str]) -> None:
    line(workshop)
    command = ["registry", "lineage", "v0.4.0", "--offline", "--registry", str(workshop.folder / "registry")]
    assert run(command) == Exit.OK
    out = capfd.readouterr().out
    assert [text.split()[0] for text in out.splitlines() if not text.startswith(" ")] == ["v0.4.0", "v0.3.1", "v0.3.0"]
    assert run([*command, "--format", "mermaid"]) == Exit.OK
    assert capfd.readouterr().out.startswith("flowchart LR\n")
    for options in (["--format", "json"], ["--json"]):
        assert run([*command, *options]) == Exit.OK
        tree = parse_json(capfd.readouterr().out.encode(), where="stdout")
        assert [each["baseline"]["source_semver"] for each in tree] == ["v0.3.1", "v0.3.0", None]
    assert run([*command, "--format", "svg"]) == Exit.USAGE
    assert run([*command, "--format", "mermaid", "--json"]) == Exit.USAGE


class TestRunFacts:
    """What a run on a real server says of its training data."""

    def test_as_tag_or_parameter_or_not_at_all(self, mlflow_server: MlflowServer, fresh_run: tuple[str, str]) -> None:
        run_id, tracking, client = fresh_run[0], MlflowTracking(mlflow_server.url), client_of(mlflow_server.url)
        assert tracking.read_facts(run_id) == RunFacts(None)
        client.log_param(run_id, "training_data_sha256", "a" * 64)
        assert tracking.read_facts(run_id) == RunFacts("a" * 64)
        client.set_tag(run_id, "training_data_sha256", "a" * 64)
        assert tracking.read_facts(run_id) == RunFacts("a" * 64)
        client.set_tag(run_id, "training_data_sha256", "b" * 64)
        with pytest.raises(CannotJudge, match="with different values"):
            tracking.read_facts(run_id)

    def test_what_is_no_hash(self, mlflow_server: MlflowServer, fresh_run: tuple[str, str]) -> None:
        client_of(mlflow_server.url).set_tag(fresh_run[0], "training_data_sha256", "yesterday's")
        with pytest.raises(CannotJudge, match="not a SHA-256"):
            MlflowTracking(mlflow_server.url).read_facts(fresh_run[0])
        with pytest.raises(CannotJudge, match="has no run"):
            MlflowTracking(mlflow_server.url).read_facts("0" * 32)


def test_paths_are_not_followed(tmp_path: Path) -> None:
    """A version is parsed before it becomes a key."""
    assert run(["registry", "lineage", "../../etc/passwd", "--registry", str(tmp_path)]) == Exit.USAGE
