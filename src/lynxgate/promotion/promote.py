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
from lynxgate.promotion.eval_set_usage import Wear, charge, measure
from lynxgate.promotion.rollback import settle_unfinished
from lynxgate.promotion.steps import Desk, TagState, carry_tag, commit, finish, point_tags, settle, undo
from lynxgate.promotion.tombstones import check_not_tombstoned
from lynxgate.registry.evidence import write_evidence
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
from lynxgate.registry.record import Held, Record, State
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
class Against:
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
    against: Against | None = None
    groups: Groups | None = None


@dataclass(frozen=True)
class Receipt:
    """What was promoted; ``production_before`` is the semver it followed."""

    semver: str
    canonical_sha: str
    ending: Ending
    production_before: str | None


TellWear = Callable[[Wear], None]


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
class Case:
    """What `examine` found: the bundle, the verdict that lets it through, the run and the model that carry it."""

    manifest: Manifest
    verdict: Verdict
    run_id: str
    registered_model: str | None
    evaluation: Evaluation
    baseline: Baseline


def promote(
    request: Request,
    desk: Desk,
    tracking: ModelSource,
    environ: Mapping[str, str],
    tell_wear: TellWear = lambda _: None,
) -> Receipt:
    """Promote a bundle, once for all on (canonical SHA, semver).

    ``tell_wear`` is given how worn the eval set is, where the policy counts, before the semver is claimed.

    1. Authorise; look whether it is promoted already; examine the case. A refusal here has written nothing.
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
    check_registry(environment, read_environment(desk.store), desk.store.location)
    if receipt := find_promoted(request, desk):
        _tell_wear_again(request, desk, tell_wear)
        return receipt
    case = examine(request, desk, tracking)
    settle_unfinished((read_tags(desk.store).tags.production, request.semver), desk)
    if receipt := find_promoted(request, desk):
        _tell_wear_again(request, desk, tell_wear)
        return receipt
    held = claim(request, case, desk, environment, tell_wear)
    held = write_promotion(held, case, desk, tracking)
    held = finish(desk, held)
    return _receipt(held.record, Ending.PROMOTED)


def find_promoted(request: Request, desk: Desk) -> Receipt | None:
    """The receipt of this very promotion, when it has been made; one whose owner died after committing is finished.

    Raises:
        Refused: the semver belongs to another SHA (for ever), or somebody is promoting it just now.
    """
    held = desk.journal.read(request.semver)
    if held is None:
        return None
    record = held.record
    if record.canonical_sha != request.canonical_sha:
        raise Refused(
            f"{request.semver} belongs to {record.canonical_sha} ({record.state}) and to no other, for ever; "
            "choose the next version"
        )
    if record.state is State.PENDING and record.is_alive(desk.store.now()):
        raise Refused(f"{record.semver} is being promoted by {record.owner}, at most until {record.deadline}")
    if record.committed and record.state is State.PENDING:
        record = settle(desk, held).record
    return _receipt(record, Ending.ALREADY) if record.state is State.PROMOTED else None


def examine(request: Request, desk: Desk, tracking: ModelSource) -> Case:
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
    check_not_tombstoned(desk.store, sha)
    check_order(request, find_production(desk.store))
    check_artefacts(manifest, run_id, tracking)
    return Case(manifest, verdict, run_id, baseline.policy.model_name, evaluation, baseline)


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


def claim(request: Request, case: Case, desk: Desk, environment: Environment, tell_wear: TellWear) -> Held:
    """Write manifest and evidence, then make the semver's record ours: from here on it belongs to this SHA.

    Raises:
        Refused: production moved past us, or somebody else has the record.
    """
    before = find_production(desk.store)
    check_order(request, before)
    evidence = write_evidence(
        case.manifest,
        case.verdict,
        evaluation=request.evaluation,
        baseline=request.baseline,
        groups=request.groups,
        run_id=case.run_id,
        semver=request.semver,
        production_before=before,
    )
    if environment is Environment.DEV:
        create_registry(desk.store, environment)
    if wear := charge(desk.store, case.evaluation, case.baseline):
        tell_wear(wear)
    sha, signer = request.canonical_sha, desk.signer
    put_once(desk.store, manifest_key(sha), case.manifest.canonical_bytes())
    put_once(desk.store, evidence_key(sha, evidence.sha), evidence.data)
    if signer is not None:
        put_once(desk.store, signature_key(sha, evidence.sha, signer.key_id), signer.sign(evidence.data))
    found = desk.journal.read(request.semver)
    facts = {
        "mlflow_run_id": case.run_id,
        "evidence": evidence.sha,
        "production_before": before,
        "registered_model": case.registered_model,
    }
    if found is not None:
        retry = {"state": State.PENDING, "attempt": found.record.attempt + 1, "event": None, "note": None}
        if found.record.canonical_sha != request.canonical_sha or found.record.state in (State.PENDING, State.PROMOTED):
            raise Refused(f"{request.semver} was claimed by somebody else just now; run it again")
        return desk.journal.take_over(found, **retry, **facts)
    return desk.journal.claim(
        Record.model_validate(
            {
                "semver": request.semver,
                "canonical_sha": request.canonical_sha,
                "state": State.PENDING,
                "owner": desk.journal.owner,
                "deadline": desk.store.now().isoformat(),
                **facts,
            }
        )
    )


def write_promotion(held: Held, case: Case, desk: Desk, tracking: ModelSource) -> Held:
    """From the claim to the commit point; what fails before it is undone.

    Raises:
        IntegrityFailure, StoreFailure, Refused: after undoing, or saying that undoing failed too.
    """
    try:
        check_artefacts(case.manifest, case.run_id, tracking)
        held = desk.journal.advance(held)  # a new lease: hashing a large model may have used up the first
        point_tags(desk, held)
        check_not_tombstoned(desk.store, held.record.canonical_sha)
    except Conflict:
        raise  # the record is not ours any more, and neither is anything to undo
    except GateError as error:
        _undo(desk, held, State.ROLLED_BACK, error)
        raise
    answer = carry_tag(desk, held.record)
    if answer.state is TagState.THERE:
        return commit(desk, held)
    sure = answer.state is TagState.ABSENT
    said = f"MLflow did not take the tag in {answer.tries} tries: {answer.said}"
    failure = StoreFailure(
        f"{held.record.semver} is not promoted and production is {held.record.production_before or 'empty'} as before; "
        + said
        + ("" if sure else "; it may still carry a stray tag, which means nothing (record: in-doubt)")
    )
    _undo(desk, held, State.ROLLED_BACK if sure else State.IN_DOUBT, failure)
    raise failure


def _tell_wear_again(request: Request, desk: Desk, tell_wear: TellWear) -> None:
    """For a promotion that has been made; whatever keeps this from being known changes nothing about it."""
    with contextlib.suppress(GateError):
        evaluation = parse_document(request.evaluation, Evaluation, where="the evaluation")
        if wear := measure(desk.store, evaluation, parse_baseline(request.baseline)):
            tell_wear(wear)


def _undo(desk: Desk, held: Held, state: State, cause: GateError) -> None:
    try:
        undo(desk, held, state, str(cause))
    except StoreFailure as error:
        raise StoreFailure(
            f"{cause}; and undoing it failed: {error}; the next promotion, or `lynxgate registry recover`, undoes it"
        ) from cause


def _receipt(record: Record, ending: Ending) -> Receipt:
    return Receipt(record.semver, record.canonical_sha, ending, record.production_before)
