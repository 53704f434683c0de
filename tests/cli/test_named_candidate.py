"""How the command line names a candidate: by its run and a name in it, or by a registered model, resolved once."""

from __future__ import annotations

from pathlib import Path

import pytest

from lynxgate.cli.app import run
from lynxgate.cli.candidate import ResolvedCandidate, parse_candidate, resolve_candidate
from lynxgate.errors import UsageFailure
from lynxgate.ports import RegisteredVersion
from minieval.contract.exits import Exit

RUN, OTHER = "ab" * 16, "cd" * 16


class Moving:
    """Registered models whose alias is moved each time that it is read."""

    def __init__(self) -> None:
        self.answers = [RegisteredVersion("1", RUN, "wine"), RegisteredVersion("2", OTHER, "wine")]

    def resolve(self, reference: str) -> RegisteredVersion:
        assert reference == "models:/wine@candidate"
        return self.answers.pop(0)


def test_a_run_is_not_resolved() -> None:
    moving = Moving()
    assert resolve_candidate(parse_candidate(RUN, None, None), moving) == ResolvedCandidate(RUN, None)
    assert resolve_candidate(parse_candidate(RUN, None, "wine"), moving) == ResolvedCandidate(RUN, "wine")
    assert resolve_candidate(parse_candidate(RUN, None, ""), moving) == ResolvedCandidate(RUN, None)
    assert len(moving.answers) == 2


def test_a_registered_model_is_resolved_once(capfd: pytest.CaptureFixture[str]) -> None:
    moving = Moving()
    found = resolve_candidate(parse_candidate(None, "models:/wine@candidate", None), moving)
    assert found == ResolvedCandidate(RUN, "wine")
    assert len(moving.answers) == 1
    assert capfd.readouterr().err == f"models:/wine@candidate is version 1: run {RUN}, model wine\n"


@pytest.mark.parametrize(
    ("run_id", "model", "name"),
    [
        (None, None, None),
        (RUN, "models:/wine/7", None),
        (None, "models:/wine/7", "wine"),
        (RUN, None, "wi ne"),
        (RUN, None, "-wine"),
        (RUN, None, "w" * 64),
        ("models:/wine/7", None, None),
    ],
)
def test_what_names_no_candidate(run_id: str | None, model: str | None, name: str | None) -> None:
    with pytest.raises(UsageFailure):
        parse_candidate(run_id, model, name)


def test_the_commands_refuse_before_anything_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LYNX_ENV", "dev")
    assert run(["gate", "--semver", "v0.1.0"]) == Exit.USAGE
    assert "exactly one of --run-id and --model" in capfd.readouterr().err
    assert run(["fetch", "--run-id", RUN, "--model", "models:/wine/7"]) == Exit.USAGE
    assert run(["fetch", "--production", "--model-name", "wine"]) == Exit.USAGE
    assert "a promoted version has its own" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
