"""The gate: six stages from a run id to a promotion or a refusal. This is the whole program in one function.

- Each stage passes one frozen value, or the exact bytes of one document, to the next.
- A regression is a result; everything that prevents a decision is an exception with an exit code.
- Only the last stage promotes, and it takes the decision again from the two documents.
- The verdict file is of this call or absent: an older one is removed before the first stage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lynxgate.candidate.cache import Cache
from lynxgate.candidate.eval_set_check import check_eval_set
from lynxgate.candidate.evaluator import ModelOptions, run_evaluator
from lynxgate.candidate.fetch import Fetched, fetch
from lynxgate.candidate.lock_check import check_lock
from lynxgate.decision.agreed_task import list_files, list_named_files, read_agreed_task
from lynxgate.decision.baseline import Baseline, Status
from lynxgate.decision.compare import Verdict
from lynxgate.decision.decide import decide_bytes
from lynxgate.decision.groups import Groups, read_groups
from lynxgate.errors import CannotJudge
from lynxgate.ports import EvalData, Progress, Tracking
from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.eval_set_usage import EvalSetUsage, count_gate
from lynxgate.promotion.examine import ExpectedProduction, Request
from lynxgate.promotion.preconditions import check_preconditions
from lynxgate.promotion.promote import Receipt, promote
from lynxgate.registry.resolve import find_production
from minieval.contract.documents import parse_document, read_bytes
from minieval.contract.model_environment import read_lock_beside
from minieval.contract.report import EvalSetIdentity, Evaluation
from minieval.contract.writes import check_output, discard_output, write_output
from minieval.task.document import CONVENTIONS, TaskFile

Notify = Callable[[int, str], None]  # called with a stage (1 to 6) and one sentence about it


@dataclass(frozen=True)
class GatePaths:
    """The files that a gate reads and writes; paths are relative to the current directory.

    ``task`` is the path of the task file, if it is not the one in the baseline; the digest must be the baseline's.
    ``lock`` is `None` where the environment was not installed from a lock file. ``isolation`` is ``auto``, ``bwrap``
    (required) or ``process``. ``rows`` is a file for the answer to each row, with its features where ``with_inputs``.
    ``model`` is what the command line says about running the model.
    """

    baseline: Path = Path("eval_baseline.json")
    lock: Path | None = Path("requirements.lock")
    bundle: Path = Path("candidate")
    evaluation: Path = Path("candidate_eval.json")
    verdict: Path = Path("verdict.json")
    isolation: str = "auto"
    task: Path | None = None
    rows: Path | None = None
    with_inputs: bool = False
    model: ModelOptions = field(default_factory=ModelOptions)


@dataclass(frozen=True)
class Agreed:
    """What was agreed on: the baseline, as bytes and parsed, the path of its eval set, and its checked task file."""

    data: bytes
    baseline: Baseline
    eval_set: Path
    task: TaskFile | None


@dataclass(frozen=True)
class GateServices:
    """What a gate uses outside its checkout; `lynxgate.wiring.open_gate_services` opens it."""

    eval_data: EvalData
    tracking: Tracking
    context: PromotionContext
    cache: Cache
    environ: Mapping[str, str]
    progress: Progress | None = None


@dataclass(frozen=True)
class GateResult:
    """The outcome of a gate.

    ``receipt`` is `None` unless the candidate was promoted, now or earlier; ``eval_set_usage`` is `None` where the
    policy does not count comparisons.
    """

    verdict: Verdict
    receipt: Receipt | None
    eval_set_usage: EvalSetUsage | None = None


def gate(
    run_id: str,
    semver: str,
    paths: GatePaths,
    services: GateServices,
    notify: Notify,
    *,
    logged_model: str | None = None,
    replaced: os.stat_result | None = None,
) -> GateResult:
    """Gate the MLflow run ``run_id`` (32 hex digits) and, if it passes, promote it as ``semver`` (as ``v0.3.1``).

    1. Check that the installed packages are those of the lock file. Then read the baseline, and refuse what can be
       refused without a candidate: a task file that was not agreed on, another registry, a semver that is not the next.
    2. Pull the eval set and check it against the baseline.
    3. Fetch the candidate.
    4. Evaluate it per bucket.
    5. Count the comparison where the policy asks for it (`shelf_life`), and compare each bucket with the baseline.
    6. On a pass, promote.

    ``logged_model`` is the name of the candidate in its run, for a run that has several models; without it the name in
    the baseline is used, where there is one. ``replaced`` is the verdict file of an earlier gate, where the caller has
    removed it already: the new one gets its mode.

    Raises:
        CannotJudge: a document, the eval set or the candidate cannot be used (exit code 3).
        IntegrityFailure: a hash differs from the agreed one (4).
        StoreFailure: the registry, MLflow or the DVC remote failed (5).
        Refused: promotion is not authorised, the semver is taken, or another process changed the registry (6).
    """
    # Before anything can fail: a verdict of an earlier gate must not be taken for the result of this one.
    named = list_named_files(paths.baseline)
    replaced = discard_output(paths.verdict, inputs=(paths.baseline, paths.evaluation, *named)) or replaced
    check_environment(paths, notify)
    # Read first: a promotion that another process makes while this candidate is evaluated must be noticed.
    expected = ExpectedProduction(find_production(services.context.store))
    agreed = read_agreed(paths)
    baseline = agreed.data
    if agreed.baseline.status is Status.ACTIVE:  # a report-only baseline promotes nothing
        check_preconditions(services.context.store, services.environ, semver, agreed.baseline.model)
    verify_eval_set(agreed, services, notify)
    logged_model = logged_model or agreed.baseline.model
    candidate = fetch_candidate(run_id, paths, services, notify, logged_model=logged_model)
    evaluation = evaluate(run_id, agreed, paths, notify)
    groups = read_groups(agreed.eval_set, CONVENTIONS if agreed.task is None else agreed.task.task)
    usage = count(evaluation, baseline, paths, services, notify)
    verdict = compare(evaluation, baseline, groups, paths, notify, replaced=replaced)
    if not verdict.passed or verdict.status != "active":
        exception = " except that this comparison was counted" if usage and not usage.free else ""
        notify(6, f"promotion: none; registry and MLflow are unchanged{exception}")
        return GateResult(verdict, None, usage)
    request = Request(
        candidate.canonical_sha,
        semver,
        evaluation,
        baseline,
        paths.bundle,
        expected,
        groups,
        logged_model=logged_model,
        model_lock=read_lock_beside(paths.evaluation),
    )
    receipt = promote(request, services.context, services.tracking, services.environ)
    now = "" if receipt.production == semver else f"; in production: {receipt.production or 'none'}"
    notify(6, f"promotion: {receipt.ending} {semver}; previous version: {receipt.production_before or 'none'}{now}")
    return GateResult(verdict, receipt, usage)


def check_environment(paths: GatePaths, notify: Notify) -> None:
    """Stage 1: check that the installed packages are those of the lock file.

    Raises:
        IntegrityFailure: a package is missing, or is there in another version.
    """
    if paths.lock is None:
        notify(1, "environment: not checked, since no lock file was named")
        return
    notify(1, f"environment: {check_lock(paths.lock)} packages match {paths.lock}")


def read_agreed(paths: GatePaths) -> Agreed:
    """Read the baseline and the task file that it names; nothing is downloaded.

    Raises:
        CannotJudge: the baseline or its task is missing or invalid.
        UsageFailure: an output is one of the files that are read.
        IntegrityFailure: the task is not the one that the baseline names.
    """
    data = read_bytes(paths.baseline, missing="create one with `lynxgate baseline init`")
    baseline = parse_document(data, Baseline, where=str(paths.baseline))
    eval_set = paths.baseline.parent / baseline.eval_set
    task = read_agreed_task(baseline, paths.baseline.parent, path=paths.task)
    task_files = () if task is None else list_files(task)
    for output in (paths.evaluation, paths.verdict, *([] if paths.rows is None else [paths.rows])):
        check_output(output, (paths.baseline, paths.lock, paths.bundle, eval_set, *task_files))
    return Agreed(data, baseline, eval_set, task)


def verify_eval_set(agreed: Agreed, services: GateServices, notify: Notify) -> None:
    """Stage 2: pull the eval set, and check its hashes.

    Raises:
        CannotJudge: the baseline does not name its eval set by both hashes.
        IntegrityFailure: the eval set is not the one that the baseline names, or a pull would lose changes of it.
        StoreFailure: the DVC remote failed.
    """
    services.eval_data.pull(agreed.eval_set)
    found = _check(agreed.baseline, agreed.eval_set)
    by_task = "" if agreed.task is None else f", and {agreed.task.path} is the agreed task"
    notify(2, f"eval set: {agreed.eval_set} has md5 {found.dvc_md5}; the baseline and the .dvc file agree{by_task}")


def fetch_candidate(
    run_id: str, paths: GatePaths, services: GateServices, notify: Notify, *, logged_model: str | None = None
) -> Fetched:
    """Stage 3: fetch the run's model into ``paths.bundle``, from the cache where it is there.

    Raises:
        CannotJudge: the run has no model, or more than one and none of the name ``logged_model``.
        IntegrityFailure: the bytes that arrived are not what the server or the cache promised.
        StoreFailure: MLflow failed.
    """
    found = fetch(
        services.tracking,
        run_id,
        paths.bundle,
        services.cache,
        services.progress,
        logged_model=logged_model,
        notify=lambda line: notify(3, line),
    )
    named = "" if logged_model is None else f", model {logged_model},"
    source = "the cache, verified" if found.from_cache else services.tracking.location
    notify(
        3, f"candidate: run {run_id}{named} is {found.canonical_sha} ({len(found.manifest.files)} files from {source})"
    )
    return found


def evaluate(run_id: str, agreed: Agreed, paths: GatePaths, notify: Notify) -> bytes:
    """Stage 4: run minieval in a process of its own; return the bytes of the evaluation.

    Raises:
        CannotJudge: the candidate cannot be evaluated.
        IntegrityFailure: the bundle holds a link or a special file.
    """
    run_evaluator(
        paths.bundle,
        agreed.eval_set,
        paths.evaluation,
        run_id=run_id,
        isolation=paths.isolation,
        task=None if agreed.task is None else agreed.task.path,
        rows=paths.rows,
        with_inputs=paths.with_inputs,
        model=paths.model,
    )
    notify(4, f"evaluation: {paths.evaluation}")
    return read_bytes(paths.evaluation)


def count(
    evaluation: bytes, baseline: bytes, paths: GatePaths, services: GateServices, notify: Notify
) -> EvalSetUsage | None:
    """Stage 5, before the comparison: count it against the eval set; return `None` where the policy does not count.

    Raises:
        Refused: the eval set is used up, and the policy refuses further comparisons.
        StoreFailure: the registry failed.
    """
    agreed = parse_document(baseline, Baseline, where=str(paths.baseline))
    if agreed.policy.shelf_life is None:
        return None
    measured = parse_document(evaluation, Evaluation, where=str(paths.evaluation))
    usage = count_gate(services.context.store, services.environ, measured, agreed)
    notify(5, usage.sentence if usage else "")
    return usage


def compare(
    evaluation: bytes,
    baseline: bytes,
    groups: Groups,
    paths: GatePaths,
    notify: Notify,
    *,
    replaced: os.stat_result | None = None,
) -> Verdict:
    """Stage 5: compare, write the verdict to ``paths.verdict`` with the mode of the file it replaces, and return it.

    Raises:
        CannotJudge, IntegrityFailure: as `lynxgate.decision.decide.decide_bytes`.
    """
    verdict, _, _ = decide_bytes(evaluation, baseline, groups=groups)
    write_output(paths.verdict, verdict.to_json(), like=replaced)
    notify(5, f"comparison: {verdict.summary}")
    return verdict


def _check(baseline: Baseline, eval_set: Path) -> EvalSetIdentity:
    if baseline.eval_set_dvc_hash is None or baseline.eval_set_sha256 is None:
        raise CannotJudge(
            "the baseline does not name its eval set by md5 and sha256; set both (lynxgate baseline rebaseline)"
        )
    return check_eval_set(baseline.eval_set_dvc_hash, baseline.eval_set_sha256, eval_set)
