"""The commands ``fetch``, ``pull`` and ``check-eval-set``: what is on stdout, what on stderr, and the exit code."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lynxgate.cli.app import run
from minieval.contract.evalset import identify
from minieval.contract.exits import Exit
from tests.dvc_repository import DvcRepository
from tests.fault_proxy import Fault, FaultProxy
from tests.servers import MlflowServer, free_port, log_bundle


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    yield
    os.environ.clear()
    os.environ.update(before)


def on_a_terminal(command: list[str]) -> str:
    """What a command shows on a terminal of its own."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # Linux says EIO when the other end has closed
            while data := os.read(ours, 65536):
                shown += data
        os.close(ours)
    assert process.returncode == 0, shown.decode()
    return shown.decode()


class TestFetch:
    def test_only_the_sha_is_on_stdout(
        self, mlflow_server: MlflowServer, logged_run: tuple[str, str], capfd: pytest.CaptureFixture[str]
    ) -> None:
        run_id, sha = logged_run
        os.environ["MLFLOW_TRACKING_URI"] = mlflow_server.url
        assert run(["fetch", "--run-id", run_id, "--dest", "./candidate/"]) == Exit.OK
        out, err = capfd.readouterr()
        assert out == f"{sha}\n"
        assert re.fullmatch(
            r"downloading (\d+) bytes\ncandidate: \d+ files, \d+ bytes, downloaded from http://127.0.0.1:\d+\n", err
        )
        assert run(["fetch", "--run-id", run_id, "--expect-sha", sha]) == Exit.OK
        out, err = capfd.readouterr()
        assert out == f"{sha}\n"
        assert re.fullmatch(r"candidate: .* from the cache, hashed again\n", err)
        assert (Path("candidate") / "MLmodel").is_file()

    def test_a_terminal_gets_a_bar_only_while_bytes_arrive(
        self, mlflow_server: MlflowServer, logged_run: tuple[str, str]
    ) -> None:
        arguments = ["fetch", "--run-id", logged_run[0], "--tracking-uri", mlflow_server.url]
        first, second = (
            on_a_terminal([sys.executable, "-c", "from lynxgate.cli.app import main; main()", *arguments])
            for _ in range(2)
        )
        assert "downloading" in first
        assert "downloading" not in second
        assert logged_run[1] in first
        assert logged_run[1] in second

    def test_each_error_has_its_exit_code(
        self, mlflow_server: MlflowServer, logged_run: tuple[str, str], capfd: pytest.CaptureFixture[str]
    ) -> None:
        where = ["--tracking-uri", mlflow_server.url]
        (Path("mine")).mkdir()
        (Path("mine") / "thesis").write_text("x")
        cases = {
            Exit.USAGE: ["--run-id", "../etc"],
            Exit.CANNOT_JUDGE: ["--run-id", "0" * 32],
            Exit.INTEGRITY: ["--run-id", logged_run[0], "--expect-sha", "0" * 64],
            Exit.REFUSED: ["--run-id", logged_run[0], "--dest", "mine"],
        }
        for code, arguments in cases.items():
            assert run(["fetch", *arguments, *where]) == code
            out, err = capfd.readouterr()
            assert out == ""
            assert [line for line in err.splitlines() if not line.startswith(("lynxgate: ", "downloading "))] == []
            assert "Traceback" not in err

    @pytest.mark.slow
    def test_a_server_that_cannot_be_reached_is_exit_5(self, capfd: pytest.CaptureFixture[str]) -> None:
        unreachable = f"http://user:s3cret@127.0.0.1:{free_port()}"
        for uri in (None, unreachable):
            arguments = ["--tracking-uri", uri] if uri else []
            assert run(["fetch", "--run-id", "0" * 32, *arguments]) == Exit.UNAVAILABLE
            out, err = capfd.readouterr()
            assert out == ""
            assert "s3cret" not in err
        assert run(["fetch", "--run-id", "0" * 32, "--tracking-uri", "databricks"]) == Exit.USAGE

    def test_a_failed_run_is_refused(self, mlflow_server: MlflowServer, capfd: pytest.CaptureFixture[str]) -> None:
        failed = log_bundle(mlflow_server.url, None, status="FAILED")
        assert run(["fetch", "--run-id", failed, "--tracking-uri", mlflow_server.url]) == Exit.CANNOT_JUDGE
        assert "is FAILED, not FINISHED" in capfd.readouterr().err

    def test_a_truncated_artifact_is_refused(
        self, fault_proxy: FaultProxy, logged_run: tuple[str, str], capfd: pytest.CaptureFixture[str]
    ) -> None:
        fault_proxy.fail(Fault.REWRITE, path="/data/model.json", rewrite=lambda body: body[:1])
        assert run(["fetch", "--run-id", logged_run[0], "--tracking-uri", fault_proxy.url]) == Exit.INTEGRITY
        assert "data/model.json arrived with 1 bytes" in capfd.readouterr().err
        assert not Path("candidate").exists()


def write_baseline(repository: DvcRepository, **changes: object) -> None:
    found = identify(repository.file)
    document: dict[str, object] = {
        "schema": "lynxgate.baseline/1",
        "status": "active",
        "eval_set": "rows.jsonl",
        "eval_set_dvc_hash": found.dvc_md5,
        "eval_set_sha256": found.sha256,
        "policy": {"rule": "point", "tolerance_pp": 2.0},
        "buckets": {"tense.past_simple": {"n": 3, "correct": 3}},
    }
    (repository.root / "eval_baseline.json").write_text(json.dumps(document | changes))


class TestEvalSet:
    @pytest.fixture(autouse=True)
    def inside(self, elsewhere: None, dvc_repository: DvcRepository, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(dvc_repository.root)
        write_baseline(dvc_repository)

    def test_a_matching_set_is_accepted(self, dvc_repository: DvcRepository, capfd: pytest.CaptureFixture[str]) -> None:
        assert run(["check-eval-set"]) == Exit.OK
        out, err = capfd.readouterr()
        assert identify(dvc_repository.file).dvc_md5 in out
        assert err == ""

    def test_a_stale_baseline_is_exit_4(self, dvc_repository: DvcRepository, capfd: pytest.CaptureFixture[str]) -> None:
        write_baseline(dvc_repository, eval_set_dvc_hash="0" * 32)
        assert run(["check-eval-set"]) == Exit.INTEGRITY
        out, err = capfd.readouterr()
        assert out == ""
        assert f"the baseline has md5 {'0' * 32}, rows.jsonl.dvc has" in err

    def test_the_eval_set_may_be_a_folder(
        self, dvc_repository: DvcRepository, capfd: pytest.CaptureFixture[str]
    ) -> None:
        found = identify(dvc_repository.folder)
        assert run(["check-eval-set", "--eval-set", "rows"]) == Exit.INTEGRITY
        write_baseline(dvc_repository, eval_set_dvc_hash=found.dvc_md5, eval_set_sha256=found.sha256)
        assert run(["check-eval-set", "--eval-set", "rows/"]) == Exit.OK

    def test_a_placeholder_is_no_hash(self, dvc_repository: DvcRepository, capfd: pytest.CaptureFixture[str]) -> None:
        write_baseline(dvc_repository, status="report-only", eval_set_dvc_hash="TODO")
        assert run(["check-eval-set"]) == Exit.CANNOT_JUDGE
        assert "placeholder" in capfd.readouterr().err

    @pytest.mark.slow
    def test_pull_downloads_a_missing_set(
        self, dvc_repository: DvcRepository, capfd: pytest.CaptureFixture[str]
    ) -> None:
        dvc_repository.forget()
        assert run(["check-eval-set"]) == Exit.CANNOT_JUDGE
        assert "lynxgate pull rows.jsonl" in capfd.readouterr().err
        assert run(["pull"]) == Exit.OK
        assert run(["pull", "rows"]) == Exit.OK
        assert capfd.readouterr().out == ""
        assert run(["check-eval-set"]) == Exit.OK

    def test_a_missing_baseline_is_one_error(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert run(["check-eval-set", "--baseline", "none.json"]) == Exit.CANNOT_JUDGE
        assert "none.json: no such file" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["fetch", "--help"], ["check-eval-set", "--help"]])
@pytest.mark.slow
def test_help_imports_no_sdk(arguments: list[str]) -> None:
    code = (
        "import sys; from lynxgate.cli.app import run; run(sys.argv[1:]); "
        "print({'mlflow', 'dvc', 'boto3', 'pandas', 'numpy', 'scipy'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"
    assert "Usage: lynxgate" in done.stdout
