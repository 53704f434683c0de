"""How often an eval set was asked: one entry in the registry for each distinct question, and when it is worn out.

A question is a bundle, an eval set and a policy (`UsageEntry`); its entry is `gates/<eval set md5>/<SHA-256>.json`,
named by the hash of its own bytes.

- The same question again is free: its answer is known already. An entry is created once and never changes.
- The count is the number of keys under one prefix: they are listed, none is read.
- Only a policy with `shelf_life` is counted, so that without one a refusal writes nothing at all.
- Two new questions at the same moment may both be the last; the bound is no sharper than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from lynxgate.analysis.plan import gates_carried
from lynxgate.decision.baseline import Baseline
from lynxgate.decision.effective_policy import digest_policy
from lynxgate.decision.policy import ShelfLife
from lynxgate.errors import CannotJudge, Refused
from lynxgate.ports import RegistryStore, Store
from lynxgate.promotion.authorization import authorise, check_registry
from lynxgate.registry.layout import create_registry, put_once, read_environment
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, canonical_json
from minieval.contract.fields import DvcMd5, Sha256
from minieval.contract.report import Evaluation

PREFIX = "gates/"


class UsageEntry(Document):
    """What one gate asks of an eval set."""

    schema_: Annotated[Literal["lynxgate.gate/1"], Field(alias="schema")] = "lynxgate.gate/1"
    canonical_sha: Sha256
    eval_set_dvc_md5: DvcMd5
    policy_sha256: Sha256

    @property
    def data(self) -> bytes:
        """The bytes of its entry: equal questions are equal bytes."""
        return canonical_json(self.model_dump(by_alias=True))

    @property
    def key(self) -> str:
        """Where its entry is."""
        return f"{PREFIX}{self.eval_set_dvc_md5}/{digest_bytes(self.data)}.json"


@dataclass(frozen=True)
class EvalSetUsage:
    """How often an eval set was asked, this question included, and how often it may be (`life`); ``free``: a retry."""

    used: int
    life: int
    free: bool

    @property
    def over(self) -> bool:
        """Whether its answers can no longer be believed as the bound says."""
        return self.used > self.life

    @property
    def sentence(self) -> str:
        """For people, as ``gate 12 of 44 on this eval set``."""
        text = f"gate {self.used} of {self.life} on this eval set" + (", asked before and free" if self.free else "")
        return text + ("; it is worn out: build a new one" if self.over else "")


def ask(evaluation: Evaluation, baseline: Baseline) -> UsageEntry:
    """The question that judging ``evaluation`` by ``baseline`` asks.

    Raises:
        CannotJudge: the evaluation does not say which bundle it is of.
    """
    if evaluation.candidate.canonical_sha is None:
        raise CannotJudge("the policy counts gates by bundle (shelf_life), and the evaluation names none")
    return UsageEntry(
        canonical_sha=evaluation.candidate.canonical_sha,
        eval_set_dvc_md5=evaluation.eval_set.dvc_md5,
        policy_sha256=digest_policy(baseline.policy),
    )


def count_gate(
    store: RegistryStore, environ: Mapping[str, str], evaluation: Evaluation, baseline: Baseline
) -> EvalSetUsage | None:
    """Count a gate in the registry that this process may write to; a dev registry is made where there is none.

    Raises:
        Refused: this process may not write there, or as `record_use`.
        CannotJudge, StoreFailure: as `record_use`.
    """
    if baseline.policy.shelf_life is None:
        return None
    environment, found = authorise(environ), read_environment(store)
    check_registry(environment, found, store.location)
    if found is None:
        create_registry(store, environment)
    return record_use(store, evaluation, baseline)


def record_use(store: Store, evaluation: Evaluation, baseline: Baseline) -> EvalSetUsage | None:
    """Count a gate before it is answered; `None`, and nothing written, where the policy does not count.

    Raises:
        Refused: the policy refuses at the end of life, and this question is a new one.
        CannotJudge: the evaluation names no bundle, or not how many rows it has.
        StoreFailure: the registry failed.
    """
    wear = measure(store, evaluation, baseline)
    if wear is None or wear.free:
        return wear
    if wear.over and baseline.policy.shelf_life is ShelfLife.REFUSE:
        raise Refused(
            f"this eval set has answered {wear.used - 1} gates and is good for {wear.life}: it is worn out; build a "
            "new one and rebaseline (the policy says shelf_life: refuse)"
        )
    question = ask(evaluation, baseline)
    put_once(store, question.key, question.data)
    return wear


def measure(store: Store, evaluation: Evaluation, baseline: Baseline) -> EvalSetUsage | None:
    """How often an eval set was asked, with this question; only reads. `None` where the policy does not count.

    Raises:
        CannotJudge, StoreFailure: as `record_use`.
    """
    if baseline.policy.shelf_life is None:
        return None
    question, life = ask(evaluation, baseline), life_of(evaluation, baseline)
    # One listing answers both: between two, somebody else may have asked the same.
    keys = set(store.keys(f"{PREFIX}{question.eval_set_dvc_md5}/"))
    return EvalSetUsage(len(keys | {question.key}), life, free=question.key in keys)


def life_of(evaluation: Evaluation, baseline: Baseline) -> int:
    """How many gates the eval set carries under the policy.

    Raises:
        CannotJudge: the evaluation does not say how many rows there are.
    """
    rows = evaluation.eval_set.rows or (None if evaluation.aggregate is None else evaluation.aggregate.n)
    if rows is None:
        raise CannotJudge("the policy counts gates (shelf_life), and the evaluation does not say how many rows it has")
    return gates_carried(baseline.policy, rows)
