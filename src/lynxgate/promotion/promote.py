"""The promotion of one bundle to one semver: the story, from the request to the receipt.

- What `lynxgate.promotion.examine` refuses has written nothing at all.
- Ended anywhere, by a crash or by force, the next promotion (or `recover`) brings the registry to exactly the old or
  exactly the new state.

The single steps that write are in `lynxgate.promotion.steps`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lynxgate.decision.baseline import parse_baseline
from lynxgate.errors import Conflict, GateError, Refused, StoreFailure
from lynxgate.ports import ModelSource
from lynxgate.promotion.authorization import authorise, check_manifest_format, check_registry
from lynxgate.promotion.context import PromotionContext
from lynxgate.promotion.eval_set_usage import EvalSetUsage, measure, record_use
from lynxgate.promotion.event_log import check_signer
from lynxgate.promotion.examine import Request, VerifiedCandidate, check_artifacts, check_order, examine
from lynxgate.promotion.recovery import recover_unfinished
from lynxgate.promotion.run_tag import TagState, set_and_confirm_tag
from lynxgate.promotion.steps import commit, finish, recover, undo, update_tags_json
from lynxgate.registry.compare_and_swap import put_once
from lynxgate.registry.environment import Environment
from lynxgate.registry.evidence import build_evidence
from lynxgate.registry.layout import (
    RegistryMark,
    create_registry,
    evidence_key,
    manifest_key,
    read_mark,
    read_tags,
    signature_key,
)
from lynxgate.registry.record import Record, State, VersionedRecord
from lynxgate.registry.resolve import find_production, read_production
from lynxgate.registry.tombstone import check_not_tombstoned
from minieval.contract.documents import parse_document
from minieval.contract.report import Evaluation


class Ending(StrEnum):
    """How a promotion that raised nothing ended."""

    PROMOTED = "promoted"
    ALREADY = "already promoted"


@dataclass(frozen=True)
class Receipt:
    """What was promoted; ``production_before`` is the semver that it followed, `None` for the first.

    ``production`` is the version in production now: another one where the promotion was made before, and a rollback or
    another promotion followed.
    """

    semver: str
    canonical_sha: str
    ending: Ending
    production_before: str | None
    production: str | None

    @property
    def line(self) -> str:
        """Return the line by which commands report it, and which a comment reads again."""
        line = f"{self.ending} {self.semver} {self.canonical_sha}"
        return line if self.production == self.semver else f"{line}, in production: {self.production or 'none'}"


ReportUsage = Callable[[EvalSetUsage], None]


def promote(
    request: Request,
    context: PromotionContext,
    tracking: ModelSource,
    environ: Mapping[str, str],
    report_usage: ReportUsage = lambda _: None,
) -> Receipt:
    """Promote a bundle; the same (canonical SHA, semver) again changes nothing and gives the same receipt.

    Where the policy counts uses of the eval set, ``report_usage`` gets the count before the semver is claimed.

    1. Authorise; look whether it is promoted already; examine the candidate. A refusal here has written nothing.
    2. Recover what other processes left unfinished, and look again: one of them may have promoted this very bundle.
    3. Claim the semver: manifest, evidence, then the record, which must never name evidence that is not there.
    4. Write `tags.json`, then the MLflow tag, then commit. `tags.json` comes first because readers ignore it until
       the commit, while a tag on a run can be seen at once. What fails before the commit is undone.
    5. Move the alias, write the event, close the record. What fails here is finished by the next process.

    Raises:
        NotPassed, CannotJudge: the candidate does not pass, or that cannot be judged (exit 2, 3).
        IntegrityFailure: bundle, run, documents and SHA do not belong together (4).
        StoreFailure: the registry or MLflow failed; the message names the state that this left (5).
        Refused: not authorised, semver taken, or changed by another process meanwhile (6).
    """
    authority, mark = authorise(environ), read_mark(context.store)
    check_registry(authority, None if mark is None else mark.environment, context.store.location)
    if receipt := find_promoted(request, context):
        _report_usage_again(request, context, report_usage)
        return receipt
    check_manifest_format(mark, context.store.location)
    candidate = examine(request, context.store, tracking, mark)
    recover_unfinished((read_tags(context.store).tags.production, request.semver), context)
    if receipt := find_promoted(request, context):
        _report_usage_again(request, context, report_usage)
        return receipt
    versioned = claim(request, candidate, context, mark, report_usage)
    versioned = write_promotion(versioned, candidate, context, tracking)
    versioned = finish(context, versioned)
    return _build_receipt(versioned.record, Ending.PROMOTED, request.semver)


def find_promoted(request: Request, context: PromotionContext) -> Receipt | None:
    """Return the receipt of this very promotion when it was made before; finish it when it was only committed.

    Raises:
        Refused: the semver belongs to another SHA, for ever, another process is promoting it now, or the bundle was
            tombstoned since.
    """
    versioned = context.journal.read(request.semver)
    if versioned is None:
        return None
    record = versioned.record
    if record.canonical_sha != request.canonical_sha:
        raise Refused(
            f"{request.semver} belongs to {record.canonical_sha} ({record.state}) for ever; choose the next version"
        )
    if record.state is State.PENDING and record.is_alive(context.store.now()):
        raise Refused(f"{record.semver} is being promoted by {record.owner}, at most until {record.deadline}")
    if record.committed and record.state is State.PENDING:
        record = recover(context, versioned).record
    if record.state is not State.PROMOTED:
        return None
    # What was withdrawn is not answered with a success, although its promotion is a fact of the past.
    check_not_tombstoned(context.store, record.canonical_sha)
    return _build_receipt(record, Ending.ALREADY, find_production(context.store))


def claim(
    request: Request,
    candidate: VerifiedCandidate,
    context: PromotionContext,
    mark: RegistryMark | None,
    report_usage: ReportUsage,
) -> VersionedRecord:
    """Write manifest, evidence and signature, then make the semver's record ours: it now belongs to this SHA.

    A crash before the record leaves documents that nothing refers to. They are named by their content, so that a
    retry finds its own. ``mark`` is the registry's, `None` when a dev registry is still to be created.

    Raises:
        Refused: production moved or is not finished, another process has claimed the semver, or a key is missing.
    """
    production = read_production(context.store)
    before = production.semver
    check_order(request, production)
    if not production.closed:
        # Its event may not be in the index yet, and ours comes after it.
        raise Refused(f"{before} was put in production by another process just now, which is not done; run it again")
    check_signer(context, production.event)
    if mark is None or mark.environment == Environment.DEV:
        create_registry(context.store, Environment.DEV, candidate.baseline.model)
    mark = mark or read_mark(context.store)
    if mark is None:
        raise StoreFailure(f"{context.store.location} was created and is gone; run it again")
    evidence = build_evidence(
        candidate.manifest,
        candidate.verdict,
        evaluation=request.evaluation,
        baseline=request.baseline,
        groups=request.groups,
        model_lock=request.model_lock,
        run_id=candidate.run_id,
        logged_model=request.logged_model,
        semver=request.semver,
        production_before=before,
        mark=mark,
        origin=request.origin,
    )
    # Counted before the claim: a use that the policy refuses must not cost the semver.
    usage = record_use(context.store, candidate.evaluation, candidate.baseline)
    if usage is not None:
        report_usage(usage)
    sha, signer = request.canonical_sha, context.signer
    put_once(context.store, manifest_key(sha), candidate.manifest.canonical_bytes())
    put_once(context.store, evidence_key(sha, evidence.sha), evidence.data)
    if signer is not None:
        put_once(context.store, signature_key(sha, evidence.sha, signer.key_id), signer.sign(evidence.data))
    found = context.journal.read(request.semver)
    fields = {
        "mlflow_run_id": candidate.run_id,
        "evidence": evidence.sha,
        "production_before": before,
        "registered_model": candidate.registered_model,
        "model": mark.model,
        "logged_model": request.logged_model,
        "environment": mark.environment if mark.environment.is_named else None,
    }
    if found is not None:
        # An earlier attempt that was undone: the same semver may be tried again, for the same SHA only.
        if found.record.canonical_sha != request.canonical_sha or found.record.state in (State.PENDING, State.PROMOTED):
            raise Refused(f"{request.semver} was claimed by another process just now; run it again")
        retry = {"state": State.PENDING, "attempt": found.record.attempt + 1, "event": None, "note": None}
        return context.journal.take_over(found, **retry, **fields)
    return context.journal.claim(
        Record.model_validate(
            {
                "semver": request.semver,
                "canonical_sha": request.canonical_sha,
                "state": State.PENDING,
                "owner": context.journal.owner,
                "deadline": context.store.now().isoformat(),
                **fields,
            }
        )
    )


def write_promotion(
    versioned: VersionedRecord, candidate: VerifiedCandidate, context: PromotionContext, tracking: ModelSource
) -> VersionedRecord:
    """From the claim to the commit point; what fails before it is undone.

    Raises:
        IntegrityFailure, StoreFailure, Refused: after undoing; the message says so when undoing failed too.
    """
    try:
        # Again, and now under the claim: since `examine` the model in MLflow may have been overwritten.
        check_artifacts(candidate.manifest, candidate.run_id, candidate.logged_model, tracking)
        versioned = context.journal.advance(versioned)  # a new lease: hashing a large model may have used up the first
        update_tags_json(context, versioned)
        # After `tags.json`, not before: see `lynxgate.promotion.tombstones`.
        check_not_tombstoned(context.store, versioned.record.canonical_sha)
    except Conflict:
        raise  # another process has taken the record over, and what there is to undo with it
    except GateError as error:
        _undo(context, versioned, State.ROLLED_BACK, error)
        raise
    answer = set_and_confirm_tag(context, versioned.record)
    if answer.state is TagState.PRESENT:
        return commit(context, versioned)
    certain = answer.state is TagState.ABSENT
    failure = StoreFailure(
        f"{versioned.record.semver} is not promoted; "
        f"production is {versioned.record.production_before or 'empty'} as before; "
        f"MLflow did not take the tag in {answer.tries} tries: {answer.error}"
        + ("" if certain else "; the run may still get a stray tag, which has no meaning (record: in-doubt)")
    )
    _undo(context, versioned, State.ROLLED_BACK if certain else State.IN_DOUBT, failure)
    raise failure


def _report_usage_again(request: Request, context: PromotionContext, report_usage: ReportUsage) -> None:
    """Report the usage for a promotion that was made before; a failure to find it out does not matter to that."""
    with contextlib.suppress(GateError):
        evaluation = parse_document(request.evaluation, Evaluation, where="the evaluation")
        usage = measure(context.store, evaluation, parse_baseline(request.baseline))
        if usage is not None:
            report_usage(usage)


def _undo(context: PromotionContext, versioned: VersionedRecord, state: State, cause: GateError) -> None:
    try:
        undo(context, versioned, state, str(cause))
    except StoreFailure as error:
        raise StoreFailure(
            f"{cause}; and undoing it failed: {error}; the next promotion, or `lynxgate registry recover`, undoes it"
        ) from cause


def _build_receipt(record: Record, ending: Ending, production: str | None) -> Receipt:
    return Receipt(record.semver, record.canonical_sha, ending, record.production_before, production)
