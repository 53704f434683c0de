"""What a candidate that wants the labels can reach. A spy tries; under bwrap it learns nothing.

The same spy without bwrap finds them, which shows that its probes are real, and what `process` does not promise.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from minieval.contract.bundle import stage
from minieval.contract.exits import CannotJudge
from minieval.data.stream import open_eval_set
from minieval.runner import sandbox
from minieval.runner.child import Limits
from minieval.runner.predictions import Predictor
from minieval.runner.sandbox import Isolation
from minieval.task.document import CONVENTIONS
from tests.minieval.candidates import UPPER, upper_rows, write_bundle, write_rows

ROOT = Path(__file__).resolve().parents[3]
PROBES = ("stack", "memory", "paths", "network", "environment", "writing")
LABELLED = 40
ALLOWED = {"DO_NOT_TRACK", "HOME", "LANG", "LC_CTYPE", "LOGNAME", "MKL_NUM_THREADS", "OMP_NUM_THREADS",
           "OPENBLAS_NUM_THREADS", "PATH", "PWD", "PYTHONHASHSEED", "PYTHONSAFEPATH", "PYTHONUTF8",
           "TMPDIR", "TZ", "USER"}  # fmt: skip


@dataclass(frozen=True)
class Heist:
    """What one run of the spy brought home."""

    right: int
    reports: dict[str, dict[str, Any]]

    def secrets(self, probe: str) -> set[str]:
        return {secret for _, secret in self.reports[probe].get("secrets", [])}


def test_bwrap_works_here() -> None:
    assert sandbox.why_no_bwrap() == "", (
        "bwrap must work where the tests run: apt-get install bubblewrap, and allow user namespaces"
    )


def test_no_user_namespace_can_be_made_inside() -> None:
    """In one of its own a candidate would have all capabilities: it could mount, and reach more of the kernel."""
    new_user = 0x10000000
    tries = f"import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.unshare({new_user}), ctypes.get_errno())"
    inside = [*sandbox.bwrap(Limits()), sys.executable, "-c", tries]
    done = subprocess.run(inside, capture_output=True, text=True, check=True, env={})
    assert done.stdout == f"-1 {errno.ENOSPC}\n"


def send_spy(isolation: Isolation, folder: Path) -> Heist:
    """Run the spy on an eval set of labels that cannot be guessed, with secrets in the environment and open servers."""
    rows = [
        {"id": f"row-{i}", "expected": f"SECRET-{secrets.token_hex(16)}", "prompt": f"p{i}", "buckets": ["all"]}
        for i in range(LABELLED)
    ]
    rows += [{"id": name, "expected": "-", "prompt": f"report {name}", "buckets": ["reports"]} for name in PROBES]
    path = write_rows(folder / "eval" / "labels.jsonl", rows)
    abstract = f"lynxgate-test-{secrets.token_hex(8)}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind("\0" + abstract)
        local.listen()
        targets = {
            "eval_set": str(path),
            "repository": str(ROOT),
            "pid": os.getpid(),
            "port": server.getsockname()[1],
            "abstract": abstract,
        }
        source = (Path(__file__).parent / "spy.py").read_text()
        bundle = write_bundle(folder / "bundle", source, files={"code/targets.json": json.dumps(targets).encode()})
        eval_set = open_eval_set(path, CONVENTIONS)
        home = folder / "home"
        home.mkdir()
        stage(bundle, folder / "staged")
        with sandbox.start(isolation, bundle=folder / "staged", eval_set=path, home=home, limits=Limits()) as child:
            predictor = Predictor(child)
            predictor.wait_until_ready()
            predictor.configure([column for column in eval_set.schema if column.name == "prompt"], {})
            # The labels are read while the spy runs, as in an evaluation.
            batches = eval_set.batches(16)
            texts = [text for batch in batches for text in predictor.predict(batch.features, first=batch.start + 1)]
    right = sum(text == row["expected"] for text, row in zip(texts[:LABELLED], rows, strict=False))
    return Heist(right, {name: json.loads(text) for name, text in zip(PROBES, texts[LABELLED:], strict=True)})


@contextlib.contextmanager
def secret_environment() -> Iterator[None]:
    """Let this process's environment hold a secret while a spy runs."""
    secret = "ENVSECRET-" + secrets.token_hex(16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LYNX_TEST_TOKEN", secret)
        patch.setenv("MLFLOW_TRACKING_PASSWORD", secret)
        yield


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the runs below."""
    return tmp_path_factory.mktemp("vault")


@pytest.fixture(scope="module")
def under_bwrap(vault: Path) -> Heist:
    with secret_environment():
        return send_spy(Isolation.BWRAP, vault / "bwrap")


@pytest.fixture(scope="module")
def in_process(vault: Path) -> Heist:
    with secret_environment():
        return send_spy(Isolation.PROCESS, vault / "process")


@pytest.mark.slow
def test_under_bwrap_the_spy_scores_like_guessing(under_bwrap: Heist) -> None:
    assert under_bwrap.right == 0


@pytest.mark.slow
def test_its_stack_and_objects_hold_no_label(under_bwrap: Heist) -> None:
    report = under_bwrap.reports["stack"]
    assert report["frames"] > 5
    assert report["objects"] > 10_000
    assert under_bwrap.secrets("stack") == set()


def test_it_sees_no_process_but_its_own(under_bwrap: Heist) -> None:
    report = under_bwrap.reports["memory"]
    assert len(report["pids"]) == 2, report["pids"]
    assert report["parent"] == 1
    assert under_bwrap.secrets("memory") == set()
    assert "environment" not in report


@pytest.mark.slow
def test_it_cannot_open_the_eval_set_by_any_name(under_bwrap: Heist) -> None:
    report = under_bwrap.reports["paths"]
    assert report.get("opened", []) == []
    assert under_bwrap.secrets("paths") == set()
    assert all(name.startswith(("pipe:", "/dev/null", "/proc/")) for name in report["descriptors"]), report


@pytest.mark.slow
def test_it_has_no_network(under_bwrap: Heist) -> None:
    assert "connected" not in under_bwrap.reports["network"].values()


@pytest.mark.slow
def test_it_can_write_nowhere_and_has_no_capability(under_bwrap: Heist) -> None:
    assert under_bwrap.reports["writing"]["writable"] == []
    assert int(under_bwrap.reports["writing"]["capabilities"], 16) == 0


@pytest.mark.parametrize("where", ["under_bwrap", "in_process"])
@pytest.mark.slow
def test_its_environment_is_a_few_fixed_variables(where: str, request: pytest.FixtureRequest) -> None:
    report = request.getfixturevalue(where).reports["environment"]
    assert set(report["names"]) <= ALLOWED
    assert "environment" not in report


@pytest.mark.slow
def test_without_bwrap_the_file_is_found_but_never_sent(in_process: Heist) -> None:
    assert in_process.right == LABELLED
    assert len(in_process.secrets("paths")) == LABELLED
    assert in_process.reports["network"]["loopback"] == in_process.reports["network"]["abstract"] == "connected"
    assert in_process.secrets("stack") == set()


@pytest.mark.slow
def test_without_bwrap_the_parents_memory_and_environment_are_closed_even_to_root(in_process: Heist) -> None:
    report = in_process.reports["memory"]
    assert report["parent"] == os.getpid()
    assert report["closed"][f"/proc/{os.getpid()}/mem"] == "PermissionError"
    assert report["closed"][f"/proc/{os.getpid()}/environ"] == "PermissionError"
    assert in_process.secrets("memory") == set()
    assert "environment" not in report
    assert int(in_process.reports["writing"]["capabilities"], 16) == 0


def test_memory_is_closed_to_others_of_the_same_user() -> None:
    script = """
import ctypes, os, sys
from minieval.runner import sandbox
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
def readable():
    pid = os.fork()
    if pid == 0:
        try:
            for name in ("mem", "environ", "maps"):
                open(f"/proc/{os.getppid()}/{name}", "rb").read(0 if name == "mem" else -1)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
before = readable()
with sandbox._closed_memory():
    during = readable()
print(before, during, readable())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "True"], done.stderr


def test_an_eval_set_that_the_candidate_could_see_is_refused(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=sys.prefix) as inside:
        path = write_rows(Path(inside) / "e.jsonl", upper_rows(1))
        link = tmp_path / "link.jsonl"
        link.symlink_to(path)
        for name in (path, link):
            start = sandbox.start(Isolation.BWRAP, bundle=tmp_path, eval_set=name, home=tmp_path, limits=Limits())
            with pytest.raises(CannotJudge, match="move the eval set out of it"), start:
                pass


@pytest.mark.slow
def test_auto_falls_back_with_a_warning_and_bwrap_does_not(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", UPPER)
    path = write_rows(tmp_path / "e.jsonl", upper_rows(3))
    broken = tmp_path / "bin"
    broken.mkdir()
    (broken / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    (broken / "bwrap").chmod(0o755)
    (tmp_path / "empty").mkdir()
    base = [sys.executable, "-m", "minieval", "--bundle", str(bundle), "--eval-set", str(path)]
    for where, words in ((broken, "No permissions"), (tmp_path / "empty", "not on PATH")):
        environment = {"PATH": str(where)}
        output = tmp_path / f"{where.name}.json"
        refused = subprocess.run(
            [*base, "--output", str(output), "--isolation", "bwrap"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert refused.returncode == 3
        assert words in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert not output.exists()
    fallen = subprocess.run(
        [*base, "--output", str(output)], env=environment, capture_output=True, text=True, check=True
    )
    assert "runs as a plain process" in fallen.stderr
    assert json.loads(output.read_text())["evaluator"]["isolation"] == "process"
