from __future__ import annotations

import asyncio

from anyio import to_thread
from fastapi import Request

from remit.api.parameters import AT_ONCE, json_object


async def test_a_large_body_is_read_without_the_threads_of_others() -> None:
    body = b'{"text": "%s"}' % (b"x" * AT_ONCE)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    theirs = to_thread.current_default_thread_limiter()
    holders = [object() for _ in range(int(theirs.available_tokens))]
    for holder in holders:
        theirs.acquire_on_behalf_of_nowait(holder)
    try:
        async with asyncio.timeout(10):
            found = await json_object(Request({"type": "http"}, receive))
    finally:
        for holder in holders:
            theirs.release_on_behalf_of(holder)
    assert len(found["text"]) == AT_ONCE
