"""The DynamoDB API over HTTP: operations by name, errors by code.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.standins.answers import Answer, response
from benchmarks.standins.dynamodb import administration, items, reads
from benchmarks.standins.dynamodb.errors import (
    DynamoDbError,
    InternalError,
    InvalidRequest,
    UnknownOperation,
)
from benchmarks.standins.dynamodb.tables import Tables
from benchmarks.standins.dynamodb.transactions import Transactions
from benchmarks.standins.faults import Faults
from benchmarks.standins.http import Reset, Response
from benchmarks.standins.reading import Request

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

Operation = Callable[[Tables, dict[str, Any]], dict[str, Any]]

_OPERATIONS: dict[str, Operation] = {
    "BatchGetItem": items.batch_get_item,
    "BatchWriteItem": items.batch_write_item,
    "CreateTable": administration.create_table,
    "DeleteItem": items.delete_item,
    "DeleteTable": administration.delete_table,
    "DescribeTable": administration.describe_table,
    "DescribeTimeToLive": administration.describe_time_to_live,
    "GetItem": items.get_item,
    "ListTables": administration.list_tables,
    "PutItem": items.put_item,
    "TransactGetItems": items.transact_get_items,
    "UpdateItem": items.update_item,
    "UpdateTable": administration.update_table,
    "UpdateTimeToLive": administration.update_time_to_live,
}


class DynamoDb:
    """The handler of a server: `Server(DynamoDb(tables).handle)`. `faults` apply to `Query`."""

    def __init__(self, tables: Tables | None = None, faults: Faults | None = None) -> None:
        self.tables = tables or Tables()
        self.faults = faults or Faults()
        self._transactions = Transactions()

    def handle(self, request: Request) -> Response:
        """One request."""
        try:
            operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
            return self._answered(operation, _parsed(request))
        except DynamoDbError as error:
            return response(Answer.of(_encode(error.document())), error.status)
        except Reset:
            raise
        except Exception:
            log.exception("%s failed", request.headers.get("x-amz-target"))
            failure = InternalError("the stand-in failed; its log says how")
            return response(Answer.of(_encode(failure.document())), failure.status)

    def _answered(self, operation: str, parameters: dict[str, Any]) -> Response:
        if operation == "Query":
            table = str(parameters.get("TableName"))
            return self.faults.answered(table, lambda: self._read("query", parameters))
        if operation == "Scan":
            return response(self._read("scan", parameters))
        if operation == "TransactWriteItems":
            with self.tables.lock:
                done = self._transactions.write(self.tables, parameters)
                answer = items.transaction_answer(parameters, done)
            return response(Answer.of(_encode(answer)))
        if operation not in _OPERATIONS:
            raise UnknownOperation(f"the stand-in has no operation {operation!r}")
        with self.tables.lock:
            body = _encode(_OPERATIONS[operation](self.tables, parameters))
        return response(Answer.of(body))

    def _read(self, operation: str, parameters: dict[str, Any]) -> Answer:
        source = self.tables.source(str(parameters.get("TableName")))
        if source is not None:
            answer: Answer = getattr(source, operation)(parameters)
            return answer
        with self.tables.lock:
            return (
                reads.query(self.tables, parameters)
                if operation == "query"
                else reads.scan(self.tables, parameters)
            )


def _parsed(request: Request) -> dict[str, Any]:
    try:
        return _decode(request.body)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the body is not a JSON object: {error}") from None
