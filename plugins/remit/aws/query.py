"""Query pages as raw bytes: signed requests without botocore's parser.

botocore turns every attribute of a page into Python objects, which is the most expensive step of an
export. Here a page stays what DynamoDB sent, JSON text, and only its envelope is looked at.
The request is signed with botocore's own signer and the session's credentials (refreshed by
botocore), and its integrity is checked against `x-amz-crc32`.
Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
"""

from __future__ import annotations

import json
import logging
import random
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session

from remit.aws.session import TRANSIENT_CODES, Aws, store_errors
from remit.errors import ConfigurationError, Interrupted, RemitError, StoreUnavailable
from remit.stop import Stop

log = logging.getLogger(__name__)

_ATTEMPTS = 8
_BACKOFF_BASE_SECONDS = 0.05
_BACKOFF_CAP_SECONDS = 5.0


class QueryRefused(RemitError):
    """DynamoDB refused the query for good: no such table or index, or no permission."""


@dataclass(frozen=True)
class Page:
    """One answer to `Query`: the JSON text as sent, and what its envelope says."""

    text: str
    count: int
    capacity_units: float
    last_key: dict[str, Any] | None


class _Envelope(msgspec.Struct):
    Count: int
    ConsumedCapacity: dict[str, Any] | None = None
    LastEvaluatedKey: dict[str, Any] | None = None


class RawQuery:
    """Sends `Query` requests; one connection pool, safe to use from one thread at a time."""

    def __init__(
        self,
        aws: Aws,
        endpoint: str,
        stop: Stop,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._credentials = aws.session.get_credentials()
        if self._credentials is None:
            raise ConfigurationError("there are no AWS credentials")
        self._region = aws.region
        self._url = endpoint
        self._http = URLLib3Session(timeout=(3, 20))
        self._stop = stop
        self._uniform = uniform

    def pages(
        self, request: Mapping[str, Any], start_key: Mapping[str, Any] | None = None
    ) -> Iterator[Page]:
        """Every page of a query, from `start_key` (exclusive) on.

        A page that fails in passing is asked for again; the pages before it are not.

        Raises:
            StoreUnavailable: a page failed time and again.
            QueryRefused: the query is wrong or not permitted.
        """
        key = start_key
        while True:
            page = self._page({**request, "ExclusiveStartKey": key} if key else dict(request))
            yield page
            key = page.last_key
            if key is None:
                return

    def _page(self, request: dict[str, Any]) -> Page:
        body = json.dumps({**request, "ReturnConsumedCapacity": "TOTAL"}).encode()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._send(body)
            except StoreUnavailable as error:
                if attempt == _ATTEMPTS:
                    raise
                ceiling = min(_BACKOFF_CAP_SECONDS, _BACKOFF_BASE_SECONDS * 2**attempt)
                wait = self._uniform(0, ceiling)
                log.warning("page failed (attempt %d), next in %.2f s: %s", attempt, wait, error)
                if self._stop.wait(wait):
                    raise Interrupted("asked to stop while DynamoDB did not answer") from error
        raise AssertionError("unreachable")

    def _send(self, body: bytes) -> Page:
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "DynamoDB_20120810.Query",
        }
        request = AWSRequest("POST", self._url, headers=headers, data=body)
        with store_errors("sign a query"):
            frozen = self._credentials.get_frozen_credentials()
        SigV4Auth(frozen, "dynamodb", self._region).add_auth(request)
        try:
            response = self._http.send(request.prepare())
            content: bytes = response.content
        except (BotoConnectionError, HTTPClientError) as error:
            raise StoreUnavailable(f"could not query DynamoDB: {error}") from error
        if response.status_code != 200:
            raise _refusal(response.status_code, content)
        return _parse(content, response.headers.get("x-amz-crc32"))


def _parse(content: bytes, crc32: str | None) -> Page:
    if crc32 is not None and zlib.crc32(content) != int(crc32):
        raise StoreUnavailable("a page arrived damaged (its CRC32 does not match)")
    try:
        envelope = msgspec.json.decode(content, type=_Envelope)
        text = content.decode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreUnavailable(f"a page is not a JSON answer to Query: {error}") from error
    capacity = (envelope.ConsumedCapacity or {}).get("CapacityUnits", 0.0)
    return Page(text, envelope.Count, capacity, envelope.LastEvaluatedKey)


def _refusal(status: int, content: bytes) -> RemitError:
    try:
        answer = json.loads(content)
        code = str(answer.get("__type", "")).rpartition("#")[2]
        message = answer.get("message") or answer.get("Message") or ""
    except (ValueError, AttributeError):
        code, message = "", content[:200].decode(errors="replace")
    if status >= 500 or code in TRANSIENT_CODES:
        return StoreUnavailable(f"DynamoDB answered {status} {code}: {message}")
    return QueryRefused(f"DynamoDB refused the query with {status} {code}: {message}")
