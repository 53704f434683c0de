"""The registry's commands as a program reads them: strict JSON on stdout, bounded lists, bounded time."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from lynxgate.audit.history import read_events, read_last_events
from lynxgate.cli.app import build, run
from lynxgate.errors import UsageFailure
from lynxgate.promotion.promote import promote
from lynxgate.promotion.rollback import roll_back
from lynxgate.settings import mlflow_bounds
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Json, parse_json
from minieval.contract.exits import Exit
from tests.contract.stores import Place
from tests.promotion.workshop import DEV, Workshop


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in DEV.items():
        monkeypatch.setenv(name, value)


def test_every_command_has_json() -> None:
    (group,) = build(["promote", "registry_read", "registry_write"]).registered_groups
    assert group.typer_instance is not None
    commands = {command.name: command.callback for command in group.typer_instance.registered_commands}
    assert len(commands) == 11
    assert [each for each in commands.values() if each and "as_json" not in inspect.signature(each).parameters] == []


@pytest.fixture
def registry(workshop: Workshop) -> Iterator[str]:
    """v0.3.0, then v0.3.1 in production."""
    workshop.promote(workshop.candidate("a"), "v0.3.0")
    workshop.promote(workshop.candidate("b"), "v0.3.1")
    yield str(workshop.folder / "registry")


@pytest.mark.usefixtures("dev")
@pytest.mark.slow
def test_each_json_is_strict_and_alone_on_stdout(
    workshop: Workshop, registry: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def answer(*arguments: str) -> Json:
        code = run(["registry", *arguments, "--registry", registry, "--json"])
        out = capfd.readouterr().out
        assert code == Exit.OK, arguments
        return parse_json(out.encode(), where=arguments[0])

    a, b = (workshop.candidate(name).sha for name in "ab")
    assert answer("init", "--environment", "dev") == {"registry": registry, "environment": "dev", "made": False}
    listed = answer("list", "--last", "1")
    assert (listed["production"], listed["earlier"], len(listed["events"])) == ("v0.3.1", 1, 1)
    assert [each["number"] for each in answer("list", "--all")["events"]] == [1, 2]
    assert [record["canonical_sha"] for record in answer("show", "v0.3.0")] == [a]
    assert [record["semver"] for record in answer("show", b)] == ["v0.3.1"]
    last = workshop.store.last()
    assert last is not None
    head = f"{last[0]}:{digest_bytes(last[1])}"
    assert (listed["head"], answer("list", "--all")["head"]) == (head, head)
    assert answer("verify", "--offline", "--expect-head", head) == {
        "promotions": 2,
        "entries": 2,
        "head": head,
        "findings": [],
    }
    assert [each["semver"] for each in answer("lineage", "v0.3.1", "--offline")] == ["v0.3.1"]
    nowhere = ["--tracking-uri", "http://127.0.0.1:9"]  # nobody needs MLflow for these
    assert answer("recover", *nowhere) == []
    back = answer("rollback", "--to", "v0.3.0", *nowhere)
    assert back == {"production": "v0.3.0", "canonical_sha": a, "production_before": "v0.3.1"}
    stone = answer("tombstone", b, "--reason", "leaks names", *nowhere)
    assert (stone["canonical_sha"], stone["reason"], stone["written"]) == (b, "leaks names", True)


def test_the_last_events_on_every_store(place: Place, workshop: Workshop) -> None:
    """The same from the end as from the beginning, for any number."""
    store = place.open()
    assert read_last_events(store, 5) == (None, [], 0)
    context = workshop.context(store)
    for number in range(4):
        promote(workshop.candidate("a").request(f"v0.3.{number}"), context, workshop.tracking, DEV)
    roll_back("v0.3.1", context, DEV)
    production, events = read_events(store)
    for count in (1, 2, 5, 6, 100):
        assert read_last_events(store, count) == (production, events[-count:], max(0, 5 - count))


@pytest.mark.parametrize(
    ("seconds", "request_seconds", "step_seconds"),
    [("", 10, 40.0), ("60", 10, 40.0), ("6", 1, 4.0), ("30", 5, 20.0), ("600", 10, 580.0), ("3600", 10, 3580.0)],
)
def test_the_bound_on_mlflow_is_what_is_asked_for(
    seconds: str, request_seconds: int, step_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYNXGATE_MLFLOW_SECONDS", seconds)
    bounds = mlflow_bounds()
    assert (bounds.request_seconds, bounds.step_seconds) == (request_seconds, step_seconds)
    assert bounds.step_seconds + 2 * bounds.request_seconds == int(seconds or 60)


@pytest.mark.parametrize("seconds", ["5", "0", "-6", "3601", "99999999999", "1e2", "6.5", "ten", "\uff16\uff10"])
def test_a_bound_that_is_none_is_refused(seconds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYNXGATE_MLFLOW_SECONDS", seconds)
    with pytest.raises(UsageFailure, match="from 6 to 3600"):
        mlflow_bounds()
