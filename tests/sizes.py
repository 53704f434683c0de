"""The three sizes of a test run, decided here and nowhere else; `tests/conftest.py` hands pytest's hooks on.

- `just quick` leaves out `parts`, `slow` and `heavy`; `just test` leaves out `heavy`; `just full` runs everything.
- A test is `parts` when it takes a fixture of `SERVERS`, is parametrized with the name of one, or lies in a folder of
  `FOLDERS`. A test that starts another part (npm's programs, the browser) carries the marker itself.
- A test that is not `parts` and asks for a server all the same fails, in every size.
- Where CI is set, a test that skips fails: what it needs is missing there.
- No test depends on a quiet machine: Hypothesis has no deadline, and what waits for a server has `PARTS_SECONDS`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, settings

SERVERS = frozenset({"mlflow_server", "auth_server", "seaweedfs", "moto"})
FOLDERS = frozenset({"act"})
PARTS_SECONDS = 900

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def mark_parts(items: Iterable[pytest.Item]) -> None:
    """Mark the tests that need a part, and give each the time that a busy machine takes."""
    for item in items:
        if _uses_parts(item):
            item.add_marker("parts")
        if item.get_closest_marker("parts") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(PARTS_SECONDS))


def refuse_unmarked(fixture: str, item: pytest.Item) -> None:
    """Fail a test that asks for a server at run time and that `mark_parts` could not know."""
    if fixture in SERVERS and item.get_closest_marker("parts") is None:
        pytest.fail(f"{item.nodeid} uses {fixture}: give it the marker parts", pytrace=False)


def fail_skipped(report: pytest.TestReport) -> None:
    """In CI, make a skip a failure; an expected failure stays what it is."""
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI nothing may be missing: {report.longreprtext}"


def _uses_parts(item: pytest.Item) -> bool:
    if FOLDERS & {folder.name for folder in item.path.parents}:
        return True
    if not isinstance(item, pytest.Function):
        return False
    call = getattr(item, "callspec", None)
    chosen = {value for value in call.params.values() if isinstance(value, str)} if call else set()
    return bool(SERVERS & {*item.fixturenames, *chosen})
