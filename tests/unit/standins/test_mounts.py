from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from benchmarks.standins.answers import Answer
from benchmarks.standins.dynamodb.api import DynamoDb
from benchmarks.standins.dynamodb.tables import Tables
from benchmarks.standins.http import Response
from benchmarks.standins.reading import Request


class Source:
    """A source of one page in two parts."""

    def query(self, request: dict[str, Any]) -> Answer:
        parts: list[bytes | memoryview] = [
            b'{"Count":1,"Items":[',
            memoryview(b'{"id":{"S":"a"}}]}'),
        ]
        return Answer(parts, zlib.crc32(b"".join(parts)), item_bytes=3)

    def scan(self, request: dict[str, Any]) -> Answer:
        return Answer.of(b'{"Count":0,"Items":[]}')

    def describe(self) -> dict[str, Any]:
        return {"TableName": "Payments", "TableStatus": "ACTIVE"}


@pytest.fixture
def tables() -> Tables:
    tables = Tables()
    tables.mount("Payments", Source())
    return tables


def call(tables: Tables, operation: str, **parameters: Any) -> Response:
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    body = memoryview(json.dumps(parameters).encode())
    return DynamoDb(tables).handle(Request("POST", "/", headers, body))


def document(response: Response) -> dict[str, Any]:
    body = b"".join(response.parts)
    assert response.headers["x-amz-crc32"] == str(zlib.crc32(body))
    found: dict[str, Any] = json.loads(body)
    return found


def test_a_source_answers_reads(tables: Tables) -> None:
    assert document(call(tables, "Query", TableName="Payments"))["Count"] == 1
    assert document(call(tables, "Scan", TableName="Payments"))["Count"] == 0
    assert document(call(tables, "DescribeTable", TableName="Payments")) == {
        "Table": {"TableName": "Payments", "TableStatus": "ACTIVE"}
    }
    assert document(call(tables, "ListTables"))["TableNames"] == ["Payments"]


def test_a_source_takes_no_writes_and_keeps_the_name(tables: Tables) -> None:
    put = call(tables, "PutItem", TableName="Payments", Item={"id": {"S": "a"}})
    assert (put.status, "mounted" in document(put)["message"]) == (400, True)
    created = call(tables, "CreateTable", TableName="Payments")
    assert document(created)["__type"].endswith("#ResourceInUseException")


def test_without_its_source_a_table_is_as_before(tables: Tables) -> None:
    tables.unmount("Payments")
    gone = call(tables, "Query", TableName="Payments", KeyConditionExpression="id = :v")
    assert document(gone)["__type"].endswith("#ResourceNotFoundException")


def test_an_unknown_operation_and_a_body_that_is_no_json(tables: Tables) -> None:
    assert document(call(tables, "Levitate"))["__type"].endswith("#UnknownOperationException")
    headers = {"x-amz-target": "DynamoDB_20120810.GetItem"}
    answer = DynamoDb(tables).handle(Request("POST", "/", headers, memoryview(b"{")))
    assert document(answer)["__type"].endswith("#ValidationException")


def test_a_fault_of_the_stand_in_is_answered_and_logged(
    tables: Tables, caplog: pytest.LogCaptureFixture
) -> None:
    assert call(tables, "CreateTable", TableName="t").status == 500
    assert "CreateTable failed" in caplog.text
