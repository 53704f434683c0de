"""The targets: what a fuzzer calls with bytes. One for each parser of bytes that somebody else may have written.

- A target returns, or raises an error of `ALLOWED`. Anything else is a finding, an `AssertionError` included: where a
  parser has a property that every input must have, the target asserts it.
- A target touches neither network nor environment, and is fast: some hundred inputs a second.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lynxgate.candidate.dvc_pointer import parse_dvc_file, parse_dvc_lock
from lynxgate.candidate.lock_check import _read_pins
from lynxgate.decision.baseline import parse_baseline
from lynxgate.decision.consistency import check_baseline, check_evaluation
from lynxgate.decision.decide import decide_bytes, decide_bytes_again, parse_tolerance
from lynxgate.decision.documents import find_problems
from lynxgate.decision.effective_policy import describe_policy
from lynxgate.decision.enforceable import check_advisory_terms, check_enforceable
from lynxgate.decision.groups import parse_groups
from lynxgate.decision.verdict import Verdict, parse_verdict
from lynxgate.errors import Exit, GateError
from lynxgate.escape import visible_lines
from lynxgate.importers import PROVIDERS, Origin, add_to_document, build_evaluation, read_foreign
from lynxgate.promotion.eval_set_usage import UsageEntry
from lynxgate.pull_request.event import parse_labelled_event
from lynxgate.pull_request.receipt import parse_receipt, parse_usage
from lynxgate.pull_request.request import looks_like_request, parse_requests
from lynxgate.pull_request.visible_lines import find_plain_lines
from lynxgate.registry.events import Event, parse_head
from lynxgate.registry.layout import RegistryMark, Tags
from lynxgate.registry.record import Record
from lynxgate.registry.statement import Statement
from lynxgate.registry.tombstone import Tombstone
from lynxgate.reports.baseline_table import render_baseline
from lynxgate.reports.explanation import render_verdict
from lynxgate.reports.page import render_page
from lynxgate.reports.verdict_table import render_markdown, render_table
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, canonical_json, parse_document, parse_json
from minieval.contract.manifest import Manifest
from minieval.contract.mlmodel import MLMODEL, canonical_mlmodel, read_run_id
from minieval.contract.plain_yaml import NotPlainYaml, dump_yaml, parse_yaml
from minieval.contract.report import (
    Candidate,
    EvalSetIdentity,
    Evaluation,
    RowsIdentity,
    dump_evaluation,
    parse_evaluation,
)
from minieval.contract.run_note import RunNote
from minieval.data.kept_rows_reader import open_kept_rows
from minieval.data.own_rows import read_own_rows
from minieval.data.stream import WiderSchema, open_eval_set
from minieval.environment.difference import find_differences
from minieval.environment.requirements import FORBIDDEN, parse_lines
from minieval.environment.uv import read_lock
from minieval.runner.predictions import _check
from minieval.runner.wire import read_answer
from minieval.task.document import CONVENTIONS, Task, parse_task

ALLOWED = (GateError, NotPlainYaml)
_WHERE = "the input"
_MD5 = "a" * 32


@dataclass(frozen=True)
class Target:
    """One target; ``json`` is whether its inputs are JSON, which a mutator may change as a tree."""

    run: Callable[[bytes], object]
    json: bool = True


def check(target: Target, data: bytes) -> bool:
    """Run one input; return whether it was accepted.

    Raises:
        Exception: a finding.
    """
    try:
        target.run(data)
    except ALLOWED as error:
        # A message is for a person: it is never empty, and its code never says "bug".
        assert str(error).strip(), f"{type(error).__name__} without a message"
        assert getattr(error, "exit", Exit.CANNOT_JUDGE) is not Exit.BUG
        return False
    return True


def _json(data: bytes) -> None:
    tree = parse_json(data, where=_WHERE)
    try:
        canonical = canonical_json(tree)
    except ValueError:
        return  # an integer beyond 2^53 has no canonical form
    except TypeError:
        return  # nor has a Decimal: only what has no fraction is ever hashed
    assert canonical_json(parse_json(canonical, where="its canonical form")) == canonical


def _evaluation(data: bytes) -> None:
    find_problems(data, where=_WHERE)
    found = parse_evaluation(data, where=_WHERE)
    written = dump_evaluation(found)
    # Figures of more digits than a float has are written shorter; the shorter form is a fixed point.
    assert dump_evaluation(parse_evaluation(written, where="written again")) == written
    check_evaluation(found)


def _baseline(data: bytes) -> None:
    find_problems(data, where=_WHERE)
    found = parse_baseline(data, where=_WHERE)
    render_baseline(found)
    describe_policy(found)
    check_baseline(found)
    check_advisory_terms(found.policy)
    check_enforceable(found, found.policy)


def _render(verdict: Verdict) -> None:
    _ = verdict.exit, verdict.summary
    for text in (render_table(verdict), render_markdown(verdict, every=True), render_verdict(verdict)):
        visible_lines(text).encode()
    render_page(verdict).encode()


def _verdict(data: bytes) -> None:
    find_problems(data, where=_WHERE)
    found = parse_verdict(data, where=_WHERE)
    _render(found)
    again = parse_verdict(found.to_json(), where="written again")
    assert again.to_json() == found.to_json()


def _comparison(data: bytes) -> None:
    """Two documents with an empty line between them: the evaluation, and the baseline."""
    evaluation, _, baseline = data.partition(b"\n\n")
    verdict, _, _ = decide_bytes(evaluation, baseline)
    _render(verdict)
    assert parse_verdict(verdict.to_json()).to_json() == verdict.to_json()
    assert decide_bytes_again(evaluation, baseline)[0].to_json() == verdict.to_json()


def _statement(data: bytes) -> None:
    found = parse_document(data, Statement, where=_WHERE)
    written = found.to_bytes()
    assert parse_document(written, Statement, where="written again").to_bytes() == written
    verdict, _, _ = found.decide()
    found.follows(verdict)


def _event(data: bytes) -> None:
    found = parse_document(data, Event, where=_WHERE)
    again = parse_document(found.line(), Event, where="its line")
    assert (again, again.line()) == (found, found.line())
    assert parse_head(str(found.head)) == found.head
    found.signed_bytes()


def _record(data: bytes) -> None:
    """A document of a registry, by the schema that it names."""
    kinds: dict[str, type[Document]] = {
        "lynxgate.transaction/1": Record,
        "lynxgate.tombstone/1": Tombstone,
        "lynxgate.registry/1": RegistryMark,
        "lynxgate.registry/2": RegistryMark,
        "lynxgate.tags/1": Tags,
        "lynxgate.gate/1": UsageEntry,
    }
    tree = parse_json(data, where=_WHERE)
    schema = tree.get("schema") if isinstance(tree, dict) else None
    if schema == "lynxgate.groups/1":
        groups = parse_groups(data)
        assert parse_groups(groups.data).sha256 == groups.sha256
        return
    found = parse_document(data, kinds.get(str(schema), Manifest), where=_WHERE)
    match found:
        case Record():
            assert parse_document(found.to_bytes(), Record, where="written again") == found
            found.read_deadline()
        case Tombstone():
            assert parse_document(found.to_bytes(), Tombstone, where="written again") == found
        case Tags():
            _ = found.highest
        case Manifest():
            _ = found.canonical_sha


def _run_note(data: bytes) -> None:
    parse_document(data, RunNote, where=_WHERE)


def _rows(data: bytes) -> None:
    """The lines of an eval set."""
    _read_set(data, ".jsonl", CONVENTIONS)


def _csv(data: bytes) -> None:
    """An eval set in CSV."""
    _read_set(data, ".csv", BY_COLUMN)


def _kept_rows(data: bytes) -> None:
    """Rows in Parquet: those that were kept, and those of a command of one's own."""
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(data)
        file.flush()
        path = Path(file.name)
        with contextlib.suppress(GateError):
            read_own_rows(path, trials=1, graded=True)
        identity = RowsIdentity(path="rows.parquet", sha256=digest_bytes(data), lines=6)
        with open_kept_rows(path, identity, where=_WHERE) as rows:
            assert len(rows.read_marks(6, 1, graded=True)) == 6
            assert rows.read_lines(frozenset({1, 6})).keys() == {1, 6}


BY_COLUMN = parse_task(
    b'schema = "minieval.task/1"\nid = "id"\nexpected = "label"\ntypes = {n = "integer"}\n[buckets]\ncolumns = ["b"]\n',
    where=_WHERE,
)


def _read_set(data: bytes, suffix: str, task: Task) -> None:
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(data)
        file.flush()
        stream = open_eval_set(Path(file.name), task)
        try:
            batches = list(stream.batches(3))
        except WiderSchema:
            stream = stream.widen()
            batches = list(stream.batches(3))
        labels = {stream.roles.id, stream.roles.expected, stream.roles.accepted, *stream.roles.lists}
        for batch in batches:
            assert not labels & set(batch.features.column_names)
            assert len(batch.list_features()) == len(batch.table)
        _ = stream.leaks, stream.suspects


def _task(data: bytes) -> None:
    """A task file."""
    parse_task(data, where=_WHERE)


def _comment(data: bytes) -> None:
    """A comment of a pull request; a request in it is a line of the source, whatever surrounds it."""
    body = data.decode("utf-8", errors="replace")
    found = parse_requests(body)
    looks_like_request(body)
    plain = find_plain_lines(body)
    lines = {line.strip(" \t") for line in body.replace("\r\n", "\n").replace("\r", "\n").split("\n")}
    # NUL is shown as U+FFFD, by GitHub as well.
    assert set(plain) <= {line.replace("\0", "\ufffd") for line in lines}
    for each in found:
        model = () if each.model is None else (f"model={each.model}",)
        words = (f"mlflow_run_id={each.run_id}", f"semver={each.semver}", *model)
        assert any(tuple(line.split()) == words for line in lines)


def _printed(data: bytes) -> None:
    """What `promote` and `gate` printed, as the reporting job reads it."""
    text = data.decode("utf-8", errors="replace")
    parse_receipt(text)
    parse_usage(text)


def _labelled(data: bytes) -> None:
    event = parse_labelled_event(data, where=_WHERE)
    _ = event.number, event.head_sha, event.from_fork


def _import(provider: str) -> Callable[[bytes], None]:
    origin = Origin(provider, EvalSetIdentity(dvc_md5=_MD5), Candidate())
    host = parse_document(
        b'{"schema": "minieval.evaluation/1", "eval_set": {"dvc_md5": "' + _MD5.encode() + b'"}, '
        b'"buckets": {"a bucket": {"n": 4, "correct": 3}}}',
        Evaluation,
        where="the host",
    )
    host_bytes = dump_evaluation(host)

    def run(data: bytes) -> None:
        found = read_foreign(provider, data, where=_WHERE)
        merged = add_to_document(found, host_bytes, where=_WHERE, into="the host")
        assert parse_evaluation(merged).metrics.keys() == found.metrics.keys()
        if found.buckets:
            dump_evaluation(build_evaluation(found, origin, where=_WHERE))
        else:
            shares = read_foreign(provider, data, where=_WHERE, buckets=("*",))
            dump_evaluation(build_evaluation(shares, origin, where=_WHERE))

    return run


def _plain_yaml(data: bytes) -> None:
    value = parse_yaml(data)
    written = dump_yaml(value)
    assert _typed(parse_yaml(written)) == _typed(value)
    assert dump_yaml(parse_yaml(written)) == written
    # MLflow's loader reads the same from both; a value that Python's own loader refuses is not compared.
    try:
        theirs = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    assert _typed(theirs) == _typed(value)
    assert _typed(yaml.safe_load(written)) == _typed(value)


def _typed(value: Any) -> Any:
    """A value in which equal means equal in type too, NaN equals itself, and the order of keys counts."""
    match value:
        case dict():
            return tuple((_typed(key), _typed(each)) for key, each in value.items())
        case list():
            return [_typed(each) for each in value]
        case float():
            return "float", "nan" if math.isnan(value) else repr(value)
        case datetime.datetime():
            return "datetime", value.isoformat()
        case _:
            return type(value).__name__, value


_FOLDER = Path(tempfile.gettempdir())


def _in_file(name: str, data: bytes, read: Callable[[Path], object]) -> None:
    with tempfile.TemporaryDirectory(dir=_FOLDER, prefix="fuzz-") as folder:
        (Path(folder) / name).write_bytes(data)
        read(Path(folder))


def _mlmodel(data: bytes) -> None:
    def read(bundle: Path) -> None:
        canonical = canonical_mlmodel(bundle)
        read_run_id(bundle)
        (bundle / MLMODEL).write_bytes(canonical)
        assert canonical_mlmodel(bundle) == canonical
        assert read_run_id(bundle) is None

    _in_file(MLMODEL, data, read)


def _dvc(data: bytes) -> None:
    parse_dvc_file(data, where=_WHERE)


def _dvc_lock(data: bytes) -> None:
    """A dvc.lock and, after a line of its own, the dvc.yaml beside it."""
    lock, _, pipeline = data.partition(b"\n=====\n")
    for named in parse_dvc_lock(lock, pipeline, where=_WHERE):
        assert named.md5


def _lock(data: bytes) -> None:
    tuple(_read_pins(data.decode("utf-8", errors="replace")))


def _requirements(data: bytes) -> None:
    """What uv would get of a bundle's requirements: lines that are read again as the same requirement."""
    for line in parse_lines(data.decode("utf-8", errors="replace")):
        assert (line.requirement is None) == bool(line.reason)
        if line.requirement is not None:
            written = str(line.requirement)
            assert written.isascii() and written.isprintable() and written[0].isalnum()
            assert not FORBIDDEN.intersection(written)
            (again,) = parse_lines(written)
            assert again.requirement == line.requirement, written
            find_differences([line.requirement], {line.requirement.name: "1.0"}, "3.11.7")


def _model_lock(data: bytes) -> None:
    assert read_lock(data)


def _tolerance(data: bytes) -> None:
    text = data.decode("utf-8", errors="replace")
    assert parse_tolerance(text) >= 0


def _answers(data: bytes) -> None:
    """What the parent does with one line of a predictor that was asked about two rows."""
    message = read_answer(data, "predictions")
    if "predictions" in message:
        assert len(_check(message["predictions"], rows=2, first=1)) == 2


def _ready(data: bytes) -> None:
    read_answer(data, "ready", "arrow")


TARGETS: Mapping[str, Target] = {
    "json": Target(_json),
    "evaluation": Target(_evaluation),
    "baseline": Target(_baseline),
    "verdict": Target(_verdict),
    "comparison": Target(_comparison),
    "statement": Target(_statement),
    "event": Target(_event),
    "record": Target(_record),
    "run-note": Target(_run_note),
    "rows": Target(_rows),
    "csv": Target(_csv, json=False),
    "kept-rows": Target(_kept_rows, json=False),
    "task": Target(_task, json=False),
    "comment": Target(_comment, json=False),
    "printed": Target(_printed, json=False),
    "labelled": Target(_labelled),
    **{f"import-{provider}": Target(_import(provider)) for provider in PROVIDERS},
    "yaml": Target(_plain_yaml, json=False),
    "mlmodel": Target(_mlmodel, json=False),
    "dvc": Target(_dvc, json=False),
    "dvc-lock": Target(_dvc_lock, json=False),
    "lock": Target(_lock, json=False),
    "requirements": Target(_requirements, json=False),
    "model-lock": Target(_model_lock, json=False),
    "tolerance": Target(_tolerance, json=False),
    "answers": Target(_answers),
    "ready": Target(_ready),
}
