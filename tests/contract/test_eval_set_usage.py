"""The ledger of gates on every store: one entry a question, however often and by however many it is asked at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lynxgate.audit.verify import audit
from lynxgate.decision.baseline import parse_baseline
from lynxgate.errors import Refused
from lynxgate.promotion.eval_set_usage import EvalSetUsage, UsageEntry, measure, record_use
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import GATES_PREFIX, create_registry
from minieval.contract.documents import parse_document
from minieval.contract.report import Evaluation
from tests.contract.stores import Place
from tests.promotion.test_eval_set_usage import LIFE, counting, measured
from tests.promotion.workshop import EVAL_SET


def ask(place: Place, number: int, action: str = "refuse") -> EvalSetUsage | None:
    """One gate of one bundle, by a handle of its own."""
    evaluation = parse_document(measured(f"{number:064x}"), Evaluation, where="e")
    return record_use(place.open(), evaluation, parse_baseline(counting(action)))


def test_the_ledger_counts_refuses_and_is_audited(place: Place) -> None:
    store = place.open()
    create_registry(store, Environment.DEV)
    assert ask(place, 0) == EvalSetUsage(1, LIFE, free=False)
    assert ask(place, 0) == EvalSetUsage(1, LIFE, free=True)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: ask(place, number, "warn"), range(1, LIFE)))
    keys = list(store.keys(GATES_PREFIX))
    assert len(keys) == LIFE
    assert all(key.startswith(f"{GATES_PREFIX}{EVAL_SET}/") for key in keys)
    with pytest.raises(Refused, match=rf"all {LIFE} allowed comparisons .* are used \({LIFE} were made\)"):
        ask(place, LIFE)
    assert list(store.keys(GATES_PREFIX)) == keys
    assert ask(place, 0) == EvalSetUsage(LIFE, LIFE, free=True)
    new = parse_document(measured("f" * 64), Evaluation, where="e")
    assert measure(store, new, parse_baseline(counting())) == EvalSetUsage(LIFE + 1, LIFE, free=False)
    assert list(store.keys(GATES_PREFIX)) == keys
    assert audit(store, None).findings == ()
    found = store.read(keys[0])
    assert found is not None
    forged = parse_document(found.data, UsageEntry, where="q").model_copy(update={"policy_sha256": "0" * 64})
    store.replace(keys[0], forged.data, found.version)
    assert [finding.place for finding in audit(store, None).findings] == [keys[0]]


def test_one_question_asked_by_many_at_once_is_counted_once(racing_place: Place) -> None:
    create_registry(racing_place.open(), Environment.DEV)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: ask(racing_place, 7), range(16)))
    assert all(wear is not None and (wear.used, wear.life) == (1, LIFE) for wear in found)
    assert len(list(racing_place.open().keys(GATES_PREFIX))) == 1
