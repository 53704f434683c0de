"""Every command under bad conditions: streams, files, names, users and signals (issue 10, rows D1 to D4).

- The commands come from Typer's own objects, so that a new command is tested by itself; a path is an option or argument
  whose type is `Path`, and ``--registry``.
- Whatever happens: a documented code, no traceback, nothing printed where it does not belong, and no file of the scene
  lost or changed.
- With bad streams the code is that of the same command with good ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from minieval.contract.exits import Exit
from tests import forked
from tests.minieval.candidates import model, upper_rows, write_bundle, write_rows
from tests.samples import AFTER, BEFORE, MODEL, RUN, baseline, evaluation
from tests.sampling import some_of

COMMANDS = {" ".join((program, *words)): (program, words, leaf) for program, words, leaf in forked.leaves()}
DOCUMENTED = {int(code) for code in Exit} - {Exit.BUG}
# What a required value is, and what makes a command do its work quickly and without a service.
VALUES = {
    "run_id": RUN,
    "semver": "v0.3.1",
    "canonical_sha": MODEL,
    "sha": MODEL,
    "to": "v0.3.0",
    "reason": "a test",
    "which": "v0.3.1",
    "environment": "production",
    "base": "main",
    "base_sha": "a" * 40,
    "head_sha": "a" * 40,
    "repetitions": "1",
    "lock": "requirements.lock",
    "provider": "flat",
    "eval_set_md5": "0" * 32,
    "file": "figures.json",
    "buckets": "bucket*",
    "files": "eval_baseline.json",
    "verdict": "verdict.json",
    "bundle": "candidate",
    "dest": "dest",
    "output": "output.json",
    "write": "written",
    "event": "event.json",
    "task": "data/eval.toml",
}
TASK = 'schema = "minieval.task/1"\nid = "id"\nexpected = "expected"\n[buckets]\nlists = ["buckets"]\n'
REQUIRED = {"eval_set": "data/eval.jsonl"}  # where it is optional, the documents of the scene are of another eval set
FLAGS = {"dry_run", "offline"}
# An empty registry option and its like are set by nothing: these would name a service.
LEFT_OUT = {("import", "run_id"), ("import", "semver"), ("fetch", "semver"), ("schema", "write")}
TO_WRITE = {"output", "write", "dest"}
GATE_WRITES = {"evaluation", "verdict"}
EDITS = {("baseline", "rebaseline"), ("baseline", "activate"), ("baseline", "arm")}  # --baseline, in its place


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = tmp_path_factory.mktemp("original") / "scene"
    (scene / "data").mkdir(parents=True)
    (scene / "eval_baseline.json").write_text(json.dumps(baseline(BEFORE)))
    (scene / "candidate_eval.json").write_text(json.dumps(evaluation(AFTER)))
    (scene / "figures.json").write_text('{"bucket_a": 0.9}')
    (scene / "event.json").write_text("{}")
    (scene / "requirements.lock").write_text("typer==0\n")
    write_rows(scene / "data" / "eval.jsonl", upper_rows(3))
    (scene / "data" / "eval.toml").write_text(TASK)
    write_bundle(scene / "candidate", model("return None"))
    # No candidate is run: that takes seconds, and tests/minieval does it.
    (scene / "candidate" / "MLmodel").unlink()
    forked.import_everything()
    assert forked.run("lynxgate", ["compare", "--output", "verdict.json"], scene).code == 0
    for each in (scene.parent, *scene.rglob("*")):
        each.chmod(0o777 if each.is_dir() else 0o666)
    scene.chmod(0o777)
    return scene


@pytest.fixture
def scene() -> Iterator[Path]:
    # Not `tmp_path`, whose parents an ordinary user may not search.
    parent = Path(f"/tmp/conditions-{os.getpid()}")
    parent.mkdir(mode=0o755, exist_ok=True)
    yield parent / "scene"
    for each in parent.rglob("*"):
        if each.is_dir() and not each.is_symlink():
            each.chmod(0o777)
    shutil.rmtree(parent)


def renew(scene: Path, original: Path) -> None:
    if scene.exists():
        shutil.rmtree(scene)
    shutil.copytree(original, scene)


def is_path(param: Any) -> bool:
    kind = param.type_descriptor.annotation
    return kind is Path or Path in get_args(kind) or param.name == "registry"


def is_written(words: tuple[str, ...], name: str) -> bool:
    return name in TO_WRITE or (words == ("gate",) and name in GATE_WRITES)


def arguments(name: str, **changed: str) -> list[str]:
    """Return the words and values of a command, with some values changed."""
    _, words, leaf = COMMANDS[name]
    argv: list[str] = list(words)
    for param in leaf.params:
        value = changed.get(param.name)
        if value is None and (words[-1:], param.name) not in {((last,), each) for last, each in LEFT_OUT}:
            value = VALUES.get(param.name, REQUIRED.get(param.name, "x") if param.required else None)
        if param.name in FLAGS:
            argv.append(param.opts[0])
        elif value is not None:
            argv += [value] if param.param_type_name == "argument" else [param.opts[0], value]
    return argv


def results(name: str) -> tuple[str, ...]:
    """Return the files that a command writes: it may remove an earlier one, so that it is not taken for its own."""
    _, words, leaf = COMMANDS[name]
    edited = ("eval_baseline.json",) if words in EDITS else ()
    written = (each for each in leaf.params if is_written(words, each.name))
    return (*edited, *(VALUES.get(each.name) or str(each.default) for each in written))


def contents(scene: Path) -> dict[str, bytes]:
    return {str(each.relative_to(scene)): each.read_bytes() for each in scene.rglob("*") if each.is_file()}


def check(ended: forked.Ended, what: str) -> None:
    shown = f"{what}: {ended}"
    assert ended.code in DOCUMENTED, shown
    assert "Traceback" not in ended.err + ended.out, shown
    assert "Exception ignored" not in ended.err, shown


@pytest.mark.parametrize("name", some_of(COMMANDS, 4))
@pytest.mark.slow
def test_streams(name: str, scene: Path, original: Path) -> None:
    """The code is that of the work, whatever becomes of its output; what it writes is the same."""
    program, argv = COMMANDS[name][0], arguments(name)

    def run(**streams: Any) -> forked.Ended:
        renew(scene, original)
        return forked.run(program, argv, scene, **streams)

    plain = run()
    check(plain, "plain")
    made = set(contents(scene))
    full = os.open("/dev/full", os.O_WRONLY)
    read, ended_pipe = os.pipe()
    os.close(read)
    try:
        for what, streams in {
            "stdout full": {"stdout": full},
            "stdout closed": {"stdout": forked.CLOSED},
            "stdout ended": {"stdout": ended_pipe},
            "stderr full": {"stderr": full},
            "stderr closed": {"stderr": forked.CLOSED},
            "both closed": {"stdout": forked.CLOSED, "stderr": forked.CLOSED},
        }.items():
            ended = run(**streams)
            check(ended, what)
            assert ended.code == plain.code, (what, ended, plain)
            assert set(contents(scene)) == made, what
            if "stderr" in streams and "stdout" not in streams:
                assert ended.out == plain.out, what
            if what in {"stdout full", "stdout closed"} and plain.out:
                assert "could not be printed" in ended.err
    finally:
        os.close(full)
        os.close(ended_pipe)


@pytest.mark.parametrize("name", some_of(COMMANDS, 4))
@pytest.mark.slow
def test_a_deleted_directory_and_an_ordinary_user(name: str, scene: Path, original: Path) -> None:
    program, argv = COMMANDS[name][0], arguments(name)
    renew(scene, original)
    gone = scene / "gone"
    gone.mkdir()
    check(forked.run(program, argv, gone, delete_cwd=True), "cwd deleted")
    renew(scene, original)
    plain = forked.run(program, argv, scene)
    renew(scene, original)
    ended = forked.run(program, argv, scene, nobody=os.getuid() == 0)
    check(ended, "nobody")
    assert ended.code == plain.code, (ended, plain)
    if os.getuid() == 0:
        renew(scene, original)
        scene.chmod(0o555)
        before = contents(scene)
        check(forked.run(program, argv, scene, nobody=True), "a directory that may not be written")
        assert contents(scene) == before
        scene.chmod(0o777)


SHAPES = ("/dev/null", "/dev/full", "pipe", "loop", "loop/below", "file/below", "x" * 300, "\udce9", "closed", "shut/x")
PATHS = [(name, param.name) for name, (_, _, leaf) in COMMANDS.items() for param in leaf.params if is_path(param)]
# Every third option once, with the first command that has it. Every option with every command takes minutes, and is in
# `just full`.
FIRST = dict(list({option: name for name, option in reversed(PATHS)}.items())[::3])


@pytest.mark.parametrize(
    ("name", "option"),
    [
        pytest.param(
            name, option, id=f"{name}-{option}", marks=[] if FIRST.get(option) == name else [pytest.mark.heavy]
        )
        for name, option in PATHS
    ],
)
@pytest.mark.slow
def test_paths(name: str, option: str, scene: Path, original: Path) -> None:
    """Each path in turn is a device, a pipe, a link, a loop, unreadable, too long, or no text."""
    program, words, _ = COMMANDS[name]
    value = VALUES.get(option, "eval_baseline.json")
    for what in SHAPES:
        renew(scene, original)
        (scene / "loop").symlink_to("loop")
        (scene / "file").write_text("{}")
        os.mkfifo(scene / "pipe")
        (scene / "closed").write_text("{}")
        (scene / "shut").mkdir()
        (scene / "closed").chmod(0)
        (scene / "shut").chmod(0)
        nobody = os.getuid() == 0 and what in {"closed", "shut/x"}
        if what == "/dev/full" and not is_written(words, option):
            continue  # it reads as endless zeros, as every large file does
        before = contents_but(scene, "closed", *results(name))
        with other_end(scene / "pipe", reads=is_written(words, option)):
            ended = forked.run(program, arguments(name, **{option: what}), scene, nobody=nobody)
        check(ended, what)
        after = contents_but(scene, "closed")
        assert {each: after.get(each) for each in before} == before, what
        assert (scene / "pipe").is_fifo()
        assert (scene / "loop").is_symlink()
        assert Path("/dev/null").is_char_device()
    # A link to what stands there is as good as that itself.
    renew(scene, original)
    plain = forked.run(program, arguments(name), scene)
    renew(scene, original)
    if (scene / value).is_file():
        (scene / "link").symlink_to(value)
        linked = forked.run(program, arguments(name, **{option: "link"}), scene)
        check(linked, "link")
        assert (scene / "link").is_symlink()
        if option in VALUES:
            assert linked.code == plain.code, (linked, plain)


def contents_but(scene: Path, *left_out: str) -> dict[str, bytes]:
    found = {}
    for each in scene.rglob("*"):
        if each.name not in left_out and each.is_file():
            found[str(each.relative_to(scene))] = each.read_bytes()
    return found


@contextlib.contextmanager
def other_end(pipe: Path, *, reads: bool) -> Iterator[None]:
    """Read or write the other end of a named pipe, in a process of its own, while the block runs."""
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException), pipe.open("rb" if reads else "wb") as file:
            if reads:
                file.read()
        os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


WRITTEN = [(name, option) for name, option in PATHS if is_written(COMMANDS[name][1], option)]


@pytest.mark.parametrize(("name", "option"), WRITTEN, ids=lambda value: value)
@pytest.mark.slow
def test_no_output_is_an_input(name: str, option: str, scene: Path, original: Path) -> None:
    """Each output in turn is each file of the scene, by its name, by a link and by a hard link: none is changed."""
    program, _, leaf = COMMANDS[name]
    inputs = {
        VALUES.get(each.name) or str(each.default)
        for each in leaf.params
        if is_path(each) and each.name != option and not is_written(COMMANDS[name][1], each.name)
    }
    for source in sorted(inputs):
        for way in ("itself", "link", "hard"):
            renew(scene, original)
            if not (scene / source).is_file():
                continue
            (scene / "link").symlink_to(source)
            os.link(scene / source, scene / "hard")
            before = contents_but(scene, *results(name))
            chosen = source if way == "itself" else way
            ended = forked.run(program, arguments(name, **{option: chosen}), scene)
            check(ended, f"{source} by {way}")
            assert ended.code != 0, (source, way)
            after = contents(scene)
            assert {each: after.get(each) for each in before} == before, (source, way)


PROGRAM = """
import os, sys
from minieval.contract.interrupts import take_interrupts
take_interrupts()
os.write(1, b"ready\\n")
from lynxgate.__main__ import main
sys.argv = ["lynxgate", *sys.argv[1:]]
main()
"""


def interrupt(scene: Path, after: float) -> tuple[int, str]:
    command = [sys.executable, "-c", PROGRAM, "compare", "--output", "verdict.json"]
    child = subprocess.Popen(command, cwd=scene, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    time.sleep(after)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    return child.returncode, err.decode()


@pytest.mark.parametrize(
    "tries", [5, pytest.param(200, marks=[pytest.mark.heavy, pytest.mark.timeout(1800)])], ids=["few", "many"]
)
@pytest.mark.slow
def test_an_interrupt_at_any_moment(tries: int, scene: Path, original: Path) -> None:
    """Ctrl-C from the first import to the end: 130 or the work's own code, one line, and a whole verdict or none.

    None, since a comparison removes an older verdict before it starts: the file is of this call or absent.
    """
    renew(scene, original)
    started = time.monotonic()
    code, err = _whole(scene)
    length = time.monotonic() - started
    assert (code, err) == (0, "")
    whole = (scene / "verdict.json").read_bytes()
    codes = set()
    for number in range(tries):
        after = 0.0 if number == 0 else random.uniform(0, length)  # any moment will do, and no two runs try the same
        code, err = interrupt(scene, after)
        codes.add(code)
        assert code in {0, Exit.INTERRUPTED}, (after, code, err)
        assert "Traceback" not in err, (after, err)
        assert len(err.splitlines()) <= 1, (after, err)
        verdict = scene / "verdict.json"
        assert verdict.read_bytes() == whole if verdict.exists() else code == Exit.INTERRUPTED, (after, code)
    # On a busy machine a handful of tries may all come too late.
    assert tries < 100 or Exit.INTERRUPTED in codes


def _whole(scene: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "compare", "--output", "verdict.json"],
        cwd=scene,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr
