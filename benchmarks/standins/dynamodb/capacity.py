"""What requests cost, in capacity units, and how answers say so.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_NO_INDEXES: dict[str, float] = {}


def read_units(size: int, *, consistent: bool) -> float:
    """What it costs to read so many bytes of items."""
    return max(1, math.ceil(size / 4096)) * (1.0 if consistent else 0.5)


def write_units(size: int) -> int:
    """What it costs to write so many bytes to one item."""
    return max(1, -(-size // 1024))


def read_consumption(
    request: Mapping[str, Any], table: str, units: float, index: str | None = None
) -> dict[str, Any] | None:
    """`ConsumedCapacity` of a read of a table, or of one of its indexes, if it was asked for."""
    if index is None:
        return consumption(request, table, units)
    return consumption(request, table, 0.0, {index: units})


def consumption(
    request: Mapping[str, Any],
    table: str,
    own: float,
    indexes: Mapping[str, float] = _NO_INDEXES,
) -> dict[str, Any] | None:
    """`ConsumedCapacity` of a table and of its indexes, if it was asked for."""
    wanted = request.get("ReturnConsumedCapacity", "NONE")
    if wanted == "NONE":
        return None
    total = own + sum(indexes.values())
    consumed: dict[str, Any] = {"TableName": table, "CapacityUnits": float(total)}
    if wanted == "INDEXES":
        consumed["Table"] = {"CapacityUnits": float(own)}
        if indexes:
            consumed["GlobalSecondaryIndexes"] = {
                name: {"CapacityUnits": float(units)} for name, units in indexes.items()
            }
    return consumed
