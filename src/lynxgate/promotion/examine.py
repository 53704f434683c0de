"""Examine a candidate before anything is written: the request of a promotion, and every check that only reads.

- The decision is made again from the two documents; a stored "passed" is never read.
- The run's model is downloaded and hashed here: what the evaluator saw and what MLflow holds now may differ.
- Nothing is written: a refusal here leaves registry and MLflow as they were.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.compare import Verdict
from lynxgate.decision.decide import decide_bytes
from lynxgate.decision.groups import Groups
from lynxgate.decision.policy import STRONGEST_ISOLATION, Policy
from lynxgate.errors import CannotJudge, Exit, GateError, IntegrityFailure, Refused
from lynxgate.identity import parse_semver, parse_sha
from lynxgate.ports import ModelSource, Store
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import RegistryMark, check_model
from lynxgate.registry.resolve import Production, read_production
from lynxgate.registry.statement import Origin
from lynxgate.registry.tombstone import check_not_tombstoned
from minieval.contract.bundle import read_manifest
from minieval.contract.digests import digest_bytes
from minieval.contract.manifest import Manifest, describe_difference
from minieval.contract.report import Evaluation


@dataclass(frozen=True)
class ExpectedProduction:
    """The version in production when a decision was made; `None` when there was none."""

    semver: str | None


@dataclass(frozen=True)
class Request:
    """What to promote, as which semver, and the exact bytes of the two documents that it is decided on.

    ``bundle`` is the folder of the candidate. With ``against``, production must still be that version. ``groups`` are
    those of the eval set, for rules that respect them. ``logged_model`` is the name of the model in its run, if the run
    has several. ``origin`` is the registry that it is promoted from, if any. ``model_lock`` is the lock whose digest
    the evaluation names.
    """

    canonical_sha: str
    semver: str
    evaluation: bytes
    baseline: bytes
    bundle: Path
    against: ExpectedProduction | None = None
    groups: Groups | None = None
    logged_model: str | None = None
    origin: Origin | None = None
    model_lock: bytes | None = None


class NotPassed(GateError):
    """The candidate does not pass; ``verdict`` has the reasons, and its exit code is this error's."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"not promoted: {'; '.join(verdict.reasons)}")
        self.verdict = verdict

    @property
    def exit(self) -> Exit:  # type: ignore[override]
        """The verdict's code: a regression, or not judgeable."""
        return self.verdict.exit


@dataclass(frozen=True)
class VerifiedCandidate:
    """What `examine` found: the bundle, the verdict that it passes by, its run, and the policy's registered model."""

    manifest: Manifest
    verdict: Verdict
    run_id: str
    registered_model: str | None
    evaluation: Evaluation
    baseline: Baseline
    logged_model: str | None = None


def examine(request: Request, store: Store, tracking: ModelSource, mark: RegistryMark | None) -> VerifiedCandidate:
    """Check everything that can be checked by reading: the cheap checks first, the download of the model last.

    ``mark`` is that of the registry that the candidate is to enter, `None` for a dev registry that is still to be
    created.

    Raises:
        NotPassed, CannotJudge: the candidate does not pass, or that cannot be judged (exit 2, 3).
        IntegrityFailure: bundle, run, documents and SHA do not belong together (4).
        StoreFailure: the registry or MLflow failed (5).
        Refused: the registry belongs to another model, the baseline is report-only, the isolation is too weak for the
            registry, the bundle is tombstoned, or the semver is not the next one (6).
    """
    verdict, evaluation, baseline = decide_bytes(request.evaluation, request.baseline, groups=request.groups)
    if mark is not None:
        check_model(mark, baseline.model, store.location)
    if baseline.status != "active":
        raise Refused(
            "the baseline is report-only, so nothing is promoted on it; activate it by its own pull request first"
        )
    if not verdict.passed:
        raise NotPassed(verdict)
    check_isolation(Environment.DEV if mark is None else mark.environment, evaluation, baseline.policy)
    check_model_lock(evaluation, request.model_lock)
    sha, run_id = parse_sha(request.canonical_sha), evaluation.candidate.mlflow_run_id
    if evaluation.candidate.canonical_sha != sha:
        raise IntegrityFailure(
            f"the evaluation is of {evaluation.candidate.canonical_sha or 'an unnamed bundle'}, "
            f"not of {sha}; evaluate the bundle that is to be promoted"
        )
    if run_id is None:
        raise CannotJudge("the evaluation names no MLflow run; evaluate again with --run-id <id>")
    manifest = read_manifest(request.bundle)
    if manifest.canonical_sha != sha:
        raise IntegrityFailure(f"{request.bundle} hashes to {manifest.canonical_sha}, not to {sha}; fetch it again")
    check_not_tombstoned(store, sha)
    check_order(request, read_production(store))
    check_artifacts(manifest, run_id, request.logged_model, tracking)
    return VerifiedCandidate(
        manifest, verdict, run_id, baseline.policy.model_name, evaluation, baseline, logged_model=request.logged_model
    )


def check_isolation(environment: Environment, evaluation: Evaluation, policy: Policy) -> None:
    """Check that the candidate was measured under bwrap, unless the registry is for dev or the policy names a minimum.

    A weaker isolation lets a candidate read the labels. Where the policy names a minimum, the verdict has held it.

    Raises:
        Refused: it was measured under a weaker isolation, or under an unknown one.
    """
    found = evaluation.evaluator.isolation if evaluation.evaluator else None
    if not environment.is_protected or policy.min_isolation is not None or found == STRONGEST_ISOLATION:
        return
    named = "names no isolation" if found is None else f"was made under isolation {found[:40]!r}"
    raise Refused(
        f"a registry for {environment} takes evaluations under {STRONGEST_ISOLATION}, and this one {named}; evaluate "
        f"again under {STRONGEST_ISOLATION}, or let the baseline's policy allow less (min_isolation: process)"
    )


def check_model_lock(evaluation: Evaluation, lock: bytes | None) -> None:
    """Check that the lock of the model's environment is the one that the evaluation names.

    Raises:
        CannotJudge: the evaluation names one, and it is missing.
        IntegrityFailure: it is another one, or the evaluation names none.
    """
    named = None if evaluation.model_environment is None else evaluation.model_environment.lock_sha256
    if lock is None and named is not None:
        raise CannotJudge(
            f"the lock of the model's environment ({named}) is missing; keep the file that minieval wrote beside the "
            "evaluation"
        )
    if lock is not None and digest_bytes(lock) != named:
        raise IntegrityFailure(
            f"the evaluation names {named or 'no lock'} as the lock of the model's environment, and the lock is "
            f"{digest_bytes(lock)}; evaluate again"
        )


def check_artifacts(manifest: Manifest, run_id: str, logged_model: str | None, tracking: ModelSource) -> None:
    """Check that the run's model, downloaded now, is the bundle.

    Raises:
        IntegrityFailure: it is not; MLflow lets the artifacts of a finished run be overwritten.
    """
    with tempfile.TemporaryDirectory(prefix="lynxgate-") as folder:
        tracking.download(run_id, Path(folder) / "model", name=logged_model)
        found = read_manifest(Path(folder) / "model")
    if found.canonical_sha != manifest.canonical_sha:
        raise IntegrityFailure(
            f"run {run_id} holds another model now ({found.canonical_sha}): {describe_difference(manifest, found)}; "
            "find out who changed it, then fetch and evaluate again"
        )


def check_order(request: Request, found: Production) -> None:
    """Check that production is the version that the decision was made against, and that versions only go up.

    Raises:
        Refused: production is another version, or the semver is not greater than all that were ever promoted.
    """
    production = found.semver
    if request.against is not None and request.against.semver != production:
        raise Refused(
            f"production was {request.against.semver or 'empty'} when this was decided, "
            f"and it is {production or 'empty'} now; decide again"
        )
    if request.semver == production:
        raise Refused(f"{production} was promoted by another process just now; run it again to see its receipt")
    check_next_semver(request.semver, found)


def check_next_semver(semver: str, found: Production) -> None:
    """Check that ``semver`` is greater than the version in production, and than all that were ever promoted.

    Raises:
        Refused: it is not.
    """
    if found.semver is not None and parse_semver(semver) <= parse_semver(found.semver):
        raise Refused(f"{semver} is not greater than {found.semver}, which is in production; choose a higher version")
    # Production may have been rolled back: a number below one that was used would not show which came later.
    if found.highest is not None and parse_semver(semver) < parse_semver(found.highest):
        raise Refused(f"{semver} is lower than {found.highest}, which was promoted before; choose a higher version")
