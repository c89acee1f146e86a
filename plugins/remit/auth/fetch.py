"""Fetches a JWKS. For a thread of the background: it waits for the network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from remit.auth.jwks import MAX_JWKS_BYTES
from remit.errors import Transient

if TYPE_CHECKING:  # slow to import, and for those alone who have a URL
    from aiohttp import ClientTimeout

TIMEOUT_SECONDS = 5.0
"""Over connect, TLS, headers and body: a server that drips is as slow as one that hangs."""

_HEADERS = {
    "Accept": "application/jwk-set+json, application/json",
    "Accept-Encoding": "identity",  # what a compressed body would unfold to has no bound
    "User-Agent": "remit",
}


class NotFetched(Transient):
    """A JWKS could not be had from its URL now."""


def fetch(url: str, *, timeout: float = TIMEOUT_SECONDS) -> bytes:
    """The body behind a URL, of at most 256 KiB.

    Redirects are not followed: where they lead, nobody has configured.

    Raises:
        NotFetched: no such answer came in time. The message does not show the URL.
    """
    from aiohttp import ClientError, ClientTimeout

    try:
        return asyncio.run(_fetch(url, ClientTimeout(total=timeout)))
    except TimeoutError:
        raise NotFetched(f"no whole answer within {timeout:g} seconds") from None
    except (ClientError, OSError, ValueError) as error:
        raise NotFetched(f"no answer: {type(error).__name__}") from error


async def _fetch(url: str, limits: ClientTimeout) -> bytes:
    from aiohttp import ClientSession

    async with (
        ClientSession(timeout=limits, trust_env=True) as session,
        session.get(url, headers=_HEADERS, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise NotFetched(f"the answer's status is {answer.status} in place of 200")
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > MAX_JWKS_BYTES:
                raise NotFetched(f"the answer has more than {MAX_JWKS_BYTES} bytes")
        return bytes(body)
