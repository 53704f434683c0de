"""The promotion of one bundle to one semver: the story, and the checks before anything is written.

- A refusal by `examine` has written nothing at all.
- The verdict is taken again from the two documents; no stored "passed" is ever read.
- Killed anywhere, the next promotion (or `recover`) ends in exactly the old or exactly the new state.

The steps that write are `lynxgate.promotion.steps`'s.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lynxgate.decision.baseline import Baseline, parse_baseline
from lynxgate.decision.compare import Verdict
from lynxgate.decision.decide import decide_bytes
from lynxgate.decision.groups import Groups
from lynxgate.errors import CannotJudge, Conflict, Exit, GateError, IntegrityFailure, Refused, StoreFailure
from lynxgate.identity import parse_semver, parse_sha
from lynxgate.ports import ModelSource
from lynxgate.promotion.authorization import authorise, check_registry
from lynxgate.promotion.eval_set_usage import EvalSetUsage, measure, record_use
from lynxgate.promotion.rollback import recover_unfinished
from lynxgate.promotion.steps import (
    PromotionContext,
    TagState,
    commit,
    finish,
    recover,
    set_and_confirm_tag,
    undo,
    update_tags_json,
)
from lynxgate.promotion.tombstones import check_not_tombstoned
from lynxgate.registry.evidence import build_evidence
from lynxgate.registry.layout import (
    Environment,
    create_registry,
    evidence_key,
    manifest_key,
    put_once,
    read_environment,
    read_tags,
    signature_key,
)
from lynxgate.registry.record import Record, State, VersionedRecord
from lynxgate.registry.resolve import find_production
from minieval.contract.bundle import read_manifest
from minieval.contract.documents import parse_document
from minieval.contract.manifest import Manifest, describe_difference
from minieval.contract.report import Evaluation


class Ending(StrEnum):
    """How a promotion that did not raise ended."""

    PROMOTED = "promoted"
    ALREADY = "already promoted"


@dataclass(frozen=True)
class ExpectedProduction:
    """The version in production when a decision was taken; `None`: there was none."""

    semver: str | None


@dataclass(frozen=True)
class Request:
    """What is to be promoted, as what, and on which two documents (their exact bytes); ``against`` what, if told.

    ``groups`` are those of the eval set, for rules that respect them.
    """

    canonical_sha: str
    semver: str
    evaluation: bytes
    baseline: bytes
    bundle: Path
    against: ExpectedProduction | None = None
    groups: Groups | None = None


@dataclass(frozen=True)
class Receipt:
    """What was promoted; ``production_before`` is the semver it followed."""

    semver: str
    canonical_sha: str
    ending: Ending
    production_before: str | None


ReportUsage = Callable[[EvalSetUsage], None]


class NotPassed(GateError):
    """The candidate does not pass; ``verdict`` says why and its exit code is this error's."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"not promoted: {'; '.join(verdict.reasons)}")
        self.verdict = verdict

    @property
    def exit(self) -> Exit:  # type: ignore[override]
        """The verdict's code: a regression, or not judgeable."""
        return self.verdict.exit


@dataclass(frozen=True)
class VerifiedCandidate:
    """What `examine` found: the bundle, the verdict that lets it through, the run and the model that carry it."""

    manifest: Manifest
    verdict: Verdict
    run_id: str
    registered_model: str | None
    evaluation: Evaluation
    baseline: Baseline


def promote(
    request: Request,
    context: PromotionContext,
    tracking: ModelSource,
    environ: Mapping[str, str],
    report_usage: ReportUsage = lambda _: None,
) -> Receipt:
    """Promote a bundle, once for all on (canonical SHA, semver).

    ``report_usage`` is given how worn the eval set is, where the policy counts, before the semver is claimed.

    1. Authorise; look whether it is promoted already; examine the candidate. A refusal here has written nothing.
    2. Settle what owners that died have left, and look again.
    3. Claim the semver: manifest, evidence, transaction record.
    4. Point `tags.json`, carry the tag to MLflow, commit; or undo.
    5. Write the event and close the record.

    Raises:
        NotPassed, CannotJudge: the candidate does not pass, or that cannot be judged (exit 2, 3).
        IntegrityFailure: bundle, run, documents and SHA do not belong together (4).
        StoreFailure: the registry or MLflow failed; the message says what state that left (5).
        Refused: not authorised, semver taken, or changed by somebody else meanwhile (6).
    """
    environment = authorise(environ)
    check_registry(environment, read_environment(context.store), context.store.location)
    if receipt := find_promoted(request, context):
        _report_usage_again(request, context, report_usage)
        return receipt
    candidate = examine(request, context, tracking)
    recover_unfinished((read_tags(context.store).tags.production, request.semver), context)
    if receipt := find_promoted(request, context):
        _report_usage_again(request, context, report_usage)
        return receipt
    versioned = claim(request, candidate, context, environment, report_usage)
    versioned = write_promotion(versioned, candidate, context, tracking)
    versioned = finish(context, versioned)
    return _receipt(versioned.record, Ending.PROMOTED)


def find_promoted(request: Request, context: PromotionContext) -> Receipt | None:
    """The receipt of this very promotion, when it has been made; one whose owner died after committing is finished.

    Raises:
        Refused: the semver belongs to another SHA (for ever), or somebody is promoting it just now.
    """
    versioned = context.journal.read(request.semver)
    if versioned is None:
        return None
    record = versioned.record
    if record.canonical_sha != request.canonical_sha:
        raise Refused(
            f"{request.semver} belongs to {record.canonical_sha} ({record.state}) and to no other, for ever; "
            "choose the next version"
        )
    if record.state is State.PENDING and record.is_alive(context.store.now()):
        raise Refused(f"{record.semver} is being promoted by {record.owner}, at most until {record.deadline}")
    if record.committed and record.state is State.PENDING:
        record = recover(context, versioned).record
    return _receipt(record, Ending.ALREADY) if record.state is State.PROMOTED else None


def examine(request: Request, context: PromotionContext, tracking: ModelSource) -> VerifiedCandidate:
    """Check everything that can be checked by reading.

    Raises: as `promote`.
    """
    verdict, evaluation, baseline = decide_bytes(request.evaluation, request.baseline, groups=request.groups)
    if baseline.status != "active":
        raise Refused("the baseline is report-only, which decides nothing; arm it by its own pull request first")
    if not verdict.passed:
        raise NotPassed(verdict)
    sha, run_id = parse_sha(request.canonical_sha), evaluation.candidate.mlflow_run_id
    if evaluation.candidate.canonical_sha != sha:
        raise IntegrityFailure(
            f"the evaluation is of {evaluation.candidate.canonical_sha or 'no named bundle'}, "
            f"not of {sha}; evaluate the bundle that is to be promoted"
        )
    if run_id is None:
        raise CannotJudge("the evaluation names no MLflow run; evaluate again with --run-id <id>")
    manifest = read_manifest(request.bundle)
    if manifest.canonical_sha != sha:
        raise IntegrityFailure(f"{request.bundle} hashes to {manifest.canonical_sha}, not to {sha}; fetch it again")
    check_not_tombstoned(context.store, sha)
    check_order(request, find_production(context.store))
    check_artefacts(manifest, run_id, tracking)
    return VerifiedCandidate(manifest, verdict, run_id, baseline.policy.model_name, evaluation, baseline)


def check_artefacts(manifest: Manifest, run_id: str, tracking: ModelSource) -> None:
    """Make sure that the run's model, downloaded now, is the bundle.

    Raises:
        IntegrityFailure: it is not; MLflow lets the artefacts of a finished run be overwritten.
    """
    with tempfile.TemporaryDirectory(prefix="lynxgate-") as folder:
        tracking.download(run_id, Path(folder) / "model")
        found = read_manifest(Path(folder) / "model")
    if found.canonical_sha != manifest.canonical_sha:
        raise IntegrityFailure(
            f"run {run_id} holds another model now ({found.canonical_sha}): {describe_difference(manifest, found)}; "
            "find out who changed it, then fetch and evaluate again"
        )


def check_order(request: Request, production: str | None) -> None:
    """Make sure that production is what the decision was taken against, and only goes up.

    Raises:
        Refused: it is another, or the semver is not greater than what is in production.
    """
    if request.against is not None and request.against.semver != production:
        raise Refused(
            f"this was decided while {request.against.semver or 'nothing'} was in production, "
            f"and {production or 'nothing'} is now; decide again"
        )
    if request.semver == production:
        raise Refused(f"{production} was promoted by another process just now; run it again to see")
    if production is not None and parse_semver(request.semver) <= parse_semver(production):
        raise Refused(
            f"{request.semver} is not greater than {production}, which is in production; choose a higher version"
        )


def claim(
    request: Request,
    candidate: VerifiedCandidate,
    context: PromotionContext,
    environment: Environment,
    report_usage: ReportUsage,
) -> VersionedRecord:
    """Write manifest and evidence, then make the semver's record ours: from here on it belongs to this SHA.

    Raises:
        Refused: production moved past us, or somebody else has the record.
    """
    before = find_production(context.store)
    check_order(request, before)
    evidence = build_evidence(
        candidate.manifest,
        candidate.verdict,
        evaluation=request.evaluation,
        baseline=request.baseline,
        groups=request.groups,
        run_id=candidate.run_id,
        semver=request.semver,
        production_before=before,
    )
    if environment is Environment.DEV:
        create_registry(context.store, environment)
    if wear := record_use(context.store, candidate.evaluation, candidate.baseline):
        report_usage(wear)
    sha, signer = request.canonical_sha, context.signer
    put_once(context.store, manifest_key(sha), candidate.manifest.canonical_bytes())
    put_once(context.store, evidence_key(sha, evidence.sha), evidence.data)
    if signer is not None:
        put_once(context.store, signature_key(sha, evidence.sha, signer.key_id), signer.sign(evidence.data))
    found = context.journal.read(request.semver)
    facts = {
        "mlflow_run_id": candidate.run_id,
        "evidence": evidence.sha,
        "production_before": before,
        "registered_model": candidate.registered_model,
    }
    if found is not None:
        retry = {"state": State.PENDING, "attempt": found.record.attempt + 1, "event": None, "note": None}
        if found.record.canonical_sha != request.canonical_sha or found.record.state in (State.PENDING, State.PROMOTED):
            raise Refused(f"{request.semver} was claimed by somebody else just now; run it again")
        return context.journal.take_over(found, **retry, **facts)
    return context.journal.claim(
        Record.model_validate(
            {
                "semver": request.semver,
                "canonical_sha": request.canonical_sha,
                "state": State.PENDING,
                "owner": context.journal.owner,
                "deadline": context.store.now().isoformat(),
                **facts,
            }
        )
    )


def write_promotion(
    versioned: VersionedRecord, candidate: VerifiedCandidate, context: PromotionContext, tracking: ModelSource
) -> VersionedRecord:
    """From the claim to the commit point; what fails before it is undone.

    Raises:
        IntegrityFailure, StoreFailure, Refused: after undoing, or saying that undoing failed too.
    """
    try:
        check_artefacts(candidate.manifest, candidate.run_id, tracking)
        versioned = context.journal.advance(versioned)  # a new lease: hashing a large model may have used up the first
        update_tags_json(context, versioned)
        check_not_tombstoned(context.store, versioned.record.canonical_sha)
    except Conflict:
        raise  # the record is not ours any more, and neither is anything to undo
    except GateError as error:
        _undo(context, versioned, State.ROLLED_BACK, error)
        raise
    answer = set_and_confirm_tag(context, versioned.record)
    if answer.state is TagState.THERE:
        return commit(context, versioned)
    sure = answer.state is TagState.ABSENT
    said = f"MLflow did not take the tag in {answer.tries} tries: {answer.said}"
    failure = StoreFailure(
        f"{versioned.record.semver} is not promoted; "
        f"production is {versioned.record.production_before or 'empty'} as before; "
        + said
        + ("" if sure else "; it may still carry a stray tag, which means nothing (record: in-doubt)")
    )
    _undo(context, versioned, State.ROLLED_BACK if sure else State.IN_DOUBT, failure)
    raise failure


def _report_usage_again(request: Request, context: PromotionContext, report_usage: ReportUsage) -> None:
    """For a promotion that has been made; whatever keeps this from being known changes nothing about it."""
    with contextlib.suppress(GateError):
        evaluation = parse_document(request.evaluation, Evaluation, where="the evaluation")
        if wear := measure(context.store, evaluation, parse_baseline(request.baseline)):
            report_usage(wear)


def _undo(context: PromotionContext, versioned: VersionedRecord, state: State, cause: GateError) -> None:
    try:
        undo(context, versioned, state, str(cause))
    except StoreFailure as error:
        raise StoreFailure(
            f"{cause}; and undoing it failed: {error}; the next promotion, or `lynxgate registry recover`, undoes it"
        ) from cause


def _receipt(record: Record, ending: Ending) -> Receipt:
    return Receipt(record.semver, record.canonical_sha, ending, record.production_before)
