from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from remit.aws.redaction import redact_botocore
from tests.support.aws import aws_at

PLAIN = "whsec_c2VjcmV0LW9mLWEtbWVyY2hhbnQtaGVyZQ=="


class Raw:
    """An answer as urllib3 has it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


@pytest.fixture
def dynamodb() -> Any:
    """A client whose every answer is a merchant with a secret."""
    client = aws_at("http://127.0.0.1:9").client("dynamodb")
    body = b'{"Item":{"id":{"S":"m"},"webhookSecret":{"S":"%s"}}}' % PLAIN.encode()
    answer = AWSResponse("http://127.0.0.1:9", 200, {"x-answer": "shown"}, Raw(body))
    client.meta.events.register("before-send", lambda **_: answer)
    return client


@pytest.fixture(autouse=True)
def _debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "botocore")


def test_bodies_are_not_logged_and_the_rest_is(
    dynamodb: Any, caplog: pytest.LogCaptureFixture
) -> None:
    found = dynamodb.get_item(TableName="Merchants", Key={"id": {"S": "asked-for"}})
    assert found["Item"]["webhookSecret"]["S"] == PLAIN
    assert PLAIN not in caplog.text
    assert "asked-for" not in caplog.text
    for shown in (
        "OperationModel(name=GetItem)",
        "'url': 'http://127.0.0.1:9/'",
        "'X-Amz-Target': 'DynamoDB_20120810.GetItem'",
        "bytes, not shown",
        "'x-answer': 'shown'",
    ):
        assert shown in caplog.text


def test_what_is_written_is_not_logged(dynamodb: Any, caplog: pytest.LogCaptureFixture) -> None:
    dynamodb.put_item(TableName="Merchants", Item={"id": {"S": "m"}, "secret": {"S": PLAIN}})
    assert "OperationModel(name=PutItem)" in caplog.text
    assert PLAIN not in caplog.text


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ((b"secret",), "6 bytes, not shown"),
        ((bytearray(b"secret"),), "6 bytes, not shown"),
        (({"body": "secret", "context": {"params": "secret"}, "method": "POST"},), "POST"),
        (({"body": object()},), "not shown"),
        (({"headers": "all of them"},), "all of them"),
        (("a text",), "a text"),
        ((None,), "None"),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value[0]).__name__,
)
def test_whatever_is_logged_has_no_body(
    arguments: tuple[Any, ...], shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    redact_botocore()
    logging.getLogger("botocore.parsers").debug("%s", *arguments)
    assert shown in caplog.text
    assert "secret" not in caplog.text


def test_to_say_it_twice_changes_nothing() -> None:
    redact_botocore()
    before = list(logging.getLogger("botocore.endpoint").filters)
    redact_botocore()
    assert logging.getLogger("botocore.endpoint").filters == before
