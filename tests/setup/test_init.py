"""`lynxgate init`: what it puts into a repository, what it leaves alone, and that linters have nothing to say of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lynxgate.cli.app import run
from lynxgate.decision.baseline import Status, parse_baseline
from lynxgate.errors import UsageFailure
from lynxgate.setup.gate_names import BASELINE, CALLER, GATE, IGNORE, ONLY_GATE
from lynxgate.setup.init import (
    EXAMPLE,
    IGNORED,
    UNKNOWN_ACTION,
    EvalSet,
    Place,
    missing_lines,
    plan_scaffold,
    read_action,
    read_repository,
)
from minieval.contract.exits import Exit
from tests.minieval.candidates import upper_rows, write_rows
from tests.samples import AFTER, evaluation, write

ROOT = Path(__file__).parent.parent.parent
COMMIT = "0123456789abcdef0123456789abcdef01234567"
HERE = Place("ann/inflector", "trunk", f"lynxgate/lynxgate@{COMMIT}", "0.2.0")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty git repository, as `git init` leaves it."""
    root = tmp_path / "repository"
    subprocess.run(["git", "init", "--quiet", root], check=True)
    return root


def files_of(root: Path) -> dict[str, bytes]:
    found = {path.relative_to(root): path for path in root.rglob("*") if path.is_file()}
    return {str(name): path.read_bytes() for name, path in found.items() if name.parts[0] != ".git"}


def init(root: Path, *options: str) -> int:
    return run(["init", "--root", str(root), *options])


def test_one_command_in_an_empty_repository(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert init(repository) == 0
    out, err = capfd.readouterr()
    assert sorted(files_of(repository)) == sorted(ONLY_GATE.files)
    for name in ONLY_GATE.files:
        assert f"{name}: created" in out
    assert "Next steps:" in out
    assert "lynxgate baseline activate" in out
    assert f"--remove {EXAMPLE}" in out
    assert err == "lynxgate: warning: data/eval/eval.jsonl does not exist; the baseline gets an example bucket\n"


def test_the_baseline_requires_bwrap(repository: Path) -> None:
    assert init(repository) == 0
    assert parse_baseline((repository / BASELINE).read_bytes()).policy.min_isolation == "bwrap"


def test_the_second_time_changes_nothing(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    init(repository)
    before = files_of(repository)
    times = {name: (repository / name).stat().st_mtime_ns for name in ONLY_GATE.files}
    capfd.readouterr()
    assert init(repository) == 0
    assert files_of(repository) == before
    assert {name: (repository / name).stat().st_mtime_ns for name in ONLY_GATE.files} == times
    assert capfd.readouterr().out == "".join(f"{name}: unchanged\n" for name in ONLY_GATE.files)


@pytest.mark.parametrize("name", [BASELINE, CALLER, GATE])
def test_an_existing_file_is_listed_and_not_changed(
    repository: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    (repository / name).parent.mkdir(parents=True, exist_ok=True)
    (repository / name).write_bytes(b"mine\r\n")
    assert init(repository) == 0
    assert (repository / name).read_bytes() == b"mine\r\n"
    out = capfd.readouterr().out
    assert f"{name}: not changed: it differs from what init writes" in out
    assert out.count(": created") == 3


def test_a_link_to_nothing_is_not_replaced(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (repository / BASELINE).symlink_to("elsewhere.json")
    assert init(repository) == Exit.CANNOT_JUDGE
    assert (repository / BASELINE).is_symlink()
    assert "no such file" in capfd.readouterr().err
    assert files_of(repository) == {}


@pytest.mark.parametrize("before", [b"__pycache__/", b"__pycache__/\n", b"\xff\xfe\n", b""])
def test_missing_lines_are_added_to_gitignore(repository: Path, before: bytes) -> None:
    (repository / IGNORE).write_bytes(before)
    init(repository)
    after = (repository / IGNORE).read_bytes()
    assert after.startswith(before)
    assert after.removeprefix(before).decode().split("\n")[-len(IGNORED) - 1 : -1] == list(IGNORED)
    init(repository)
    assert (repository / IGNORE).read_bytes() == after


def test_a_gitignore_that_is_a_link_stays_one(repository: Path) -> None:
    (repository / "ignored.txt").write_text("*.pyc\n")
    (repository / IGNORE).symlink_to("ignored.txt")
    assert init(repository) == 0
    assert (repository / IGNORE).is_symlink()
    assert (repository / "ignored.txt").read_text().startswith("*.pyc\n#")


def test_git_ignores_the_files_of_a_gate(repository: Path) -> None:
    (repository / IGNORE).write_text("candidate_eval.json")
    init(repository)
    left = ["candidate/MLmodel", "candidate_eval.json", "verdict.json", ".lynxgate/cache/x"]
    command = ["git", "-C", str(repository), "check-ignore", *left, "eval_baseline.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == left


@given(st.lists(st.sampled_from([*IGNORED, "candidate", "candidate/", "  verdict.json  ", "# a note", "*.pyc"])))
def test_a_line_is_added_once(lines: list[str]) -> None:
    text = "\n".join(lines)
    missing = missing_lines(text)
    assert missing_lines("\n".join([text, *missing])) == []
    assert set(missing).isdisjoint(line.strip() for line in lines)


@pytest.mark.parametrize("kept", [(), (BASELINE,), (CALLER, IGNORE), ONLY_GATE.files])
def test_a_plan_that_was_carried_out_has_nothing_to_write(kept: tuple[str, ...]) -> None:
    present = dict.fromkeys(kept, b"something else\n")
    written = {
        each.path: each.data for each in plan_scaffold(present, EvalSet("e.jsonl"), HERE) if each.data is not None
    }
    assert written.keys().isdisjoint(set(kept) - {IGNORE})
    again = plan_scaffold(present | written, EvalSet("e.jsonl"), HERE)
    assert [each.data for each in again] == [None] * len(ONLY_GATE.files)
    assert {each.path for each in again if each.status == "unchanged"} >= set(written)


def test_the_new_baseline_blocks_nothing(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """show, validate and compare accept placeholders; such a baseline blocks nothing and cannot be activated."""
    init(repository)
    path = repository / BASELINE
    found = parse_baseline(path.read_bytes())
    assert (found.status, found.eval_set_dvc_hash, found.source.canonical_sha) == (Status.REPORT_ONLY, None, None)
    assert run(["validate", str(path)]) == 0
    capfd.readouterr()
    assert run(["baseline", "show", "--baseline", str(path)]) == 0
    out = capfd.readouterr().out
    assert "report-only" in out
    assert "md5 not known yet" in out
    assert "None" not in out
    measured = repository / "candidate_eval.json"
    measured.write_bytes(write(evaluation(AFTER)))
    assert run(["compare", "--baseline", str(path), "--candidate", str(measured)]) == 0
    assert capfd.readouterr().out.startswith("would fail: ")
    assert run(["baseline", "activate", "--baseline", str(path)]) == Exit.CANNOT_JUDGE
    assert "placeholder" in capfd.readouterr().err


def test_the_documented_commands_fill_and_activate_it(repository: Path) -> None:
    init(repository)
    path, measured = repository / BASELINE, repository / "candidate_eval.json"
    evaluator = {"name": "minieval", "version": "0.2.0", "isolation": "bwrap"}
    measured.write_bytes(write(evaluation(AFTER, evaluator=evaluator)))
    both = ["--baseline", str(path), "--evaluation", str(measured)]
    assert run(["baseline", "rebaseline", *both]) == Exit.REFUSED
    assert run(["baseline", "rebaseline", *both, "--remove", EXAMPLE]) == 0
    assert run(["baseline", "activate", "--baseline", str(path)]) == 0
    assert run(["compare", "--baseline", str(path), "--candidate", str(measured)]) == 0
    assert init(repository) == 0
    assert parse_baseline(path.read_bytes()).status is Status.ACTIVE


def test_an_existing_eval_set_gives_hashes_and_buckets(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_rows(repository / "data/words.jsonl", upper_rows(6))
    assert init(repository, "--eval-set", "data/words.jsonl") == 0
    found = parse_baseline((repository / BASELINE).read_bytes())
    assert sorted(found.buckets) == ["all", "parity.even", "parity.odd"]
    assert found.eval_set == "data/words.jsonl"
    assert found.eval_set_dvc_hash is not None
    assert found.eval_set_sha256 is not None
    out = capfd.readouterr().out
    assert "3 buckets without figures yet" in out
    assert "--remove" not in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--action", "lynxgate/lynxgate@v1"], "40 hex digits"),
        (["--action", f"../x@{COMMIT}"], "40 hex digits"),
        (["--action", f"lynxgate/lynxgate@{COMMIT}\n      - run: id"], "40 hex digits"),
        (["--repository", "ann"], "owner/name"),
        (["--repository", "ann/x ${{ github.token }}"], "owner/name"),
        (["--default-branch", "main\n  evil: true"], "not a plain branch name"),
        (["--eval-set", "/etc/passwd"], "not a path inside the repository"),
        (["--eval-set", "../other.jsonl"], "not a path inside the repository"),
        (["--root", "nowhere"], "is not a directory"),
        (["--name", "Wine"], "lower-case letters"),
        (["--name", "wine\n  evil: true"], "lower-case letters"),
        (["--name", "wine_red"], "lower-case letters"),
        (["--baseline", "../eval_baseline.json"], "not a path inside the repository"),
        (["--baseline", "/etc/eval_baseline.json"], "not a path inside the repository"),
        (["--baseline", "a b.json"], "not a plain path"),
        (["--baseline", "x.json\n          task: promote"], "not a plain path"),
        (["--baseline", "services/wine/b.json"], "is outside 'services/wine', the folder of --baseline"),
    ],
)
def test_a_bad_option_writes_nothing(
    repository: Path, capfd: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert init(repository, *options) == Exit.USAGE
    err = capfd.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert files_of(repository) == {}


WINE = ("--name", "wine", "--baseline", "services/wine/eval_baseline.json", "--eval-set", "services/wine/words.jsonl")


def test_a_gate_with_a_name_has_everything_of_its_own(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Beside the gate without a name: workflows, label, comment, check run, registry, baseline; nothing is shared."""
    write_rows(repository / "services/wine/words.jsonl", upper_rows(6))
    assert init(repository) == 0
    before = files_of(repository)
    capfd.readouterr()
    assert init(repository, *WINE) == 0
    out = capfd.readouterr().out
    added = files_of(repository)
    assert {name: added[name] for name in before} == before
    caller, gate = ".github/workflows/lynxgate-wine.yml", ".github/workflows/lynxgate-wine-gate.yml"
    assert sorted(added.keys() - before.keys()) == [gate, caller, WINE[3]]
    baseline = parse_baseline(added[WINE[3]])
    assert (baseline.model, baseline.eval_set) == ("wine", "words.jsonl")

    called, called_gate = yaml.safe_load(added[caller]), yaml.safe_load(added[gate])
    assert "'deploy-candidate-wine'" in called["jobs"]["request"]["if"]
    assert called["jobs"]["gate"]["uses"].endswith(f"/{gate}@main")
    steps = [job["steps"][-1]["with"] for job in (called["jobs"]["request"], *called_gate["jobs"].values())]
    for passed in steps:
        assert (passed["name"], passed["label"], passed["baseline"]) == ("wine", "deploy-candidate-wine", WINE[3])
    for passed in steps[1:]:
        assert passed["model-name"] == "${{ inputs.model-name }}"
    promote = called_gate["jobs"]["promote"]
    assert promote["concurrency"]["group"] == "lynxgate-promotion-production-wine"
    assert promote["steps"][-1]["with"]["registry"] == "${{ vars.LYNXGATE_REGISTRY_WINE }}"
    for said in ("deploy-candidate-wine", "LYNXGATE_REGISTRY_WINE", "--model wine", "--model-name wine", WINE[3]):
        assert said in out

    assert init(repository, *WINE) == 0
    assert files_of(repository) == added
    assert capfd.readouterr().out.count(": unchanged\n") == 4


def test_from_a_subfolder_workflows_are_written_at_the_top(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write_rows(repository / "services/wine/words.jsonl", upper_rows(6))
    monkeypatch.chdir(repository / "services/wine")
    for count in (0, 5):
        assert run(["init", "--name", "wine", "--eval-set", "words.jsonl"]) == 0
        out, err = capfd.readouterr()
        assert out.count(": unchanged\n") == count
        assert err == ""
    found = files_of(repository)
    assert sorted(found) == [
        ".github/workflows/lynxgate-wine-gate.yml",
        ".github/workflows/lynxgate-wine.yml",
        ".gitignore",
        "services/wine/.gitignore",
        "services/wine/eval_baseline.json",
        "services/wine/words.jsonl",
    ]
    assert b"baseline: services/wine/eval_baseline.json\n" in found[".github/workflows/lynxgate-wine-gate.yml"]
    assert parse_baseline(found["services/wine/eval_baseline.json"]).eval_set == "words.jsonl"
    # The same from the top: one repository, whatever the current directory is.
    monkeypatch.chdir(repository)
    assert run(["init", *WINE]) == 0
    assert files_of(repository) == found


def test_a_task_file_is_named_from_the_baseline(repository: Path) -> None:
    folder = repository / "services/wine"
    folder.mkdir(parents=True)
    (folder / "wine.csv").write_text("id,acid,label\n" + "".join(f"{n},{n % 3},{n % 2}\n" for n in range(40)))
    assert init(repository, *WINE[:5], "services/wine/wine.csv") == 0
    baseline = parse_baseline((folder / "eval_baseline.json").read_bytes())
    assert baseline.task is not None and (baseline.task.path, baseline.eval_set) == ("wine.toml", "wine.csv")
    assert (folder / "wine.toml").is_file()


def test_an_invalid_eval_set_writes_nothing(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (repository / "words.jsonl").write_text("not JSON\n")
    assert init(repository, "--eval-set", "words.jsonl") == Exit.CANNOT_JUDGE
    assert "words.jsonl" in capfd.readouterr().err
    assert sorted(files_of(repository)) == ["words.jsonl"]


def test_outside_a_repository_it_warns(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path) == 0
    assert "not the top of a git repository" in capfd.readouterr().err


def test_a_path_that_cannot_be_written_is_one_error(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (repository / ".github").write_text("a file where a folder should be\n")
    assert init(repository) == Exit.CANNOT_JUDGE
    assert ".github" in capfd.readouterr().err


def test_the_origin_names_the_repository(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["git", "-C", repository, "remote", "add", "origin", "git@github.com:ann/inflector.git"], check=True)
    init(repository, "--default-branch", "trunk")
    uses = yaml.safe_load((repository / CALLER).read_text())["jobs"]["gate"]["uses"]
    assert uses == "ann/inflector/.github/workflows/lynxgate-gate.yml@trunk"
    assert "OWNER" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("remote", "name"),
    [
        ("https://github.com/ann/inflector", "ann/inflector"),
        ("https://github.com/ann/inflector.git\n", "ann/inflector"),
        ("git@github.com:ann/in.flector.git", "ann/in.flector"),
        ("ssh://git@github.com/ann/inflector", "ann/inflector"),
        ("https://gitlab.com/ann/inflector", None),
        ("https://github.com.evil.org/ann/inflector", None),
        ("https://github.com/ann", None),
        ("/srv/git/inflector", None),
        ("", None),
    ],
)
def test_a_remote_gives_the_repository(remote: str, name: str | None) -> None:
    assert read_repository(remote) == name


def test_the_action_is_the_commit_that_was_installed() -> None:
    noted = {"url": "https://github.com/lynxgate/lynxgate.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
    assert read_action(json.dumps(noted)) == f"lynxgate/lynxgate@{COMMIT}"
    others = [None, "", "[]", "{", "{}", json.dumps({"url": "file:///x", "dir_info": {}})]
    others += [json.dumps(noted | change) for change in ({"url": 7}, {"url": "https://x.org/a/b"}, {"vcs_info": None})]
    assert [read_action(each) for each in others] == [None] * len(others)


def test_an_action_needs_a_commit() -> None:
    with pytest.raises(UsageFailure):
        Place(action="lynxgate/lynxgate@main")
    assert UNKNOWN_ACTION.endswith("@" + "0" * 40)


def test_the_workflows_name_the_given_action() -> None:
    for each in plan_scaffold({}, EvalSet("e.jsonl"), HERE):
        text = (each.data or b"").decode()
        assert "__" not in text
        used = [line.strip() for line in text.splitlines() if "uses:" in line and "lynxgate/lynxgate@" in line]
        assert set(used) <= {f"uses: lynxgate/lynxgate@{COMMIT} # v0.2.0"}


@pytest.mark.parametrize("options", [(), ("--repository", "ann/inflector", "--action", f"lynxgate/lynxgate@{COMMIT}")])
@pytest.mark.slow
def test_the_linters_find_nothing(repository: Path, options: tuple[str, ...]) -> None:
    init(repository, *options)
    assert init(repository, *options, *WINE) == 0
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in (["actionlint"], ["zizmor", "--quiet", "--offline", "--persona", "auditor", "."]):
        done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_templates_are_in_the_wheel(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    build = ["uv", "build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, env=environment, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    code = (
        "import lynxgate.setup.init as s; print(s.__file__, len(s.plan_scaffold({}, s.EvalSet('e.jsonl'), s.Place())))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(wheel)}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{wheel}/lynxgate/setup/init.py {len(ONLY_GATE.files)}\n", done.stderr
