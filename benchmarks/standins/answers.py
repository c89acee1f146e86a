"""Answers to `Query` and `Scan` whose bytes are ready, and what may stand behind a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from awscrt import checksums

from benchmarks.standins.http import Part, Response

CONTENT_TYPE = "application/x-amz-json-1.0"


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of an answer, in parts that are sent end to end, and the CRC32 of all of them.

    `item_bytes` (by DynamoDB's item size rules) and `partition` are what a partition's byte rate is
    reckoned by; without them it is the length of the body, and one partition for the table.
    """

    parts: Sequence[Part]
    crc32: int
    item_bytes: int | None = None
    partition: str | None = None

    @classmethod
    def of(cls, body: bytes, item_bytes: int | None = None, partition: str | None = None) -> Answer:
        """An answer of one part."""
        return cls([body], checksums.crc32(body), item_bytes, partition)


class PageSource(Protocol):
    """What `Tables.mount` puts in place of a table: it answers reads with pages of its own."""

    def query(self, request: dict[str, Any]) -> Answer:
        """The answer to a `Query` request."""

    def scan(self, request: dict[str, Any]) -> Answer:
        """The answer to a `Scan` request."""

    def describe(self) -> dict[str, Any]:
        """The table's description, as the `Table` of `DescribeTable` has it; to whoever waits for
        the table, its `TableStatus` is `ACTIVE`."""


def response(answer: Answer, status: int = 200) -> Response:
    """The answer as HTTP."""
    headers = {"Content-Type": CONTENT_TYPE, "x-amz-crc32": str(answer.crc32)}
    return Response(status, headers, answer.parts)
