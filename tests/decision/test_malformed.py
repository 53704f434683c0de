"""Hundreds of documents that are none, through the command: one sentence, the right code, no traceback."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lynxgate.cli.app import run
from lynxgate.decision.baseline import Baseline
from lynxgate.decision.decide import decide_bytes
from lynxgate.decision.effective_policy import describe_policy
from lynxgate.errors import CannotJudge, GateError
from lynxgate.rebaseline.activate import activate
from lynxgate.rebaseline.move import rebaseline
from lynxgate.registry.events import Event
from lynxgate.reports.explanation import render_verdict
from lynxgate.reports.rebaseline_table import render_moves
from lynxgate.reports.verdict_table import render_markdown
from minieval.contract.documents import Document, parse_document
from minieval.contract.exits import Exit
from minieval.contract.manifest import Manifest
from minieval.contract.report import Evaluation
from tests.samples import FIXTURES

EVALUATION = FIXTURES / "evaluation-1-full.json"
BASELINE = FIXTURES / "baseline-1-enforced.json"
SIDES = {"candidate": EVALUATION, "baseline": BASELINE}
WRONG: list[Any] = [None, True, False, -1, 0, 1.5, 10**30, "", "0.9", "TODO", [], [1], {}, {"x": 1}, "\u202e\u0007|`"]
RAW = [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"1e-400", b"-0.5", b"01", b"0x1", b"1_000", b"'x'", b'"\\ud800"',
       b"9" * 5000, b"0." + b"1" * 5000, b"true ", b"undefined", b'"\x01"', b'"\\x"']  # fmt: skip
NOT_OURS: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\t ",
    "null": b"null",
    "number": b"0.93",
    "text": b'"passed"',
    "list": b"[]",
    "object": b"{}",
    "binary": bytes(range(256)) * 40,
    "zip": b"PK\x03\x04" + b"\x00" * 500,
    "utf-16": '{"schema": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "two documents": b"{}{}",
    "deep list": b"[" * 100_000 + b"]" * 100_000,
    "deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "unclosed depth": b"[" * 1_000_000,
    "yaml": b"schema: minieval.evaluation/1\n",
    "html": b"<!doctype html><title>502 Bad Gateway</title>",
    "another schema": b'{"schema": "minieval.evaluation/2"}',
    "git conflict": b'<<<<<<< HEAD\n{"schema": 1}\n=======\n{}\n>>>>>>> x\n',
    "lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
}


def truncated(data: bytes) -> Iterator[bytes]:
    """Cut before each byte of every class of byte, and at random."""
    cuts = {match.start() for pattern in (rb"[{}\[\]]", rb"[:,]", rb'"', rb"[0-9.]", rb"\s", rb"[a-z_]")
            for match in list(re.finditer(pattern, data))[:: max(1, len(data) // 150)]}  # fmt: skip
    generator = random.Random(7)
    cuts |= {generator.randrange(1, len(data) - 2) for _ in range(30)}
    yield from (data[:cut] for cut in sorted(cuts) if data[:cut].strip())


def paths(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in tree.items():
        if not key.startswith("_comment"):
            yield (*path, key)
            if isinstance(value, dict):
                yield from paths(value, (*path, key))


def replaced(tree: Any, path: tuple[str, ...], value: Any) -> Any:
    key, *rest = path
    return {**tree, key: replaced(tree[key], tuple(rest), value) if rest else value}


def doubled(data: bytes) -> Iterator[bytes]:
    """Each key twice, in turn."""
    for match in re.finditer(rb'\n *"(\w|\.)+": ', data):
        yield data[: match.start()] + match.group() + b"1," + data[match.start() :]


def judge(capfd: pytest.CaptureFixture[str], side: str, file: Path) -> tuple[int, str]:
    """The exit code and the one line on stderr."""
    files = {**SIDES, side: file}
    code = run(["compare", "--candidate", str(files["candidate"]), "--baseline", str(files["baseline"])])
    out, err = capfd.readouterr()
    if code in (Exit.OK, Exit.REGRESSION):
        return code, err
    assert "Traceback" not in err
    assert err.count("\n") == 1
    assert err.isprintable() or err.rstrip("\n").isprintable()
    assert len(err) < 700
    assert code != Exit.CANNOT_JUDGE or out == "" or out.startswith(("|", "-"))
    return code, err


@pytest.fixture
def refuses(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    file = tmp_path / "document.json"

    def check(side: str, data: bytes) -> None:
        file.write_bytes(data)
        code, err = judge(capfd, side, file)
        assert code == Exit.CANNOT_JUDGE, (data[:200], err)
        assert str(file) in err

    return check


def test_the_samples_themselves_pass(capfd: pytest.CaptureFixture[str]) -> None:
    assert judge(capfd, "candidate", EVALUATION) == (Exit.OK, "")


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", NOT_OURS)
def test_files_that_are_something_else(side: str, name: str, refuses: Any) -> None:
    refuses(side, NOT_OURS[name])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.slow
def test_truncated(side: str, refuses: Any) -> None:
    pieces = list(truncated(SIDES[side].read_bytes()))
    assert len(pieces) > 60
    for data in pieces:
        refuses(side, data)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.slow
def test_keys_that_stand_twice(side: str, refuses: Any) -> None:
    documents = list(doubled(SIDES[side].read_bytes()))
    assert len(documents) > 30
    for data in documents:
        refuses(side, data)


@pytest.mark.parametrize("side", SIDES)
def test_numbers_json_does_not_know(side: str, refuses: Any) -> None:
    data = SIDES[side].read_bytes()
    start, end = re.search(rb'(?<="accuracy": )[0-9.]+', data).span()  # type: ignore[union-attr]
    for figure in RAW:
        refuses(side, data[:start] + figure + data[end:])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.slow
def test_wrong_types_everywhere(side: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Any value anywhere: judged as before where it is a legitimate one, else refused in one sentence."""
    tree = json.loads(SIDES[side].read_bytes())
    file = tmp_path / "document.json"
    refused = 0
    for index, path in enumerate(paths(tree)):
        for value in WRONG[index % 2 :: 2]:
            file.write_text(json.dumps(replaced(tree, path, value)))
            code, _ = judge(capfd, side, file)
            assert code in (Exit.OK, Exit.REGRESSION, Exit.CANNOT_JUDGE)
            refused += code == Exit.CANNOT_JUDGE
    assert refused > 150


@pytest.mark.parametrize("side", ["evaluation", "baseline"])
@pytest.mark.slow
def test_wrong_values_among_metrics(side: str) -> None:
    """Judged, moved and armed, or refused in one sentence; never anything else."""
    trees = {
        name: json.loads((FIXTURES / f"{name}-1-metrics.json").read_bytes()) for name in ("evaluation", "baseline")
    }
    refused = 0
    for path in paths(trees[side]):
        if path[0] not in {"metrics", "policy", "environment"}:
            continue
        for value in (*WRONG, [1, 2], ["x"], 1e-9, "lower", "info", "ms"):
            changed = {**trees, side: replaced(trees[side], path, value)}
            evaluation, agreed = (json.dumps(changed[name]).encode() for name in ("evaluation", "baseline"))
            try:
                verdict = decide_bytes(evaluation, agreed)[0]
                moved = rebaseline(agreed, parse_document(evaluation, Evaluation, where="evaluation"))
                activate(moved.data)
            except GateError as error:
                refused += 1
                assert str(error).isprintable() and len(str(error)) < 700
            else:
                assert render_markdown(verdict, every=True) and render_verdict(verdict) and render_moves(moved)
    assert refused > 150


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.slow
def test_keys_left_out_or_misspelt(side: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tree = json.loads(SIDES[side].read_bytes())
    file = tmp_path / "document.json"
    for path in paths(tree):
        *parents, key = path
        node: Any = tree
        for parent in parents:
            node = node[parent]
        less = {name: each for name, each in node.items() if name != key}
        for changed in (less, {**less, key + "x": node[key]}):
            file.write_text(json.dumps(replaced(tree, tuple(parents), changed) if parents else changed))
            code, err = judge(capfd, side, file)
            if changed is not less and parents[-1:] not in (["buckets"], ["metrics"]):
                assert code == Exit.CANNOT_JUDGE, err


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.slow
def test_two_hundred_megabytes(side: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "huge.json"
    with file.open("wb") as sparse:
        sparse.truncate(200 * 1024 * 1024)
    code, err = judge(capfd, side, file)
    assert (code, "larger than" in err) == (Exit.CANNOT_JUDGE, True)


@pytest.mark.parametrize("side", SIDES)
def test_a_missing_file_a_folder_and_an_unreadable_file(
    side: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for file in (tmp_path / "none.json", tmp_path, loop, EVALUATION / "below"):
        code, err = judge(capfd, side, file)
        assert (code, str(file) in err) == (Exit.CANNOT_JUDGE, True)


def test_the_two_documents_exchanged(capfd: pytest.CaptureFixture[str]) -> None:
    assert judge(capfd, "candidate", BASELINE)[0] == Exit.CANNOT_JUDGE
    assert judge(capfd, "baseline", EVALUATION)[0] == Exit.CANNOT_JUDGE


def test_validate_refuses_each_of_them_too(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = []
    for index, data in enumerate(NOT_OURS.values()):
        files.append(tmp_path / f"{index}.json")
        files[-1].write_bytes(data)
    assert run(["validate", "--json", *map(str, files)]) == Exit.CANNOT_JUDGE
    out, err = capfd.readouterr()
    findings = json.loads(out)
    assert err == ""
    assert len(findings) == len(NOT_OURS)
    assert all(not each["valid"] and each["problems"][0]["reason"] for each in findings)


LARGEST = 2**53 - 1


@pytest.mark.parametrize("number", [LARGEST, LARGEST + 1, 2**64])
def test_no_integer_that_is_hashed_is_beyond_canonical_json(number: int) -> None:
    """A manifest, an event and a policy are hashed as canonical JSON, which has no larger one."""
    sha = "a" * 64
    manifest = {"files": [{"path": "MLmodel", "size": number, "sha256": sha}]}
    event = {"number": number, "previous": sha, "at": "now", "kind": "tombstoned", "canonical_sha": sha, "reason": "x"}
    agreed = json.loads((FIXTURES / "baseline-1-metrics.json").read_bytes())
    agreed["policy"]["metrics"] = {"*": {"max_pct": 5, "statistic": "median", "warmup": number, "min_samples": number}}
    uses: list[tuple[Any, type[Document], Callable[[Any], object]]] = [
        (manifest, Manifest, lambda found: found.canonical_sha),
        (event, Event, lambda found: found.head),
        (agreed, Baseline, describe_policy),
    ]
    for tree, kind, use in uses:
        data = json.dumps(tree).encode()
        if number <= LARGEST:
            assert use(parse_document(data, kind, where="it"))
        else:
            with pytest.raises(CannotJudge, match=f"less than or equal to {LARGEST}"):
                parse_document(data, kind, where="it")
