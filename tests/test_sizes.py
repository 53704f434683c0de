"""The sizes of a run hold: groups stay together, parts are known, and in CI nothing is skipped."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from tests.sizes import SERVERS, fail_skipped, refuse_unmarked


@pytest.mark.xdist_group("sizes")
def test_a_group_is_in_the_name_by_which_xdist_hands_tests_out(request: pytest.FixtureRequest) -> None:
    """Otherwise the workers make anew what only one of them should make, and nothing says so."""
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith("@sizes")


def test_this_one_is_no_part(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("parts") is None
    for server in SERVERS:
        with pytest.raises(pytest.fail.Exception, match="give it the marker parts"):
            refuse_unmarked(server, request.node)
    refuse_unmarked("tmp_path", request.node)


@pytest.mark.parametrize("server", sorted(SERVERS))
def test_a_parameter_names_a_part(request: pytest.FixtureRequest, server: str) -> None:
    assert request.node.get_closest_marker("parts") is not None
    refuse_unmarked(server, request.node)


@pytest.mark.parametrize(
    ("ci", "kind", "outcome"),
    [("true", {}, "failed"), ("", {}, "skipped"), ("true", {"wasxfail": "known"}, "skipped")],
)
def test_a_skip_is_a_failure_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, kind: dict[str, str], outcome: str
) -> None:
    monkeypatch.setenv("CI", ci)
    report: Any = SimpleNamespace(
        outcome="skipped", skipped=True, longreprtext="no such program", longrepr=None, **kind
    )
    fail_skipped(report)
    assert report.outcome == outcome
    assert (outcome == "failed") == ("no such program" in str(report.longrepr))
