"""AWS as the tests have it: moto's server, reached over HTTP as the real one would be."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.request import Request, urlopen

import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from remit.aws.cloudformation import apply
from remit.aws.session import Aws
from remit.services import Services
from remit.settings import Settings
from tests.support.clock import ManualClock

REGION = "us-east-1"


def aws_at(endpoint: str) -> Aws:
    """AWS behind one endpoint, with credentials that are worth nothing anywhere else."""
    session = botocore.session.Session()
    session.set_credentials("testing", "testing")
    return Aws(session, REGION, {"dynamodb": endpoint, "s3": endpoint})


def empty_tables(endpoint: str) -> Aws:
    """Forget everything that the server holds and create the tables and the bucket anew."""
    urlopen(Request(f"{endpoint}/moto-api/reset", method="POST"), timeout=10).close()  # noqa: S310
    aws = aws_at(endpoint)
    apply(aws, {})
    return aws


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    """The URL of a moto server; about a second to start, so there is one per session."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def clock() -> ManualClock:
    """The clock of `services`."""
    return ManualClock()


@pytest.fixture
def services(aws_server: str, clock: ManualClock) -> Services:
    """Services on empty tables and an empty bucket; `http://` webhooks are allowed."""
    settings = Settings(region=REGION, webhook_allow_http=True)
    return Services(settings, empty_tables(aws_server), clock)
