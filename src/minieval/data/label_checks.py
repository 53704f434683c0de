"""What labels have to be, in every format: checked batch by batch, before a model sees the batch.

- Every row has an expected answer.
- Other accepted answers, and the names of buckets, are lists without gaps: the letters of a text are not its answers,
  and a missing name is no bucket.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from minieval.contract.exits import CannotJudge
from minieval.data.batch import Batch
from minieval.data.schema import Column, Kind, Schema
from minieval.task.columns import Roles


def check_kinds(schema: Schema, roles: Roles, *, where: str) -> None:
    """Check that the columns of lists can hold lists.

    Raises:
        CannotJudge: a column of accepted answers or of buckets holds something else.
    """
    for column in schema:
        if column.name in roles.lists and column.kind is not Kind.TEXTS:
            raise CannotJudge(
                f"{where}: the column {column.name[:80]!r} lists buckets: write a list of names in every row"
            )
        if column.name == roles.accepted and not _may_hold_lists(column):
            raise CannotJudge(
                f"{where}: the column {column.name[:80]!r} has other accepted answers: write a list in every row"
            )


def check_labels(batch: Batch) -> None:
    """Check the labels of each row.

    Raises:
        CannotJudge: a label is missing or no list; the message names the row.
    """
    roles = batch.roles
    missing = batch.table.column(roles.expected).is_null(nan_is_null=True)
    _refuse_first(batch, missing, "no expected answer; fill it in, or remove the row")
    for column in roles.lists:
        names = batch.table.column(column)
        if names.null_count or names.combine_chunks().flatten().null_count:
            _refuse_gap(batch, column, "a name is missing")
    if roles.accepted is not None:
        _check_accepted(batch, roles.accepted)


def _check_accepted(batch: Batch, column: str) -> None:
    if batch.kind(column) is Kind.TEXTS:
        if batch.table.column(column).combine_chunks().flatten().null_count:
            _refuse_gap(batch, column, "an answer is missing", optional=True)
        return
    for index, value in enumerate(batch.values(column)):
        if value is not None and not isinstance(value, list):
            raise CannotJudge(f"{batch.where(index)}: {column[:80]!r} is no list; write a list of accepted answers")
        if value is not None and None in value:
            raise CannotJudge(f"{batch.where(index)}: an answer is missing in {column[:80]!r}; remove it")


def _refuse_gap(batch: Batch, column: str, words: str, *, optional: bool = False) -> None:
    for index, names in enumerate(batch.values(column)):
        if (names is None and not optional) or (names is not None and None in names):
            raise CannotJudge(f"{batch.where(index)}: {words} in {column[:80]!r}; write a list without gaps")


def _refuse_first(batch: Batch, wrong: pa.ChunkedArray, words: str) -> None:
    if (index := pc.index(wrong, True).as_py()) >= 0:
        raise CannotJudge(f"{batch.where(index)}: {words}")


def _may_hold_lists(column: Column) -> bool:
    return column.kind in (Kind.TEXTS, Kind.JSON) or (column.kind is Kind.NATIVE and pa.types.is_nested(column.type))
