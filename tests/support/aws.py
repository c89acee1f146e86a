"""AWS as the tests have it: moto's server, reached over HTTP as the real one would be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import botocore.session
import pytest

import demo.aws
from remit.aws.cloudformation import apply
from remit.aws.items import encode_item
from remit.aws.session import Aws
from remit.services import Services
from remit.settings import Settings
from tests.support.clock import ManualClock

REGION = "us-east-1"
UNLIMITED = 10**6
"""A rate of requests that no test comes near, whose clock stands still."""


@cache
def _loader() -> Any:
    """What botocore reads its models of services with. It keeps what it has read: a session that
    reads all of it anew takes longer for that than most tests."""
    return botocore.session.Session().get_component("data_loader")


def aws_at(endpoint: str, s3: str | None = None) -> Aws:
    """AWS behind one endpoint, or S3 behind its own, with credentials that are worth nothing
    anywhere else."""
    session = botocore.session.Session()
    session.register_component("data_loader", _loader())
    session.set_credentials("testing", "testing")
    return Aws(session, REGION, {"dynamodb": endpoint, "kms": endpoint, "s3": s3 or endpoint})


def empty_tables(endpoint: str) -> Aws:
    """Forget everything that the server holds and create the tables and the bucket anew."""
    urlopen(Request(f"{endpoint}/moto-api/reset", method="POST"), timeout=10).close()  # noqa: S310
    aws = aws_at(endpoint)
    apply(aws, {})
    return aws


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    """The URL of a moto server; about a second to start, so there is one per session."""
    server = demo.aws.aws_server()
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{server.host}:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def clock() -> ManualClock:
    """The clock of `services`."""
    return ManualClock()


@pytest.fixture
def services(aws_server: str, clock: ManualClock) -> Services:
    """Services on empty tables and an empty bucket; `http://` webhooks are allowed."""
    settings = Settings(region=REGION, webhook_networks="127.0.0.0/8", api_rate=UNLIMITED)
    return Services(settings, empty_tables(aws_server), clock)


def put_many(services: Services, table: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Write many records at once, whatever was there before."""
    client, name = services.tables.client, services.tables.name_of(table)
    puts = ({"PutRequest": {"Item": encode_item(record)}} for record in records)
    while some := list(islice(puts, 25)):
        assert not client.batch_write_item(RequestItems={name: some})["UnprocessedItems"]


def content(services: Services, key: str) -> bytes:
    """What an object holds."""
    body: bytes = services.s3.get_object(Bucket=services.settings.bucket, Key=key)["Body"].read()
    return body


def objects(services: Services, prefix: str = "") -> list[str]:
    """The keys of all objects under a prefix."""
    listing = services.s3.list_objects_v2(Bucket=services.settings.bucket, Prefix=prefix)
    return sorted(entry["Key"] for entry in listing.get("Contents", []))


def open_uploads(services: Services) -> list[str]:
    """The keys of all multipart uploads that are neither completed nor aborted."""
    answer = services.s3.list_multipart_uploads(Bucket=services.settings.bucket)
    return sorted(upload["Key"] for upload in answer.get("Uploads", []))
