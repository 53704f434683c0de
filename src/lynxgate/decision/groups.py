"""Which examples of an eval set belong together, as numbers: what the tests over units need of its labels.

- Rows of one `group` have one number, from 0 in the order in which the groups appear. A row without a group is a group
  of its own. Names of groups, ids and answers are not included, so that it can be stored with a decision.
- It follows from the bytes of the eval set alone, and names their hashes.
- It never reaches a predictor: minieval keeps groups with the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, model_validator

from lynxgate.decision.same_eval_set import EvalSetOf, check_same_eval_set
from lynxgate.errors import IntegrityFailure
from minieval.contract.digests import digest_bytes
from minieval.contract.documents import Document, canonical_json, parse_document
from minieval.contract.fields import Count, DvcMd5, Sha256, Table
from minieval.contract.report import Evaluation, Measured
from minieval.task.document import CONVENTIONS, Task

if TYPE_CHECKING:
    from minieval.data.labels import Labels

SCHEMA: Final = "lynxgate.groups/1"
Numbers = Annotated[tuple[Count, ...], Field(strict=False, min_length=1)]


class Source(Document):
    """The eval set that the groups were taken from."""

    dvc_md5: DvcMd5
    sha256: Sha256


class Groups(Document):
    """The group of each row of an eval set, and of each row of its buckets, in eval-set order."""

    schema_: Annotated[Literal["lynxgate.groups/1"], Field(alias="schema")] = SCHEMA
    eval_set: Source
    aggregate: Numbers
    buckets: Table[Numbers]

    @model_validator(mode="after")
    def _is_numbered(self) -> Groups:
        first_seen = list(dict.fromkeys(self.aggregate))
        if first_seen != list(range(len(first_seen))):
            raise ValueError("groups are numbered from 0 in the order in which they appear")
        if any(not set(numbers) <= set(first_seen) for numbers in self.buckets.values()):
            raise ValueError("a bucket has a group that the eval set does not have")
        return self

    @property
    def shared(self) -> bool:
        """Whether two rows share a group; if not, every test is that of independent examples."""
        return len(set(self.aggregate)) < len(self.aggregate)

    @property
    def count(self) -> int:
        """Return the number of groups."""
        return len(set(self.aggregate))

    @property
    def data(self) -> bytes:
        """Return the document as bytes; equal groups are equal bytes."""
        return canonical_json(self.model_dump(by_alias=True))

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of `data`."""
        return digest_bytes(self.data)


def read_groups(path: Path, task: Task = CONVENTIONS) -> Groups:
    """Read the groups of the eval set at ``path``, which is read by ``task``.

    Raises:
        CannotJudge, IntegrityFailure: as `minieval.data.labels.read_labels`.
    """
    from minieval.data.labels import read_labels  # noqa: PLC0415 - Arrow, which a decision without groups does without

    return find_groups(read_labels(path, task))


def find_groups(labels: Labels) -> Groups:
    """Return the groups of an eval set."""
    identity, numbers = labels.identity, labels.groups
    return Groups.model_validate(
        {
            "eval_set": {"dvc_md5": identity.dvc_md5, "sha256": identity.sha256},
            "aggregate": numbers,
            "buckets": {name: tuple(numbers[row] for row in rows) for name, rows in labels.buckets.items()},
        }
    )


def parse_groups(data: bytes, *, where: str = "the groups") -> Groups:
    """Parse groups that were stored with a decision.

    Raises:
        CannotJudge: ``data`` is not such a document.
    """
    return parse_document(data, Groups, where=where)


def check_groups_of(groups: Groups, dvc_md5: str, sha256: str | None) -> None:
    """Check that groups are of the eval set with these hashes, that of the evaluation.

    Raises:
        IntegrityFailure: a hash differs.
    """
    found = EvalSetOf("the eval set given", groups.eval_set.dvc_md5, groups.eval_set.sha256)
    evaluated = EvalSetOf("the evaluation", dvc_md5, sha256)
    check_same_eval_set(found, evaluated, advice="give the eval set of the evaluation")


def check_rows(groups: Groups, evaluation: Evaluation) -> None:
    """Check that an evaluation has as many rows in each bucket as the eval set.

    Raises:
        IntegrityFailure: a number differs, or the eval set does not have a bucket.
    """
    measured: Mapping[str, Measured] = evaluation.buckets
    sides = [(f"bucket {name[:80]!r}", side.n, len(groups.buckets.get(name, ()))) for name, side in measured.items()]
    if evaluation.aggregate is not None:
        sides.append(("all", evaluation.aggregate.n, len(groups.aggregate)))
    for name, n, rows in sides:
        if n not in (None, rows):
            raise IntegrityFailure(
                f"the evaluation has {n} rows in {name}, and the eval set with the same hash has {rows}; evaluate again"
            )
