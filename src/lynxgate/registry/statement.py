"""The format of evidence: an in-toto Statement about a bundle, with our predicate. Written and read by this model.

- It names the registry for which the promotion was made. Evidence of version 1, which is only read, names none.
- Its subject is the bundle: the canonical SHA first, then every file of the manifest in its order.
- It holds the evaluation and the baseline as text, byte for byte, so that an auditor can decide again; where the
  verdict respects the groups of the eval set, also their numbers.
- The order of the fields is the order in which they are written: evidence is named by the hash of its bytes.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from lynxgate.decision.baseline import Baseline
from lynxgate.decision.decide import decide_bytes_again
from lynxgate.decision.groups import parse_groups
from lynxgate.decision.same_decision import find_difference, written_by
from lynxgate.decision.verdict import RULE_VERSION, Gate, Verdict, parse_verdict
from lynxgate.errors import CannotJudge
from lynxgate.identity import ModelName, SemverText
from lynxgate.registry.environment import Environment
from lynxgate.registry.layout import RegistryId
from minieval.contract.documents import Document, Json, pretty_json
from minieval.contract.fields import RunId, Sha256
from minieval.contract.manifest import OLDER_FORMAT, ManifestFormat
from minieval.contract.report import Evaluation

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "urn:lynxgate:promotion-evidence:2"
BUNDLE: Final = "canonical"  # the name of the first subject, whose digest is the canonical SHA


class Digest(Document):
    """The hashes of a subject."""

    sha256: Sha256


class Subject(Document):
    """A thing that a statement is about: the bundle, or one file of it."""

    name: str
    digest: Digest


class BoundRegistry(Document):
    """The registry of a promotion; ``id`` as in `registry.json`, which has none in version 1."""

    environment: Environment
    id: Annotated[RegistryId | None, Field(exclude_if=lambda found: found is None)] = None


class Origin(Document):
    """The registry that a version was promoted from, as the same version: its evidence there, and the index's end.

    ``head`` is ``<number>:<sha>`` of the last event, as `lynxgate registry verify --expect-head` takes it.
    """

    registry: BoundRegistry
    evidence: Sha256
    head: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,17}:[0-9a-f]{64}$")]


class Bound(Document):
    """The promotion for which the verdict was reached; ``production_before`` is the version it followed, if any.

    ``logged_model`` is the name of the model in its run, where the promotion names one. ``origin`` is the registry that
    it was promoted from, if any.
    """

    semver: SemverText
    mlflow_run_id: RunId
    logged_model: Annotated[ModelName | None, Field(exclude_if=lambda name: name is None)] = None
    production_before: SemverText | None
    registry: Annotated[BoundRegistry | None, Field(exclude_if=lambda registry: registry is None)] = None
    origin: Annotated[Origin | None, Field(exclude_if=lambda origin: origin is None)] = None


class Documents(Document):
    """The exact text of the documents from which the verdict follows.

    ``model_lock`` is the lock of the environment that was built for the model, whose digest the evaluation names.
    """

    evaluation: str
    baseline: str
    groups: Annotated[str | None, Field(exclude_if=lambda groups: groups is None)] = None
    model_lock: Annotated[str | None, Field(exclude_if=lambda lock: lock is None)] = None


class Predicate(Document):
    """`urn:lynxgate:promotion-evidence:2`, or an earlier version.

    ``manifest_format`` is that of the subject's manifest; evidence that names none is of the older format.
    """

    gate: Gate
    promotion: Bound
    verdict: Json
    documents: Documents
    manifest_format: Annotated[ManifestFormat, Field(exclude_if=lambda name: name == OLDER_FORMAT)] = OLDER_FORMAT


class Statement(Document):
    """An in-toto Statement, version 1."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[tuple[Subject, ...], Field(strict=False, min_length=1)]
    predicate_type: Annotated[
        Literal["urn:lynxgate:promotion-evidence:1", "urn:lynxgate:promotion-evidence:2"], Field(alias="predicateType")
    ]
    predicate: Predicate

    @model_validator(mode="after")
    def _names_registry(self) -> Statement:
        if (self.predicate.promotion.registry is not None) != (self.predicate_type == PREDICATE):
            raise ValueError(f"`registry` belongs to {PREDICATE}, which needs it")
        return self

    def decide(self) -> tuple[Verdict, Evaluation, Baseline]:
        """Decide again from the documents in it, by the version of the rules that the verdict in it names.

        Return the verdict, the evaluation and the baseline.

        Raises:
            GateError: as `lynxgate.decision.decide.decide_bytes_again`.
        """
        documents = self.predicate.documents
        groups = None if documents.groups is None else parse_groups(documents.groups.encode())
        verdict = self.predicate.verdict
        version = verdict.get("rule_version") if isinstance(verdict, dict) else None
        return decide_bytes_again(
            documents.evaluation.encode(),
            documents.baseline.encode(),
            groups=groups,
            version=2 if version == RULE_VERSION else 1,
        )

    def follows(self, verdict: Verdict) -> bool:
        """Return whether the verdict in it is the decision ``verdict`` (`lynxgate.decision.same_decision`)."""
        try:
            gate = written_by(parse_verdict(pretty_json(self.predicate.verdict)))
            if gate is not None and gate != self.predicate.gate:
                return False  # the verdict and the statement around it are written by one gate
            return find_difference(self.predicate.verdict, verdict) is None
        except CannotJudge:
            return False

    def to_bytes(self) -> bytes:
        """Return the bytes of this statement in the registry."""
        # Not in JSON mode, which would turn the exact decimals of the verdict into floats; and a field that is null
        # stays in it.
        return pretty_json(self.model_dump(by_alias=True))
