"""A stand-in for DynamoDB that notes what every request to it consumes.

`ReturnConsumedCapacity` is added to each request, so that the units are those that the stand-in
reckons: of a table's write, one per KB of the larger of the item before and after, twice that in a
transaction; of an index, one per KB for each entry that is put or deleted.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
and https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from benchmarks.standins.dynamodb.api import DynamoDb
from benchmarks.standins.http import Response
from benchmarks.standins.reading import Request

WRITES = frozenset({"BatchWriteItem", "DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem"})


@dataclass(frozen=True)
class Consumed:
    """What one request that writes consumed: units by table or `table/index`."""

    operation: str
    units: Counter[str]


class Metered:
    """The handler of a server."""

    def __init__(self) -> None:
        self._dynamodb = DynamoDb()
        self._writes: list[Consumed] = []

    def __call__(self, request: Request) -> Response:
        """Answer, and note what was written."""
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        if operation not in WRITES:
            return self._dynamodb.handle(request)
        wanted = {**msgspec.json.decode(request.body), "ReturnConsumedCapacity": "INDEXES"}
        body = memoryview(msgspec.json.encode(wanted))
        response = self._dynamodb.handle(replace(request, body=body))
        if response.status == 200:
            answer = msgspec.json.decode(b"".join(response.parts))
            units = Counter(dict(_units(answer["ConsumedCapacity"])))
            self._writes.append(Consumed(operation, units))
        return response

    def taken(self) -> list[Consumed]:
        """What was written since this was asked last."""
        writes, self._writes = self._writes, []
        return writes


def _units(consumed: Any) -> Iterator[tuple[str, float]]:
    for each in consumed if isinstance(consumed, list) else [consumed]:
        yield each["TableName"], each["Table"]["CapacityUnits"]
        for name, index in each.get("GlobalSecondaryIndexes", {}).items():
            yield f"{each['TableName']}/{name}", index["CapacityUnits"]
