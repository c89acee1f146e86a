"""DynamoDB by raw signed requests on an event loop, for work whose cost is counted in microseconds.

botocore checks, serializes and parses every attribute by rules that it looks up each time: some
hundred microseconds per record. Here a request is a plain mapping and an answer what its JSON says;
botocore still finds the credentials.
Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import secrets
import ssl
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from botocore.utils import get_environ_proxies
from isal import isal_zlib
from yarl import URL

from remit.aws.session import TRANSIENT_CODES, Aws, store_errors
from remit.aws.signature import RequestSigner
from remit.aws.transactions import TRANSIENT_REASONS, reasons_of
from remit.clock import Clock, system_clock
from remit.connections import PROTOCOL_ERRORS, Connections, Route
from remit.deadlines import Deadlines
from remit.errors import (
    ConditionFailed,
    ConfigurationError,
    RecordRefused,
    RemitError,
    StoreUnavailable,
)

log = logging.getLogger(__name__)

TRIES = 6
"""Of one request at the least. With full jitter the waits between them are 1.5 s together on
average, 3 s at the most."""

TIMEOUT_SECONDS = 8.0
"""Of one try."""

_FIRST_WAIT_SECONDS = 0.1
_DOUBLINGS = TRIES - 2
_CONNECT_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=3)
_MOST_BYTES = 1 << 26  # of an answer: those of DynamoDB have 16 MB at the most
_CREDENTIALS_SECONDS = 30.0  # botocore renews them minutes before they end
# aiohttp would ask for gzip, and DynamoDB's CRC32 is that of the compressed bytes.
_HEADERS = {"Accept-Encoding": "identity"}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

Reasons = list[str | None]
"""One code per action of a canceled transaction; None: it is not why."""


class WireRefused(RemitError):
    """DynamoDB refused a request for good: no such table, no permission, a mistake in the call."""


class Wire:
    """One pool of connections. Use as an asynchronous context manager, on one event loop.

    A request is tried `tries` times at the least, for `timeout` seconds each.
    """

    def __init__(
        self,
        aws: Aws,
        endpoint: str,
        *,
        tries: int = TRIES,
        timeout: float = TIMEOUT_SECONDS,
        clock: Clock = system_clock,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._credentials = aws.session.get_credentials()
        if self._credentials is None:
            raise ConfigurationError("there are no AWS credentials")
        self._aws = aws
        self._url = endpoint.rstrip("/") + "/"
        self._clock = clock
        self._uniform = uniform
        # As botocore's own clients have it.
        proxy = get_environ_proxies(endpoint).get(urlsplit(endpoint).scheme)
        self._proxy = None if proxy is None else URL(proxy)
        self._tries = tries
        self._deadlines = Deadlines(timeout)
        self._signer: RequestSigner | None = None
        self._signer_until = 0.0

    async def __aenter__(self) -> Wire:
        self._connector = aiohttp.TCPConnector(limit=0, ssl=self._tls())
        self._connections = Connections(self._connector, _CONNECT_TIMEOUT)
        self._route = Route(URL(self._url), _HEADERS, self._proxy)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._connector.close()

    def _tls(self) -> ssl.SSLContext | bool:
        if not self._url.startswith("https:"):
            return True  # never looked at, and a context takes a while to make
        bundle = self._aws.session.get_config_variable("ca_bundle")
        return ssl.create_default_context(cafile=bundle or None)

    async def call(
        self, operation: str, request: Mapping[str, Any], patience: float = 0.0
    ) -> dict[str, Any]:
        """One operation.

        Raises:
            StoreUnavailable: it failed time and again, and for `patience` seconds at the least.
            ConditionFailed: the condition of a write does not hold.
            RecordRefused: DynamoDB does not take the values (`ValidationException`).
            WireRefused: it is wrong or not permitted.
        """
        answer = await self._answer(operation, _encode(request), patience)
        if "CancellationReasons" in answer:
            raise WireRefused(f"DynamoDB canceled a {operation}: {answer}")
        return answer

    async def transact(
        self, actions: Sequence[Mapping[str, Any]], patience: float = 0.0
    ) -> Reasons | None:
        """Do all actions (at most 100) or none: None, or the reasons why they were not done.

        An answer that was lost does no harm: the token makes the repetition the same transaction.

        Raises:
            StoreUnavailable: it failed time and again, and for `patience` seconds at the least.
            RecordRefused: DynamoDB does not take the values, and does not say whose.
        """
        request = {"TransactItems": actions, "ClientRequestToken": secrets.token_hex(16)}
        answer = await self._answer("TransactWriteItems", _encode(request), patience)
        return reasons_of(answer) if "CancellationReasons" in answer else None

    async def _answer(self, operation: str, body: bytes, patience: float) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        for tries in itertools.count(1):
            try:
                return await self._send(operation, body)
            except StoreUnavailable as error:
                if tries >= self._tries and loop.time() >= until:
                    raise
                wait = self._uniform(0, _FIRST_WAIT_SECONDS * 2 ** min(tries - 1, _DOUBLINGS))
                log.warning("%s failed, again in %.2f s: %s", operation, wait, error)
                await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def _send(self, operation: str, body: bytes) -> dict[str, Any]:
        signer = await self._current_signer()
        headers = signer.headers(f"DynamoDB_20120810.{operation}", body, self._clock())
        try:
            response = await self._deadlines.run(
                self._connections.post(self._route, headers, body, limit=_MOST_BYTES)
            )
        except (aiohttp.ClientError, *PROTOCOL_ERRORS, TimeoutError, OSError) as error:
            raise StoreUnavailable(f"could not reach DynamoDB: {error!r}") from error
        content = response.content
        crc32 = response.headers.get("x-amz-crc32")
        if crc32 is not None and str(isal_zlib.crc32(content)) != crc32:
            raise StoreUnavailable("an answer arrived damaged (its CRC32 does not match)")
        try:
            answer = _decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreUnavailable(f"an answer is no JSON object: {error}") from error
        return answer if response.status == 200 else _failed(response.status, answer)

    async def _current_signer(self) -> RequestSigner:
        """Asked for on a thread: an instance's metadata or STS may take a while to answer."""
        loop = asyncio.get_running_loop()
        if self._signer is None or loop.time() >= self._signer_until:
            with store_errors("sign a request"):
                frozen = await asyncio.to_thread(self._credentials.get_frozen_credentials)
            self._signer = RequestSigner(frozen, "dynamodb", self._aws.region, self._url)
            self._signer_until = loop.time() + _CREDENTIALS_SECONDS
        return self._signer


def _failed(status: int, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The reasons of a canceled transaction, as an answer; every other failure is raised."""
    code = str(answer.get("__type", "")).rpartition("#")[2]
    message = answer.get("message") or answer.get("Message") or ""
    if code == "TransactionCanceledException":
        reasons = reasons_of(answer)
        if reasons and {reason for reason in reasons if reason} <= _PASSING:
            raise StoreUnavailable(f"DynamoDB canceled a transaction: {set(reasons)}")
        return dict(answer)
    said = f"DynamoDB answered {status} {code}: {message}"
    if status >= 500 or code in TRANSIENT_CODES:
        raise StoreUnavailable(said)
    if code == "ConditionalCheckFailedException":
        raise ConditionFailed(said)
    if code == "ValidationException":
        raise RecordRefused(said)
    raise WireRefused(said)


_PASSING = TRANSIENT_REASONS - {"TransactionConflict"}
"""Reasons that pass by waiting. Another transaction on a record is the other's claim of it."""
