"""`Idempotency-Key`: the same request twice is done once, and answered twice.
Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from remit.api.answers import Answer
from remit.api.backend import Backend
from remit.api.call import Call


@dataclass(frozen=True)
class Operation:
    """What a request does, the same however often it is sent with one key: whatever it creates
    takes its id from `id` (32 hexadecimal digits) and its time from `at`, so that one that was
    broken off is gone on with, and not done again."""

    id: str
    at: datetime


class Idempotency:
    """Does operations once."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def once(
        self,
        request: Request,
        call: Call,
        values: Mapping[str, Any],
        do: Callable[[Operation], Answer],
    ) -> Response:
        """Do an operation on a thread, or give the answer again that it had.

        `values` is what the request says, for the fingerprint: the same key with another path or
        other values is refused. Without the header the operation is a new one.

        Raises:
            InvalidRequest: the key is no key, or was used for another request.
            Conflict: the first request is still under way.
        """
        now = self._backend.services.clock
        answer = await self._backend.run(lambda: do(Operation(secrets.token_hex(16), now())))
        return answer.response()
