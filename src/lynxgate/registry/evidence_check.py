"""Read evidence back: check whether it belongs to a promotion, and whether it proves it.

- Nothing it says is believed: the verdict is taken again from the two documents in it, and what it is bound to (bundle,
  run, semver, the production version it was taken against) is held against the promotion it is to prove.
- A signature's envelope is opened here without any key, to see that it is about the evidence it lies beside; whether
  it was made by a key is the `Verifier`'s to say.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from lynxgate.decision.baseline import Baseline, Status
from lynxgate.decision.decide import decide_bytes
from lynxgate.decision.groups import parse_groups
from lynxgate.decision.same_decision import find_difference, written_by
from lynxgate.decision.verdict import Gate, Verdict, parse_verdict
from lynxgate.errors import CannotJudge, GateError, IntegrityFailure
from lynxgate.identity import SemverText
from lynxgate.registry.events import Promotion
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, Json, parse_document, parse_json, pretty_json
from minieval.contract.fields import RunId, Sha256
from minieval.contract.manifest import Manifest
from minieval.contract.report import Evaluation


class Digest(Document):
    """The hashes of a subject."""

    sha256: Sha256


class Subject(Document):
    """A thing that a statement is about."""

    name: str
    digest: Digest


class Bound(Document):
    """The promotion that a verdict was taken for."""

    semver: SemverText
    mlflow_run_id: RunId
    production_before: SemverText | None


class Documents(Document):
    """The two documents that the verdict follows from, as text, byte for byte; ``groups`` where it respects them."""

    evaluation: str
    baseline: str
    groups: str | None = None


class Predicate(Document):
    """`urn:lynxgate:promotion-evidence:1`."""

    gate: Gate
    promotion: Bound
    verdict: Json
    documents: Documents


class Statement(Document):
    """An in-toto Statement of version 1 with our predicate."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[tuple[Subject, ...], Field(strict=False, min_length=1)]
    predicate_type: Annotated[Literal["urn:lynxgate:promotion-evidence:1"], Field(alias="predicateType")]
    predicate: Predicate

    def decide(self) -> tuple[Verdict, Evaluation, Baseline]:
        """Take the decision again: the verdict, and the two documents.

        Raises:
            GateError: as `lynxgate.decision.decide.decide_bytes`.
        """
        documents = self.predicate.documents
        groups = None if documents.groups is None else parse_groups(documents.groups.encode())
        return decide_bytes(documents.evaluation.encode(), documents.baseline.encode(), groups=groups)

    def follows(self, verdict: Verdict) -> bool:
        """Return whether the verdict in it is the decision ``verdict`` (`lynxgate.decision.same_decision`)."""
        try:
            stored = parse_verdict(pretty_json(self.predicate.verdict))
            gate = written_by(stored)
            if gate is not None and gate != self.predicate.gate:
                return False  # the verdict and the statement around it are written by one gate
            return find_difference(self.predicate.verdict, verdict) is None
        except CannotJudge:
            return False


def find_flaws(data: bytes, promotion: Promotion, manifest: Manifest | None) -> Iterator[str]:
    """What keeps ``data`` from being the evidence of ``promotion``; without ``manifest``, its files are left out."""
    event = promotion.event
    if (found := digest_bytes(data)) != promotion.evidence:
        yield f"hashes to {found}"
    try:
        statement = parse_document(data, Statement, where="the evidence")
        verdict, evaluation, baseline = statement.decide()
    except CannotJudge as error:
        yield f"is no evidence as the gate writes it ({error})"
        return
    except GateError as error:
        yield str(error)
        return
    if not verdict.passed or baseline.status is not Status.ACTIVE:
        yield "the documents in it do not pass"
    if not statement.follows(verdict):
        yield "the verdict in it does not follow from the documents in it"
    bound = statement.predicate.promotion
    if bound.semver != promotion.semver:
        yield f"is the evidence for {bound.semver}, not for {promotion.semver}"
    if bound.production_before != event.production_before:
        before, found = event.production_before or "nothing", bound.production_before or "nothing"
        yield f"was taken against {found} in production, and its event follows {before}"
    for run in {bound.mlflow_run_id, evaluation.candidate.mlflow_run_id} - {promotion.run_id}:
        yield f"is about run {run or 'none'}, not about {promotion.run_id}"
    if evaluation.candidate.canonical_sha != event.canonical_sha:
        yield f"holds an evaluation of {evaluation.candidate.canonical_sha}, not of {event.canonical_sha}"
    named = [(item.name, item.digest.sha256) for item in statement.subject]
    if named[0] != ("canonical", event.canonical_sha):
        yield f"its subject is not {event.canonical_sha}"
    if manifest is not None and named[1:] != [(file.path, file.sha256) for file in manifest.files]:
        yield "its subject is not the files of the manifest"


def read_payload(envelope: bytes, *, where: str) -> tuple[bytes, frozenset[str]]:
    """What a DSSE envelope is about, and the ids of the keys that claim to have signed it; nothing is verified.

    Raises:
        IntegrityFailure: it is no envelope of ours.
    """
    try:
        tree = parse_json(envelope, where=where)
        payload = base64.b64decode(tree["payload"], validate=True)
        return payload, frozenset(str(signature["keyid"]) for signature in tree["signatures"])
    except CannotJudge as error:
        raise IntegrityFailure(str(error)) from error
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise IntegrityFailure(f"{where}: is no DSSE envelope ({type(error).__name__})") from error
