"""Every model of the matrix, from its run to production: fetched, evaluated, compared, promoted, served, asked again.

The labels of its eval set are what the model answers when it is called without MLflow, but for one, which is wrong.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from minieval.command import run as minieval
from tests.matrix.cases import Case, check
from tests.matrix.eval_sets import write_eval_set
from tests.matrix.names import FLAVORS, KINDS, PROMOTED, heavy_but
from tests.matrix.road import evaluate_run, open_tracking, promote_evaluated

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def tracking_uri(shared_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return open_tracking(shared_root, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", heavy_but(FLAVORS, PROMOTED))
def test_a_flavor_goes_from_its_run_to_production(name: str, tracking_uri: str, tmp_path: Path) -> None:
    from tests.matrix import flavors

    promote_and_ask(flavors.FLAVORS[name](tmp_path / "saved"), tmp_path, tracking_uri)


@pytest.mark.parametrize("name", heavy_but(KINDS, PROMOTED))
def test_a_kind_of_model_goes_from_its_run_to_production(name: str, tracking_uri: str, tmp_path: Path) -> None:
    from tests.matrix import kinds

    promote_and_ask(kinds.KINDS[name](tmp_path / "saved"), tmp_path, tracking_uri)


def promote_and_ask(case: Case, folder: Path, tracking_uri: str) -> None:
    """Take the model at ``folder/saved`` to production, and ask the one that is served."""
    rows = case.features.num_rows
    evaluation = evaluate_run(folder / "saved", *write_eval_set(case, folder), tracking_uri, minieval)
    assert (evaluation["aggregate"]["n"], evaluation["aggregate"]["correct"]) == (rows, rows - 1)
    assert evaluation["buckets"]["part.even"]["correct"] == evaluation["buckets"]["part.even"]["n"] - 1
    check(case, promote_evaluated(tracking_uri))
