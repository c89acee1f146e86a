"""Query pages as raw bytes: signed requests without botocore's parser.

botocore turns every attribute of a page into Python objects, which is the most expensive step of an
export. Here a page stays what DynamoDB sent, JSON text, and only its envelope is looked at.
The request is signed with the session's credentials (refreshed by botocore), and the integrity of
the page is checked against `x-amz-crc32`.
Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
"""

from __future__ import annotations

import json
import logging
import os
import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from remit.aws.pace import Pace
from remit.aws.pages import Page, parse_page
from remit.aws.session import THROTTLING_CODES, TRANSIENT_CODES, Aws, store_errors
from remit.aws.signature import RequestSigner
from remit.clock import system_clock
from remit.errors import ConfigurationError, Interrupted, RemitError, StoreUnavailable
from remit.stop import CHECK_SECONDS, Stop

log = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=10)
"""How long one page is asked for again and again: to give up means to read a slice anew."""

_BACKOFF_BASE_SECONDS = 0.05
_BACKOFF_CAP_SECONDS = 5.0
_AT_ONCE = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
"""botocore sends head and body apart and leaves Nagle's algorithm on: each request would wait for
the acknowledgement of its head, up to 40 ms."""

_DOUBLINGS = 16  # enough to reach the cap


class QueryRefused(RemitError):
    """DynamoDB refused the query for good: no such table or index, or no permission."""


class Throttled(StoreUnavailable):
    """DynamoDB asked to slow down."""


class RawQuery:
    """Sends `Query` requests; one connection pool, safe to use from one thread at a time."""

    def __init__(
        self,
        aws: Aws,
        endpoint: str,
        stop: Stop,
        *,
        pace: Pace | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
        patience: timedelta = PATIENCE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = aws.session.get_credentials()
        if self._credentials is None:
            raise ConfigurationError("there are no AWS credentials")
        self._region = aws.region
        self._url = endpoint.rstrip("/") + "/"  # the path, which a proxy wants to see
        self._http = _http_session(aws, endpoint)
        self._stop = stop
        self._pace = pace or Pace()
        self._uniform = uniform
        self._patience = patience.total_seconds()
        self._monotonic = monotonic

    def pages(
        self,
        request: Mapping[str, Any],
        start_key: Mapping[str, Any] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[Page]:
        """Every page of a query, from `start_key` (exclusive) on.

        A page that fails in passing is asked for again; the pages before it are not. `check` is
        called twice a second while a page is waited for between two requests, and before the
        second one: what it raises ends the query.

        Raises:
            StoreUnavailable: a page failed time and again.
            QueryRefused: the query is wrong or not permitted.
        """
        key = start_key
        while True:
            page = self._page({**request, "ExclusiveStartKey": key} if key else request, check)
            yield page
            key = page.last_key
            if key is None:
                return

    def _page(self, request: Mapping[str, Any], check: Callable[[], None]) -> Page:
        body = json.dumps({**request, "ReturnConsumedCapacity": "TOTAL"}).encode()
        if (seconds := self._pace.wait_seconds()) > 0:
            self._wait(seconds, check)
        give_up_at = self._monotonic() + self._patience
        attempt = 0
        while True:
            try:
                page = self._send(body)
            except StoreUnavailable as error:
                if self._monotonic() >= give_up_at:
                    raise
                attempt += 1
                if isinstance(error, Throttled):
                    self._pace.throttled()
                self._wait(self._back_off(attempt, error), check)
            else:
                self._pace.took(page.capacity_units)
                return page

    def _back_off(self, attempt: int, error: StoreUnavailable) -> float:
        """The seconds to wait. Full jitter: workers that were throttled together do not come back
        together."""
        doubled = _BACKOFF_BASE_SECONDS * 2 ** min(attempt, _DOUBLINGS)
        seconds = self._uniform(0, min(_BACKOFF_CAP_SECONDS, doubled))
        log.warning("page failed (attempt %d), next in %.2f s: %s", attempt, seconds, error)
        return seconds

    def _wait(self, seconds: float, check: Callable[[], None]) -> None:
        while True:
            if self._stop.wait(min(seconds, CHECK_SECONDS)):
                raise Interrupted("asked to stop while waiting for DynamoDB")
            check()
            seconds -= CHECK_SECONDS
            if seconds <= 0:
                return

    def _send(self, body: bytes) -> Page:
        with store_errors("sign a query"):
            frozen = self._credentials.get_frozen_credentials()
        signer = RequestSigner(frozen, "dynamodb", self._region, self._url)
        headers = signer.headers("DynamoDB_20120810.Query", body, system_clock())
        request = AWSRequest("POST", self._url, headers=headers, data=body, stream_output=True)
        try:
            response = self._http.send(request.prepare())
            content: bytes = response.raw.read()
        except (BotoConnectionError, HTTPClientError, HTTPError) as error:
            raise StoreUnavailable(f"could not query DynamoDB: {error}") from error
        if response.status_code != 200:
            raise _refusal(response.status_code, content)
        return parse_page(content, response.headers.get("x-amz-crc32"))


def _http_session(aws: Aws, endpoint: str) -> URLLib3Session:
    """With the proxies and the certificates that botocore's own clients use."""
    bundle = aws.session.get_config_variable("ca_bundle")
    return URLLib3Session(
        verify=bundle or os.environ.get("REQUESTS_CA_BUNDLE") or True,
        proxies=get_environ_proxies(endpoint),
        timeout=(3, 20),
        socket_options=_AT_ONCE,
    )


def _refusal(status: int, content: bytes) -> RemitError:
    try:
        answer = json.loads(content)
        code = str(answer.get("__type", "")).rpartition("#")[2]
        message = answer.get("message") or answer.get("Message") or ""
    except (ValueError, AttributeError):
        code, message = "", content[:200].decode(errors="replace")
    if code in THROTTLING_CODES:
        return Throttled(f"DynamoDB answered {status} {code}: {message}")
    if status >= 500 or code in TRANSIENT_CODES:
        return StoreUnavailable(f"DynamoDB answered {status} {code}: {message}")
    return QueryRefused(f"DynamoDB refused the query with {status} {code}: {message}")
