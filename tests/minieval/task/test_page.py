"""docs/task-file.md: each sample of TOML is a valid task, and each key and score is there."""

from __future__ import annotations

import re
from pathlib import Path

from minieval.task.document import OPTIONS, Buckets, Kind, Model, OwnEvaluator, Reading, Task, parse_task

PAGE = (Path(__file__).parents[3] / "docs" / "task-file.md").read_text()
HEAD = 'schema = "minieval.task/1"\n[buckets]\nlists = ["b"]\n'


def test_each_sample_is_a_valid_task() -> None:
    samples = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(samples) >= 8
    kinds = {
        parse_task((text if "schema =" in text else HEAD + text).encode(), where=text[:40]).score.kind
        for text in samples
    }
    assert kinds >= {*Kind} - {Kind.ANY_OF, Kind.SET}, "these two have no option, and stand in a table"


def test_each_key_is_explained() -> None:
    named = set(re.findall(r"`\[?(\w+)", PAGE)) | set(re.findall(r"^(\w+) =", PAGE, re.MULTILINE))
    for document in (Task, Buckets, Reading, Model, OwnEvaluator):
        assert {field.alias or name for name, field in document.model_fields.items()} <= named | {"score", "model"}
    assert {str(kind) for kind in Kind} <= named
    assert set().union(*OPTIONS.values(), {"gate_classes", "threshold"}) <= named | {"threshold"}
