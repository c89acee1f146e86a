"""What holds for every request and every answer, refused ones too: an id, and headers."""

from __future__ import annotations

import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remit.api.call import REQUEST_ID


class Conduct:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        scope[REQUEST_ID] = secrets.token_hex(16)

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Answers hold links that open a merchant's files: no cache may keep them.
                MutableHeaders(scope=message)["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, send_on)
