"""The back ends that one suite holds to the same behaviour."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.standins.dynamodb.api import DynamoDb
from benchmarks.standins.http import Server
from benchmarks.standins.s3.api import S3
from remit.aws.cloudformation import apply
from remit.aws.session import Aws
from remit.services import Services
from remit.settings import Settings
from tests.conformance.backends import Backend
from tests.support.aws import REGION, aws_at
from tests.support.clock import ManualClock

_numbers = itertools.count(1)


def _backend(name: str, aws: Aws) -> Backend:
    return Backend(name, aws.client("dynamodb"), aws.client("s3"))


@pytest.fixture(scope="session")
def standin_urls() -> Iterator[dict[str, str]]:
    """The stand-ins, and where they are."""
    with Server(DynamoDb().handle) as dynamodb, Server(S3().handle) as s3:
        yield {"dynamodb": dynamodb.url, "s3": s3.url}


@pytest.fixture(scope="session")
def standins(standin_urls: dict[str, str]) -> Backend:
    """The stand-ins alone, for what moto is known to do otherwise than AWS."""
    return _backend("standins", replace(aws_at(""), endpoints=standin_urls))


@pytest.fixture(scope="session")
def moto(aws_server: str) -> Backend:
    """Moto alone."""
    return _backend("moto", aws_at(aws_server))


@pytest.fixture(scope="session", params=["moto", "standins"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each back end in turn."""
    chosen: Backend = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def dynamodb(backend: Backend) -> Any:
    """A client of each DynamoDB in turn."""
    return backend.dynamodb


@pytest.fixture
def s3(backend: Backend) -> Any:
    """A client of each S3 in turn."""
    return backend.s3


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Names that no other test has: the back ends outlive tests."""
    return lambda stem: f"{stem}-{next(_numbers)}"


@pytest.fixture
def bucket(s3: Any, unique: Callable[[str], str]) -> str:
    """An empty bucket."""
    return new_bucket(s3, unique)


@pytest.fixture
def own_bucket(standins: Backend, unique: Callable[[str], str]) -> str:
    """An empty bucket of the stand-in."""
    return new_bucket(standins.s3, unique)


def new_bucket(s3: Any, unique: Callable[[str], str]) -> str:
    """Create a bucket."""
    name = unique("conformance")
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def services_on_standins(clock: ManualClock) -> Iterator[Services]:
    """Services on stand-ins of their own, with Remit's tables and bucket."""
    with Server(DynamoDb().handle) as dynamodb, Server(S3().handle) as s3:
        aws = replace(aws_at(""), endpoints={"dynamodb": dynamodb.url, "s3": s3.url})
        apply(aws, {})
        yield Services(Settings(region=REGION, webhook_networks="127.0.0.0/8"), aws, clock)
