"""Count how often an eval set was used: one entry in the registry for each distinct comparison.

A comparison is a bundle, an eval set, a task, a policy, and what the bundle answered (`UsageEntry`); its entry is
`gates/<eval set md5>/<SHA-256>.json`, named by the hash of its own bytes.

- The same comparison again is free, since its result is known already. An entry is created once and never changes.
- Other outcomes of the same bundle, as a sampled model has, are another comparison; other timings are not.
- The count is the number of keys under one prefix: they are listed, none is read.
- Only a policy with `shelf_life` is counted; without one a refusal writes nothing at all.
- Two new comparisons at the same moment may both count as the last allowed one; the limit is no sharper than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from lynxgate.analysis.eval_set_life import bound_disagreement, gates_carried
from lynxgate.decision.baseline import Baseline
from lynxgate.decision.effective_policy import digest_policy_as_written
from lynxgate.decision.policy import ShelfLife
from lynxgate.errors import CannotJudge, Refused
from lynxgate.ports import RegistryStore, Store
from lynxgate.promotion.authorization import authorise, check_registry
from lynxgate.registry.compare_and_swap import put_once
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import GATES_PREFIX, check_model, create_registry, read_mark
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, canonical_json
from minieval.contract.fields import DvcMd5, Sha256
from minieval.contract.report import Evaluation


class UsageEntry(Document):
    """One comparison that used an eval set. Before ``lynxgate.gate/2``, an entry named neither answers nor task."""

    schema_: Annotated[Literal["lynxgate.gate/1", "lynxgate.gate/2"], Field(alias="schema")] = "lynxgate.gate/2"
    canonical_sha: Sha256
    eval_set_dvc_md5: DvcMd5
    policy_sha256: Sha256
    task_sha256: Annotated[Sha256 | None, Field(exclude_if=lambda sha: sha is None)] = None
    answers_sha256: Annotated[Sha256 | None, Field(exclude_if=lambda sha: sha is None)] = None

    @model_validator(mode="after")
    def _is_of_its_version(self) -> UsageEntry:
        if (self.answers_sha256 is None) != (self.schema_ == "lynxgate.gate/1"):
            raise ValueError("lynxgate.gate/2 names the answers by answers_sha256, and lynxgate.gate/1 does not")
        return self

    @property
    def data(self) -> bytes:
        """The bytes of the entry; equal comparisons give equal bytes."""
        return canonical_json(self.model_dump(by_alias=True))

    @property
    def key(self) -> str:
        """The key of the entry in the registry."""
        return f"{GATES_PREFIX}{self.eval_set_dvc_md5}/{digest_bytes(self.data)}.json"


@dataclass(frozen=True)
class EvalSetUsage:
    """How often an eval set was used, this comparison included, and how often it may be (``life``).

    ``free`` when this comparison was counted before.
    """

    used: int
    life: int
    free: bool

    @property
    def over(self) -> bool:
        """Whether it was used more often than its error bound allows."""
        return self.used > self.life

    @property
    def sentence(self) -> str:
        """For people, as ``12 of 44 allowed comparisons on this eval set used``."""
        text = f"{self.used} of {self.life} allowed comparisons on this eval set used"
        if self.free:
            text += " (this one was counted before)"
        if self.over:
            text += "; build a new eval set"
        return text


def build_entry(evaluation: Evaluation, baseline: Baseline) -> UsageEntry:
    """Build the entry of judging ``evaluation`` by ``baseline``.

    Raises:
        CannotJudge: the evaluation does not name its bundle.
    """
    if evaluation.candidate.canonical_sha is None:
        raise CannotJudge("the policy counts comparisons by bundle (shelf_life), and the evaluation names no bundle")
    return UsageEntry(
        canonical_sha=evaluation.candidate.canonical_sha,
        eval_set_dvc_md5=evaluation.eval_set.dvc_md5,
        policy_sha256=digest_policy_as_written(baseline.policy),
        task_sha256=None if evaluation.task is None else evaluation.task.sha256,
        answers_sha256=digest_answers(evaluation),
    )


def digest_answers(evaluation: Evaluation) -> str:
    """Return the SHA-256 of what the bundle got right in each bucket, without metrics, times and context."""
    answers = evaluation.model_dump(mode="json", include={"aggregate", "buckets", "classes"})
    return digest_bytes(canonical_json(answers))


def count_gate(
    store: RegistryStore, environ: Mapping[str, str], evaluation: Evaluation, baseline: Baseline
) -> EvalSetUsage | None:
    """Count a comparison in the registry that this process may write to; a missing dev registry is created.

    Raises:
        Refused: this process may not write there, the registry is that of another model, or as `record_use`.
        CannotJudge, StoreFailure: as `record_use`.
    """
    if baseline.policy.shelf_life is None:
        return None
    authority, mark = authorise(environ), read_mark(store)
    check_registry(authority, None if mark is None else mark.environment, store.location)
    if mark is None:
        create_registry(store, Environment.DEV, baseline.model)
    else:
        check_model(mark, baseline.model, store.location)
    return record_use(store, evaluation, baseline)


def record_use(store: Store, evaluation: Evaluation, baseline: Baseline) -> EvalSetUsage | None:
    """Count a comparison; `None`, and nothing written, where the policy does not count.

    Called before the result is shown: a process that ends in between has cost a use, never shown one for free.

    Raises:
        Refused: the policy refuses further comparisons, and this is a new one.
        CannotJudge: the evaluation does not name its bundle, or its number of rows.
        StoreFailure: the registry failed.
    """
    usage = measure(store, evaluation, baseline)
    if usage is None or usage.free:
        return usage
    if usage.over and baseline.policy.shelf_life is ShelfLife.REFUSE:
        if not usage.life:
            raise Refused(
                "the eval set is too small for a comparison of two models that differ this much, at the overall "
                "tolerance; build a larger eval set, or set a wider tolerance (the policy says shelf_life: refuse)"
            )
        raise Refused(
            f"all {usage.life} allowed comparisons on this eval set are used ({usage.used - 1} were made); build a new "
            "eval set and rebaseline (the policy says shelf_life: refuse)"
        )
    entry = build_entry(evaluation, baseline)
    put_once(store, entry.key, entry.data)
    return usage


def measure(store: Store, evaluation: Evaluation, baseline: Baseline) -> EvalSetUsage | None:
    """Return how often an eval set was used, this comparison included; only reads. `None` without `shelf_life`.

    Raises:
        CannotJudge, StoreFailure: as `record_use`.
    """
    if baseline.policy.shelf_life is None:
        return None
    entry, life = build_entry(evaluation, baseline), count_allowed(evaluation, baseline)
    # One listing answers both questions: between two, another process may have counted the same comparison.
    keys = set(store.keys(f"{GATES_PREFIX}{entry.eval_set_dvc_md5}/"))
    return EvalSetUsage(len(keys | {entry.key}), life, free=entry.key in keys)


def count_allowed(evaluation: Evaluation, baseline: Baseline) -> int:
    """Return how many comparisons the policy allows on the eval set, by how far these two models disagree.

    Raises:
        CannotJudge: the evaluation does not give the number of rows.
    """
    rows = evaluation.eval_set.rows or (None if evaluation.aggregate is None else evaluation.aggregate.n)
    if rows is None:
        raise CannotJudge("the policy counts comparisons (shelf_life), and the evaluation gives no number of rows")
    most = bound_disagreement(baseline.policy, baseline.aggregate, evaluation.aggregate, rows)
    return gates_carried(baseline.policy, rows, most, told=len(evaluation.buckets))
