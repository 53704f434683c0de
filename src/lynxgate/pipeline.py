"""The gate: six stages from a run id to a promotion or a refusal. This is the whole program in one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lynxgate.candidate.cache import Cache
from lynxgate.candidate.eval_set_check import check_eval_set
from lynxgate.candidate.evaluator import run_evaluator
from lynxgate.candidate.fetch import Fetched, fetch
from lynxgate.candidate.lock_check import check_lock
from lynxgate.decision.baseline import Baseline
from lynxgate.decision.compare import Verdict
from lynxgate.decision.decide import decide_bytes
from lynxgate.decision.groups import Groups, read_groups
from lynxgate.errors import CannotJudge
from lynxgate.ports import EvalData, Progress, Tracking
from lynxgate.promotion.eval_set_usage import EvalSetUsage, count_gate
from lynxgate.promotion.promote import ExpectedProduction, Receipt, Request, promote
from lynxgate.promotion.steps import PromotionContext
from lynxgate.registry.resolve import find_production
from minieval.contract.documents import parse_document, read_bytes
from minieval.contract.report import EvalSetIdentity, Evaluation
from minieval.contract.writes import write_output

Say = Callable[[int, str], None]  # a stage (1 to 6) and one sentence about it


@dataclass(frozen=True)
class GatePaths:
    """Where a gate reads and leaves its files; paths relative to the checkout it runs in."""

    baseline: Path = Path("eval_baseline.json")
    lock: Path | None = Path("requirements.lock")
    bundle: Path = Path("candidate")
    evaluation: Path = Path("candidate_eval.json")
    verdict: Path = Path("verdict.json")
    isolation: str = "auto"


@dataclass(frozen=True)
class GateServices:
    """The outside the gate works with, opened by `lynxgate.wiring`."""

    eval_data: EvalData
    tracking: Tracking
    context: PromotionContext
    cache: Cache
    environ: Mapping[str, str]
    progress: Progress | None = None


@dataclass(frozen=True)
class GateResult:
    """What the gate decided; ``receipt`` is there when it promoted (now or earlier), ``wear`` when it was counted."""

    verdict: Verdict
    receipt: Receipt | None
    wear: EvalSetUsage | None = None


def gate(run_id: str, semver: str, place: GatePaths, parts: GateServices, say: Say) -> GateResult:
    """Gate one run.

    1. Check that what is installed is what the lock names.
    2. Bring the eval set and hold it against the baseline.
    3. Fetch the candidate.
    4. Evaluate it per bucket.
    5. Count the gate where the policy does (`shelf_life`), and compare each bucket with the baseline.
    6. On a pass, promote.

    Raises:
        GateError: with the exit code of whatever kept it from deciding. A regression is an outcome, not an error.
    """
    check_environment(place, say)
    against = ExpectedProduction(find_production(parts.context.store))
    baseline, eval_set = verify_eval_set(place, parts, say)
    candidate = bring_candidate(run_id, place, parts, say)
    evaluation = evaluate(run_id, eval_set, place, say)
    groups = read_groups(eval_set)
    wear = count(evaluation, baseline, place, parts, say)
    verdict = compare(evaluation, baseline, groups, place, say)
    if not verdict.passed or verdict.status != "active":
        asked = " but that this gate was asked" if wear and not wear.free else ""
        say(6, f"promotion: none, and nothing was written{asked}")
        return GateResult(verdict, None, wear)
    request = Request(candidate.canonical_sha, semver, evaluation, baseline, place.bundle, against, groups)
    receipt = promote(request, parts.context, parts.tracking, parts.environ)
    say(6, f"promotion: {receipt.ending} (after {receipt.production_before or 'nothing'})")
    return GateResult(verdict, receipt, wear)


def check_environment(place: GatePaths, say: Say) -> None:
    """Stage 1."""
    if place.lock is None:
        say(1, "check_environment: no lock was named, so what is installed is not checked")
        return
    say(1, f"check_environment: {check_lock(place.lock)} packages are as {place.lock} names them")


def verify_eval_set(place: GatePaths, parts: GateServices, say: Say) -> tuple[bytes, Path]:
    """Stage 2; the bytes of the baseline, and where its eval set is."""
    data = read_bytes(place.baseline, missing="make one with `lynxgate baseline init`")
    baseline = parse_document(data, Baseline, where=str(place.baseline))
    eval_set = place.baseline.parent / baseline.eval_set
    parts.eval_data.pull(eval_set)
    found = _check(baseline, eval_set)
    say(2, f"eval set: {eval_set} is md5 {found.dvc_md5}, as the baseline and the .dvc file say")
    return data, eval_set


def bring_candidate(run_id: str, place: GatePaths, parts: GateServices, say: Say) -> Fetched:
    """Stage 3."""
    found = fetch(parts.tracking, run_id, place.bundle, parts.cache, parts.progress, notify=lambda line: say(3, line))
    source = "the cache, verified" if found.from_cache else parts.tracking.location
    say(3, f"candidate: run {run_id} is {found.canonical_sha} ({len(found.manifest.files)} files from {source})")
    return found


def evaluate(run_id: str, eval_set: Path, place: GatePaths, say: Say) -> bytes:
    """Stage 4; the bytes of the evaluation."""
    run_evaluator(place.bundle, eval_set, place.evaluation, run_id=run_id, isolation=place.isolation)
    say(4, f"evaluation: {place.evaluation}")
    return read_bytes(place.evaluation)


def count(evaluation: bytes, baseline: bytes, place: GatePaths, parts: GateServices, say: Say) -> EvalSetUsage | None:
    """Stage 5, before the answer: record_use the eval set; `None` where the policy does not count."""
    agreed = parse_document(baseline, Baseline, where=str(place.baseline))
    if agreed.policy.shelf_life is None:
        return None
    place.verdict.unlink(missing_ok=True)
    measured = parse_document(evaluation, Evaluation, where=str(place.evaluation))
    wear = count_gate(parts.context.store, parts.environ, measured, agreed)
    say(5, wear.sentence if wear else "")
    return wear


def compare(evaluation: bytes, baseline: bytes, groups: Groups, place: GatePaths, say: Say) -> Verdict:
    """Stage 5; the verdict, which is also written."""
    verdict, _, _ = decide_bytes(evaluation, baseline, groups=groups)
    write_output(place.verdict, verdict.to_json())
    say(5, f"comparison: {verdict.summary}")
    return verdict


def _check(baseline: Baseline, eval_set: Path) -> EvalSetIdentity:
    if baseline.eval_set_dvc_hash is None or baseline.eval_set_sha256 is None:
        raise CannotJudge("the baseline does not name its eval set by md5 and sha256; rebaseline it")
    return check_eval_set(baseline.eval_set_dvc_hash, baseline.eval_set_sha256, eval_set)
