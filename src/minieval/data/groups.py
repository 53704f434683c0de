"""The group of each row, as a name: rows of one group were not drawn independently.

Text, numbers, booleans and dates name groups. Without a value, or with empty text, a row is in no group.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from minieval.contract.documents import Json
from minieval.contract.exits import CannotJudge
from minieval.data.batch import Batch
from minieval.data.schema import Kind


def name_groups(batch: Batch) -> Sequence[str | None]:
    """Return the name of each row's group; `None` for a row without one. Different groups have different names.

    Raises:
        CannotJudge: a group is a list or an object; the message names the row.
    """
    column = batch.roles.group
    if column is None:
        return [None] * len(batch.table)
    values = batch.values(column)
    if batch.kind(column) is Kind.TEXT:
        return [value or None for value in values]
    return [_name(value, column, batch, index) for index, value in enumerate(values)]


def _name(value: Json, column: str, batch: Batch, index: int) -> str | None:
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, list | dict):
        raise CannotJudge(
            f"{batch.where(index)}: the column {column[:80]!r} names the row's group, and holds a list or an object; "
            "use text or a number"
        )
    return json.dumps(value)  # the number 1 and the text "1" are two groups
