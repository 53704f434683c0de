"""The conditions that must hold before the figures of an evaluation and a baseline can be compared. Pure.

- Eval set and task are the same on both sides; another one is an error, and no condition that is not met.
- Groups of rows are known where a rule that proves something has to respect them.
- Isolation and the environment of the model are what the policy requires, if it requires any.
"""

from __future__ import annotations

from typing import Final

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.groups import Groups, check_groups_of, check_rows
from lynxgate.decision.outcome import Outcome
from lynxgate.decision.policy import ISOLATIONS, Policy, Rule
from lynxgate.decision.same_eval_set import check_same_eval_set, of_baseline, of_identity
from lynxgate.decision.same_task import check_same_task
from lynxgate.decision.verdict import Condition
from minieval.contract.report import Evaluation

_MODEL_ENVIRONMENT: Final = "model environment"


def check_conditions(
    evaluation: Evaluation, baseline: Baseline, policy: Policy, groups: Groups | None
) -> tuple[tuple[Condition, ...], Groups | None]:
    """Return the conditions, and the groups if the rule has to respect them.

    Raises:
        IntegrityFailure: the two were measured on different eval sets or by different tasks, or the groups are of
            another eval set.
        CannotJudge: the groups do not fit the evaluation.
    """
    conditions = [_check_eval_set(evaluation, baseline), _check_task(evaluation, baseline)]
    respected = _select_groups(evaluation, policy, groups)
    if policy.rule.asks_proof and (respected is not None or evaluation.eval_set.groups is not None):
        conditions.append(_check_groups(evaluation, policy.rule, respected))
    if policy.min_isolation is not None:
        conditions.append(_check_isolation(evaluation, policy.min_isolation))
    conditions.append(_check_model_environment(evaluation, policy))
    return tuple(each for each in conditions if each is not None), respected


def _check_eval_set(evaluation: Evaluation, baseline: Baseline) -> Condition:
    if baseline.eval_set_dvc_hash is None:
        reason = "the baseline has a placeholder for the hash of its eval set, so the two may differ"
        return Condition(name="eval set", outcome=Outcome.UNMEASURED, reason=reason)
    check_same_eval_set(
        of_identity("the evaluation", evaluation.eval_set),
        of_baseline(baseline),
        advice="evaluate on the baseline's eval set, or rebaseline (lynxgate baseline rebaseline)",
    )
    reason = f"both sides were measured on DVC md5 {baseline.eval_set_dvc_hash}"
    return Condition(name="eval set", outcome=Outcome.HELD, reason=reason)


def _check_task(evaluation: Evaluation, baseline: Baseline) -> Condition | None:
    """Return the condition that both name one task; `None` where neither names a task."""
    agreed = baseline.task
    if agreed is not None and agreed.identity is None:
        reason = "the baseline has a placeholder for the digest of its task, so the two may differ"
        return Condition(name="task", outcome=Outcome.UNMEASURED, reason=reason)
    check_same_task(
        ("the evaluation", evaluation.task),
        ("the baseline", None if agreed is None else agreed.identity),
        advice="evaluate with the baseline's task, or rebaseline (lynxgate baseline rebaseline)",
    )
    if agreed is None:
        return None
    reason = f"both sides were measured by the task with SHA-256 {agreed.sha256}"
    return Condition(name="task", outcome=Outcome.HELD, reason=reason)


def _select_groups(evaluation: Evaluation, policy: Policy, groups: Groups | None) -> Groups | None:
    """Return the groups if they must be respected: the rule proves something, and two rows share a group."""
    if groups is None:
        return None
    check_groups_of(groups, evaluation.eval_set.dvc_md5, evaluation.eval_set.sha256)
    if not policy.rule.asks_proof or not groups.shared:
        return None
    check_rows(groups, evaluation)
    return groups


def _check_groups(evaluation: Evaluation, rule: Rule, groups: Groups | None) -> Condition:
    if groups is not None:
        reason = f"the rows come in {groups.count} groups, which the tests respect"
        return Condition(name="groups", outcome=Outcome.HELD, reason=reason)
    reason = (
        f"the rows come in {evaluation.eval_set.groups} groups, which rule {rule} must know: give the eval set with "
        "--eval-set"
    )
    return Condition(name="groups", outcome=Outcome.UNMEASURED, reason=reason)


def _check_isolation(evaluation: Evaluation, required: str) -> Condition:
    found = evaluation.evaluator.isolation if evaluation.evaluator else None
    if found in ISOLATIONS and ISOLATIONS.index(found) >= ISOLATIONS.index(required):
        return Condition(name="isolation", outcome=Outcome.HELD, reason=f"{found}, and the policy requires {required}")
    named = "names none" if found is None else f"names {found!r}"
    advice = f"evaluate again under {required}"
    if found == ISOLATIONS[0]:
        advice = "a command of the repository always has that, so allow it (min_isolation) or evaluate with minieval"
    reason = f"the policy requires {required} and the evaluation {named}; {advice}"
    return Condition(name="isolation", outcome=Outcome.UNMEASURED, reason=reason)


def _check_model_environment(evaluation: Evaluation, policy: Policy) -> Condition | None:
    """Return the condition on the model's environment; `None` where none is required and nothing differs."""
    found = evaluation.model_environment
    differs = "" if found is None else found.explain()
    if not policy.require_model_environment:
        if not differs:
            return None
        return Condition(
            name=_MODEL_ENVIRONMENT, outcome=Outcome.HELD, reason="the policy requires none", warning=differs
        )
    if found is None:
        missing = "the evaluation does not describe it; evaluate again"
    elif found.requirements is None:
        missing = "the bundle has no requirements.txt; log the model again"
    elif differs:
        missing = f"{differs}; evaluate with --python model"
    else:
        return Condition(name=_MODEL_ENVIRONMENT, outcome=Outcome.HELD, reason="it is what the bundle asks for")
    reason = f"the policy requires the environment that the bundle asks for: {missing}"
    return Condition(name=_MODEL_ENVIRONMENT, outcome=Outcome.UNMEASURED, reason=reason)
