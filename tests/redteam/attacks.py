"""One attack each: what it changes in an honest evaluation or baseline of a model that should not pass.

The honest pair is a model that lost 40 of 500 examples in `hard`, under an active baseline with rule `guard`. An attack
tries to get it through, or to get through without having been measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from minieval.contract.outcome_bits import pack_outcomes

MD5, SHA256 = "a" * 32, "b" * 64
Tree = dict[str, Any]
N = 500


def measured(wrong: int, n: int = N) -> Tree:
    """A bucket whose last ``wrong`` examples are wrong."""
    outcomes = [index < n - wrong for index in range(n)]
    return {"n": n, "correct": n - wrong, "accuracy": round((n - wrong) / n, 4), "outcomes": pack_outcomes(outcomes)}


def honest_evaluation(lost: int = 40) -> Tree:
    """A model that is as the baseline's in `easy` and lost so many examples in `hard`."""
    return {
        "schema": "minieval.evaluation/1",
        "candidate": {"canonical_sha": "c" * 64, "mlflow_run_id": "d" * 32},
        "eval_set": {"dvc_md5": MD5, "sha256": SHA256, "rows": 2 * N},
        "aggregate": measured(20 + lost, 2 * N),
        "buckets": {"easy": measured(10), "hard": measured(10 + lost)},
    }


def honest_baseline() -> Tree:
    """What it is held against."""
    return {
        "schema": "lynxgate.baseline/1",
        "status": "active",
        "eval_set": "data/eval.jsonl",
        "eval_set_dvc_hash": MD5,
        "eval_set_sha256": SHA256,
        "source": {"semver": "v0.3.0", "canonical_sha": "e" * 64},
        "policy": {"rule": "guard", "tolerance_pp": 3.0, "overall_tolerance_pp": 6.0},
        "aggregate": measured(20, 2 * N),
        "buckets": {"easy": measured(10), "hard": measured(10)},
    }


@dataclass(frozen=True)
class Attack:
    """An attack: the exit code it must end in, and words that the refusal must contain."""

    name: str
    code: int
    message: str
    change: Callable[[Tree, Tree], tuple[str, str] | None]


def _empty(measured_: Tree, _: Tree) -> None:
    measured_["buckets"] = {}


def _nothing_counted(evaluation: Tree, _: Tree) -> None:
    evaluation["buckets"] = {name: {"n": 0, "correct": 0} for name in evaluation["buckets"]}


def _nothing_at_all(_: Tree, agreed: Tree) -> tuple[str, str]:
    return "", json.dumps(agreed)


def _only_the_easy(evaluation: Tree, _: Tree) -> None:
    evaluation["buckets"]["hard"] = measured(10, 460)
    evaluation["aggregate"] = measured(20, 960)
    evaluation["eval_set"]["rows"] = 960


def _only_the_easy_and_all_rows(evaluation: Tree, agreed: Tree) -> None:
    _only_the_easy(evaluation, agreed)
    evaluation["eval_set"]["rows"] = 2 * N


def _easy_bucket_only(evaluation: Tree, _: Tree) -> None:
    del evaluation["buckets"]["hard"]


def _number(text: str) -> Callable[[Tree, Tree], tuple[str, str]]:
    def change(evaluation: Tree, agreed: Tree) -> tuple[str, str]:
        evaluation["buckets"]["hard"] = {"accuracy": "HERE"}
        return json.dumps(evaluation).replace('"HERE"', text), json.dumps(agreed)

    return change


def _bucket_twice(evaluation: Tree, agreed: Tree) -> tuple[str, str]:
    text = json.dumps(evaluation)
    better = f'"hard": {json.dumps(measured(0))}, "hard": '
    return text.replace('"hard": ', better, 1), json.dumps(agreed)


def _never_disagree(evaluation: Tree, agreed: Tree) -> None:
    for tree in (evaluation, agreed):
        tree["aggregate"] = measured(0, 20)
        tree["buckets"] = {"hard": measured(0, 10)}
    evaluation["eval_set"]["rows"] = 20
    agreed["policy"] = {"rule": "noninferior", "tolerance_pp": 3.0}


def _renamed(evaluation: Tree, _: Tree) -> None:
    evaluation["buckets"]["Hard"] = evaluation["buckets"].pop("hard")


def _look_alike(evaluation: Tree, _: Tree) -> None:
    evaluation["buckets"]["h\u0430rd"] = evaluation["buckets"]["hard"]
    evaluation["buckets"]["hard"] = measured(10)


def _flipped(evaluation: Tree, _: Tree) -> None:
    evaluation["metrics"] = {"accuracy": {"value": 0.1, "direction": "lower"}}
    evaluation["buckets"]["hard"]["direction"] = "lower"


def _placeholder(_: Tree, agreed: Tree) -> None:
    agreed["buckets"]["hard"] = {"n": "TODO", "accuracy": None}


def _own_tolerance(evaluation: Tree, _: Tree) -> None:
    evaluation["policy"] = {"rule": "point", "tolerance_pp": 100}


def _own_tolerance_in_a_bucket(evaluation: Tree, _: Tree) -> None:
    evaluation["buckets"]["hard"]["tolerance_pp"] = 100


def _claims_passed(evaluation: Tree, _: Tree) -> None:
    evaluation["passed"] = True


def _inflated(evaluation: Tree, _: Tree) -> None:
    evaluation["buckets"]["hard"] |= {"correct": 490, "accuracy": 0.98}


def _another_set(evaluation: Tree, _: Tree) -> None:
    evaluation["eval_set"]["dvc_md5"] = "f" * 32


def _hides_behind_all_rows(evaluation: Tree, _: Tree) -> None:
    evaluation["aggregate"] = measured(20, 2 * N)


def _drops_outcomes(evaluation: Tree, _: Tree) -> None:
    for side in (evaluation["aggregate"], *evaluation["buckets"].values()):
        del side["outcomes"]


def _drops_counts(evaluation: Tree, _: Tree) -> None:
    evaluation["buckets"]["hard"] = {"accuracy": 0.98}


def _slow(evaluation: Tree, agreed: Tree) -> None:
    """As good as the baseline in every bucket, on the same machine, and half as fast."""
    evaluation |= honest_evaluation(lost=0)
    agreed["metrics"] = {"latency_ms": {"value": 10, "unit": "ms", "direction": "lower", "machine": True}}
    agreed["policy"]["metrics"] = {"latency_ms": {"max_ratio": 1.25}}
    agreed["environment"] = {"fingerprint": "here"}
    evaluation["metrics"] = {"latency_ms": {"value": 20, "unit": "ms"}}
    evaluation["environment"] = {"fingerprint": "here"}


def _slow_and(change: Callable[[Tree], None]) -> Callable[[Tree, Tree], None]:
    def attack(evaluation: Tree, agreed: Tree) -> None:
        _slow(evaluation, agreed)
        change(evaluation)

    return attack


def _metric(**changes: Any) -> Callable[[Tree, Tree], None]:
    return _slow_and(lambda evaluation: evaluation["metrics"]["latency_ms"].update(changes))


def _metrics(**metrics: Any) -> Callable[[Tree, Tree], None]:
    return _slow_and(lambda evaluation: evaluation.update(metrics=metrics))


def _many_samples(evaluation: Tree, agreed: Tree) -> None:
    """Its value is stated; the policy takes the figure of the samples, and these are slow."""
    _slow(evaluation, agreed)
    agreed["policy"]["metrics"]["latency_ms"] |= {"statistic": "median", "confidence": 0.95}
    agreed["metrics"]["latency_ms"]["samples"] = [9, 10, 11, 10, 9, 10, 11, 10]
    evaluation["metrics"]["latency_ms"] |= {"value": 19, "samples": [19, 20, 21, 20, 19, 20, 21, 20]}


def _a_value_of_its_own(evaluation: Tree, agreed: Tree) -> None:
    _many_samples(evaluation, agreed)
    evaluation["metrics"]["latency_ms"]["value"] = 1


def _too_few_samples(evaluation: Tree, agreed: Tree) -> None:
    _many_samples(evaluation, agreed)
    evaluation["metrics"]["latency_ms"] |= {"value": 20, "samples": [20]}


ATTACKS = (
    Attack("honest regression", 2, "hard regressed", lambda *_: None),
    Attack("empty evaluation", 3, "buckets", _empty),
    Attack("zero examples", 3, "n", _nothing_counted),
    Attack("empty file", 3, "", _nothing_at_all),
    Attack("only the easy examples answered", 3, "n is 500 in the baseline and 460", _only_the_easy),
    Attack("only the easy examples of all rows", 3, "contradicts itself: eval_set.rows", _only_the_easy_and_all_rows),
    Attack("only the easy bucket answered", 2, "hard missing", _easy_bucket_only),
    Attack("NaN", 3, "NaN", _number("NaN")),
    Attack("infinity", 3, "Infinity", _number("Infinity")),
    Attack("1e400", 3, "", _number("1e400")),
    Attack("a bucket twice", 3, "hard", _bucket_twice),
    Attack("zero-width interval", 3, "examples would settle it", _never_disagree),
    Attack("renamed bucket", 2, "hard missing", _renamed),
    Attack("look-alike bucket", 2, "new", _look_alike),
    Attack("flipped direction", 3, "direction", _flipped),
    Attack("baseline with a placeholder", 3, "placeholder", _placeholder),
    Attack("its own tolerance", 3, "policy", _own_tolerance),
    Attack("its own tolerance in a bucket", 3, "tolerance_pp", _own_tolerance_in_a_bucket),
    Attack("claims that it passed", 3, "passed", _claims_passed),
    Attack("counts beyond its outcomes", 3, "outcomes", _inflated),
    Attack("another eval set", 4, "another|not the same eval set", _another_set),
    Attack(
        "hides behind all rows",
        3,
        "450 of 500 rows right, and the aggregate 980 of",
        _hides_behind_all_rows,
    ),
    Attack("drops its outcomes", 2, "hard regressed", _drops_outcomes),
    Attack("drops its counts", 3, "bucket 'hard' has n 500 in the baseline", _drops_counts),
    Attack("slow", 2, "latency_ms regressed", _slow),
    Attack("flipped direction of a metric", 2, "latency_ms regressed", _metric(direction="higher")),
    Attack("a metric for information", 2, "latency_ms regressed", _metric(direction="info")),
    Attack("another unit", 3, "unit is ms, and the evaluation names unit s", _metric(value=0.02, unit="s")),
    Attack("drops a metric", 2, "latency_ms missing", _metrics()),
    Attack("renamed metric", 2, "latency_ms missing", _metrics(Latency_ms={"value": 20, "unit": "ms"})),
    Attack("a metric of its own", 2, "speed new", _metrics(latency_ms={"value": 9, "unit": "ms"}, speed={"value": 1})),
    Attack("its own limit on a metric", 3, "max_ratio", _metric(max_ratio=9)),
    Attack("claims which machine matters", 3, "machine", _metric(machine=False)),
    Attack("a metric that is no number", 3, "metrics.latency_ms.value", _metric(value="fast")),
    Attack("another machine", 3, "another one", _slow_and(lambda e: e["environment"].update(fingerprint="there"))),
    Attack("no machine", 3, "unknown on one side", _slow_and(lambda e: e.pop("environment"))),
    Attack("the fastest of slow samples", 2, "latency_ms regressed", _many_samples),
    Attack("a value beside slow samples", 3, "value 1, and its samples lie in 19 to 21", _a_value_of_its_own),
    Attack("one sample", 3, "latency_ms inconclusive", _too_few_samples),
)


def stage(attack: Attack) -> tuple[str, str]:
    """The evaluation and the baseline as the attack leaves them, as JSON."""
    evaluation, agreed = honest_evaluation(), deepcopy(honest_baseline())
    return attack.change(evaluation, agreed) or (json.dumps(evaluation), json.dumps(agreed))
