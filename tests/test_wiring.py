"""An address chooses its adapter; one whose extra is missing says which."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lynxgate.errors import UsageFailure
from lynxgate.wiring import open_tracking


@pytest.mark.parametrize("uri", ["databricks", "ftp://host", "file:///tmp/x", "./mlruns"])
def test_an_address_without_an_adapter(uri: str) -> None:
    with pytest.raises(UsageFailure, match="must be http"):
        open_tracking(uri)


@pytest.mark.parametrize(
    ("extra", "call"),
    [("mlflow", "wiring.open_tracking('http://127.0.0.1:9')"), ("dvc", "wiring.open_eval_data(Path('.'))")],
)
@pytest.mark.slow
def test_a_missing_extra_is_named(extra: str, call: str) -> None:
    code = (
        f"import sys; sys.modules[{extra!r}] = None\n"
        "from pathlib import Path\nfrom lynxgate import wiring\nfrom lynxgate.errors import UsageFailure\n"
        f"try:\n    {call}\nexcept UsageFailure as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"pip install 'lynxgate[{extra}]'" in done.stdout
