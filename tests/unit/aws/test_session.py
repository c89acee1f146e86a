from __future__ import annotations

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
    UnauthorizedSSOTokenError,
)

from remit.aws.session import FOR_TASKS, TRANSIENT_CODES, Patience, store_errors
from remit.errors import StoreUnavailable
from tests.support.aws import aws_at

URL = "http://127.0.0.1:1"


def refusal(code: str, status: int = 400) -> ClientError:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetItem")


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url=URL),
        ConnectTimeoutError(endpoint_url=URL),
        ReadTimeoutError(endpoint_url=URL),
        ResponseStreamingError(error="cut off"),
        ChecksumError(checksum_type="crc32", expected_checksum=1, actual_checksum=2),
        NoCredentialsError(),
        CredentialRetrievalError(provider="container", error_msg="no answer"),
        UnauthorizedSSOTokenError(),
        refusal("SomethingNew", 503),
        *map(refusal, sorted(TRANSIENT_CODES)),
    ],
    ids=str,
)
def test_what_may_pass_is_an_outage(error: Exception) -> None:
    outage = pytest.raises(StoreUnavailable, match="could not read Payments: ")
    with outage as caught, store_errors("read Payments"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        ParamValidationError(report="Invalid type for parameter Key"),
        NoRegionError(),
        PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        BotoCoreError(),
        refusal("ValidationException"),
        refusal("AccessDeniedException"),
        TypeError("a float has no exact DynamoDB type"),
    ],
    ids=str,
)
def test_a_mistake_passes_through_unchanged(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, store_errors("read Payments"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("patience", [None, Patience(connect=1, dynamodb=2, s3=4, attempts=5)])
@pytest.mark.parametrize("service", ["kms", "s3"])
def test_a_client_waits_as_long_as_it_is_told_to(service: str, patience: Patience | None) -> None:
    config = aws_at(URL).client(service, patience=patience).meta.config
    wanted = patience or FOR_TASKS
    assert config.connect_timeout == wanted.connect
    assert config.read_timeout == (wanted.s3 if service == "s3" else wanted.dynamodb)
    assert config.retries["total_max_attempts"] == wanted.attempts
