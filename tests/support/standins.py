"""A DynamoDB and an S3 in memory, which are fast, note what they are asked and go wrong as told."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import pytest

from benchmarks.standins.dynamodb.api import DynamoDb
from benchmarks.standins.http import Handler, Response, Server
from benchmarks.standins.reading import Request
from benchmarks.standins.s3.api import S3
from remit.aws.cloudformation import apply
from remit.aws.session import Aws
from remit.services import Services
from remit.settings import Settings
from tests.support.aws import REGION, UNLIMITED, aws_at
from tests.support.clock import ManualClock
from tests.support.endpoints import KEY


class Noted:
    """A handler whose requests are noted, and which a test may answer itself."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.seen: list[tuple[str, bytes]] = []
        """Target (the operation, for DynamoDB) and body, which is left out if it is large."""
        self.instead: Callable[[Request], Response | None] = lambda _: None

    def __call__(self, request: Request) -> Response:
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        body = bytes(request.body) if len(request.body) < 10_000 else b""
        self.seen.append((operation or f"{request.method} {request.target}", body))
        return self.instead(request) or self._handler(request)

    def times(self, what: str) -> int:
        """How many of the requests have that in their target."""
        return sum(what in target for target, _ in self.seen)


@dataclass(frozen=True)
class StandIns:
    """A DynamoDB and an S3 in memory, with Remit's tables and bucket."""

    dynamodb: DynamoDb
    s3: S3
    queries: Noted
    objects: Noted
    endpoints: tuple[str, str]

    @property
    def aws(self) -> Aws:
        """A session with them."""
        return aws_at(*self.endpoints)


@cache
def _applied() -> tuple[DynamoDb, S3]:
    """What `apply` leaves behind. To copy it takes a tenth of the time."""
    dynamodb, s3 = DynamoDb(), S3()
    with Server(dynamodb.handle) as one, Server(s3.handle) as other:
        apply(aws_at(one.url, other.url), {})
    return dynamodb, s3


def _with_tables() -> tuple[DynamoDb, S3]:
    dynamodb, s3 = DynamoDb(), S3()
    tables, buckets = _applied()
    dynamodb.tables._tables = copy.deepcopy(tables.tables._tables)
    s3.buckets._buckets = copy.deepcopy(buckets.buckets._buckets)
    return dynamodb, s3


@contextmanager
def stand_ins() -> Iterator[StandIns]:
    """New ones, for the length of the block."""
    dynamodb, s3 = _with_tables()
    queries, objects = Noted(dynamodb.handle), Noted(s3.handle)
    with Server(queries) as one, Server(objects) as other:
        yield StandIns(dynamodb, s3, queries, objects, (one.url, other.url))


@pytest.fixture
def standins() -> Iterator[StandIns]:
    """New ones, for one test."""
    with stand_ins() as found:
        yield found


@pytest.fixture
def services(standins: StandIns, clock: ManualClock) -> Services:
    """In the place of those on moto: empty tables, an empty bucket, and a key for the secrets of
    endpoints; `http://` webhooks are allowed."""
    settings = Settings(
        region=REGION,
        webhook_networks="127.0.0.0/8",
        secret_keys=KEY,
        api_rate=UNLIMITED,
    )
    return Services(settings, standins.aws, clock)
