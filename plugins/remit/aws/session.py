"""Where AWS clients come from: one botocore session, whoever built it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    ChecksumError,
    ClientError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    NoCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from remit.aws.redaction import redact_botocore
from remit.errors import StoreUnavailable

THROTTLING_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "ThrottlingException",
    }
)
"""Codes of answers that ask to slow down."""

TRANSIENT_CODES = THROTTLING_CODES | frozenset(
    {
        "InternalError",
        "InternalServerError",
        "LimitExceededException",
        "RequestTimeout",
        "ServiceUnavailable",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Patience:
    """How long to wait for AWS, in seconds, and how often to try."""

    connect: float
    dynamodb: float
    s3: float
    attempts: int


FOR_TASKS = Patience(connect=3, dynamodb=20, s3=60, attempts=3)
FOR_REQUESTS = Patience(connect=2, dynamodb=3, s3=3, attempts=2)
"""While somebody waits for an answer, and holds a thread of the API server meanwhile; for KMS also
while webhooks wait that need nothing of it."""

"""Codes of answers that ask for patience; every answer with a status from 500 on does, too."""

OUTAGES = (
    # The way to AWS, and answers that were cut off on it or damaged.
    BotoConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ChecksumError,
    FlexibleChecksumError,
    # Credentials that could not be fetched now.
    NoCredentialsError,
    CredentialRetrievalError,
    MetadataRetrievalError,
    TokenRetrievalError,
    SSOError,
)
"""Errors before or without an answer of AWS that may pass. Every other one of botocore's own is a
mistake in a call or in the configuration, which no waiting mends."""


_UNSIGNED_BODIES = {"payload_signing_enabled": False}
"""TLS keeps a body from being changed on its way, and a checksum, which is signed, goes with each.
To sign the body, too, botocore would hash every part once more."""


@dataclass(frozen=True)
class Aws:
    """A botocore session with the region and, per service, an endpoint of its own if set.

    The Airflow edge builds it from a connection, everything else from the default credentials
    chain (environment, profile, container, instance).
    """

    session: Any
    region: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    patience: Patience = FOR_TASKS

    @classmethod
    def from_environment(cls, region: str) -> Aws:
        """The default credentials chain; `AWS_ENDPOINT_URL*` is honoured by botocore itself."""
        return cls(botocore.session.get_session(), region)

    def client(
        self, service: str, *, connections: int = 10, patience: Patience | None = None
    ) -> Any:
        """A low-level client with bounded waits, those of `patience` in place of its own if there
        is one; `connections` is its pool size."""
        patience = patience or self.patience
        redact_botocore()
        return self.session.create_client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoints.get(service),
            config=Config(
                connect_timeout=patience.connect,
                read_timeout=patience.s3 if service == "s3" else patience.dynamodb,
                retries={"mode": "standard", "total_max_attempts": patience.attempts},
                max_pool_connections=connections,
                signature_version="s3v4" if service == "s3" else None,
                s3=_UNSIGNED_BODIES if service == "s3" and self._s3_is_safe() else None,
            ),
        )

    def _s3_is_safe(self) -> bool:
        """Whether nobody can change a body on its way to S3: over TLS, as always unless an endpoint
        says otherwise, or to a stand-in on this machine."""
        variables = [os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")]
        endpoint = next(filter(None, [self.endpoints.get("s3"), *variables]), "")
        parts = urlsplit(endpoint)
        return parts.scheme != "http" or parts.hostname in _LOOPBACK


@contextmanager
def store_errors(action: str) -> Iterator[None]:
    """Raise `StoreUnavailable` for what may pass; let every other error through unchanged.

    `action` completes the sentence "could not …" for whoever reads the log.
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in TRANSIENT_CODES or status >= 500:
            raise StoreUnavailable(f"could not {action}: {error}") from error
        raise
    except OUTAGES as error:
        raise StoreUnavailable(f"could not {action}: {error}") from error
