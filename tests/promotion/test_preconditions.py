"""What a gate refuses before anything is downloaded: neither DVC nor MLflow is asked for anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lynxgate.candidate.cache import Cache
from lynxgate.errors import CannotJudge, Refused, UsageFailure
from lynxgate.pipeline import GatePaths, GateServices, gate
from lynxgate.promotion.preconditions import check_preconditions
from lynxgate.promotion.rollback import roll_back
from lynxgate.registry.environment import Environment
from tests.promotion.workshop import CI, DEV, Workshop, open_context, write_baseline


@dataclass
class NeverAsked:
    """A tracking server and a DVC remote in one; each question is noted, and none is answered."""

    asked: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        raise CannotJudge(f"{name} was asked")


def run_gate(workshop: Workshop, semver: str, environ: Mapping[str, str], asked: NeverAsked) -> None:
    (workshop.folder / "eval_baseline.json").write_bytes(write_baseline())
    paths = GatePaths(
        baseline=workshop.folder / "eval_baseline.json",
        lock=None,
        bundle=workshop.folder / "candidate",
        evaluation=workshop.folder / "candidate_eval.json",
        verdict=workshop.folder / "verdict.json",
    )
    server: Any = asked
    context = open_context(workshop.store, workshop.tracking)
    services = GateServices(server, server, context, Cache(workshop.folder / "cache"), environ)
    gate("0" * 32, semver, paths, services, lambda *_: None)


@pytest.mark.parametrize(
    ("marked", "environ", "semver", "reason"),
    [
        (Environment.PRODUCTION, DEV, "v0.1.1", "is a registry for production"),
        (Environment.DEV, CI, "v0.1.1", "is a registry for dev"),
        (Environment.DEV, {}, "v0.1.1", "go through CI"),
        (Environment.DEV, {"LYNX_ENV": "prod"}, "v0.1.1", "LYNX_ENV is 'prod'"),
        (None, CI, "v0.1.1", "is not a registry"),
        (Environment.DEV, DEV, "0.1.1", "is not a semver"),
        (Environment.DEV, DEV, "v0.0.9", "v0.0.9 is not greater than v0.1.0"),
    ],
)
def test_a_gate_that_cannot_promote_downloads_nothing(
    tmp_path: Path,
    marked: Environment | None,
    environ: Mapping[str, str],
    semver: str,
    reason: str,
) -> None:
    workshop, asked = Workshop(tmp_path), NeverAsked()
    if marked is Environment.DEV:
        workshop.promote(workshop.candidate("a"), "v0.1.0")
    elif marked is not None:
        workshop.open_registry(marked)
    with pytest.raises((Refused, UsageFailure), match=reason):
        run_gate(workshop, semver, environ, asked)
    assert asked.asked == []
    assert not (tmp_path / "candidate_eval.json").exists()


def test_the_next_semver_goes_on_to_the_download(tmp_path: Path) -> None:
    workshop, asked = Workshop(tmp_path), NeverAsked()
    workshop.promote(workshop.candidate("a"), "v0.1.0")
    with pytest.raises(CannotJudge, match="pull was asked"):
        run_gate(workshop, "v0.1.1", DEV, asked)
    assert asked.asked == ["pull"]


def test_a_repetition_is_not_refused_early(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    workshop.promote(workshop.candidate("a"), "v0.1.0")
    check_preconditions(workshop.store, DEV, "v0.1.0", None)
    workshop.promote(workshop.candidate("b"), "v0.2.0")
    check_preconditions(workshop.store, DEV, "v0.1.0", None)  # promoted before: its receipt is given again


def test_a_semver_below_one_that_was_rolled_back_is_refused(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    for name, semver in (("a", "v0.1.0"), ("b", "v0.3.0")):
        workshop.promote(workshop.candidate(name), semver)
    roll_back("v0.1.0", workshop.context(), DEV)
    with pytest.raises(Refused, match=r"v0\.2\.0 is lower than v0\.3\.0, which was promoted before"):
        check_preconditions(workshop.store, DEV, "v0.2.0", None)
    check_preconditions(workshop.store, DEV, "v0.3.1", None)
