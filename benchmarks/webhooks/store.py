"""The stand-in for DynamoDB as the benchmark itself uses it, before and after what is measured."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import msgspec

from benchmarks.figures import BenchmarkFailed
from benchmarks.processes import serving
from remit.aws.cloudformation import apply
from remit.aws.items import Item, decode_item
from remit.aws.session import Aws
from remit.aws.transactions import TRANSACTION_LIMIT
from remit.clock import Clock, system_clock
from remit.services import Services
from remit.settings import Settings

SETTINGS = Settings(webhook_networks="127.0.0.0/8")
"""A deployment's defaults, but that the receiver may be on this machine, without a certificate."""


class Store:
    """Raw calls on one connection; the stand-in looks at no signature."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """One operation.

        Raises:
            BenchmarkFailed: it was refused.
        """
        headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        self._connection.request("POST", "/", msgspec.json.encode(request), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise BenchmarkFailed(f"{operation}: {content[:500].decode(errors='replace')}")
        return dict(json.loads(content))

    def write(self, actions: Iterable[Mapping[str, Any]], most: int = TRANSACTION_LIMIT) -> None:
        """Do the actions, so many in one transaction at the most."""
        left = iter(actions)
        while some := list(islice(left, most)):
            self.call("TransactWriteItems", {"TransactItems": some})

    def items(self, table: str) -> Iterator[Item]:
        """Every item of a table."""
        request: dict[str, Any] = {"TableName": table}
        while True:
            answer = self.call("Scan", request)
            yield from map(decode_item, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


@contextmanager
def empty_store() -> Iterator[Store]:
    """A stand-in in a process of its own, with empty tables, for the length of the block."""
    with serving("benchmarks.standins") as ready:
        apply(aws_at(ready["dynamodb"], ready["s3"]), {})
        store = Store(ready["dynamodb"])
        try:
            yield store
        finally:
            store.close()


def services_at(dynamodb: str, clock: Clock = system_clock) -> Services:
    """Remit on the stand-in at a URL."""
    return Services(SETTINGS, aws_at(dynamodb, dynamodb), clock)


def aws_at(dynamodb: str, s3: str) -> Aws:
    """AWS behind these endpoints, with credentials that are worth nothing anywhere else."""
    session = botocore.session.Session()
    session.set_credentials("testing", "testing")
    return Aws(session, "us-east-1", {"dynamodb": dynamodb, "s3": s3})
