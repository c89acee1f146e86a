"""Where AWS clients come from: one botocore session, whoever built it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from remit.errors import StoreUnavailable

TRANSIENT_CODES = frozenset(
    {
        "InternalError",
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


@dataclass(frozen=True)
class Aws:
    """A botocore session with the region and, per service, an endpoint of its own if set.

    The Airflow edge builds it from a connection, everything else from the default credentials
    chain (environment, profile, container, instance).
    """

    session: Any
    region: str
    endpoints: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_environment(cls, region: str) -> Aws:
        """The default credentials chain; `AWS_ENDPOINT_URL*` is honoured by botocore itself."""
        return cls(botocore.session.get_session(), region)

    def client(self, service: str, *, connections: int = 10, read_timeout: float = 20) -> Any:
        """A low-level client with bounded waits; `connections` is its pool size."""
        return self.session.create_client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoints.get(service),
            config=Config(
                connect_timeout=3,
                read_timeout=read_timeout,
                retries={"mode": "standard", "total_max_attempts": 3},
                max_pool_connections=connections,
                signature_version="s3v4" if service == "s3" else None,
            ),
        )


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
    except (BotoConnectionError, HTTPClientError, NoCredentialsError) as error:
        raise StoreUnavailable(f"could not {action}: {error}") from error
    except BotoCoreError as error:
        raise StoreUnavailable(f"could not {action}: {type(error).__name__}: {error}") from error
