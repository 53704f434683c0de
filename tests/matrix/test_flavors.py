"""Models of several flavors, trained here, get what they were trained on, and answer alike in batches of any size.

`test_promotion` asks the models of all flavors in the same way, as served from a registry.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix.cases import check
from tests.matrix.names import ANSWERED
from tests.matrix.names import FLAVORS as NAMES

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_the_names_are_those_of_the_models() -> None:
    from tests.matrix.flavors import FLAVORS

    assert tuple(FLAVORS) == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name in ANSWERED])
def test_a_flavor_answers_as_its_model_does(name: str, tmp_path: Path) -> None:
    from tests.matrix.flavors import FLAVORS

    check(FLAVORS[name](tmp_path / "bundle"), tmp_path / "bundle")
