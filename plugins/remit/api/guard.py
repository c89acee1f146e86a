"""The guard: no request reaches a route without a valid token, but for the few that are public.

It wraps the whole app and fails closed, so that a new route is guarded before anyone thinks of it.
Only the `Authorization` header counts: a cookie would open the hook to other sites' forms.
"""

from __future__ import annotations

import logging

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from remit.api.call import CALLER, route_path, shown_path
from remit.api.problems import problem
from remit.auth import Caller, Verifier
from remit.errors import ConfigurationError, NotAuthenticated, RemitError

log = logging.getLogger(__name__)

PUBLIC = frozenset({"/health", "/health/ready", "/openapi.json", "/docs"})
"""Paths that anybody may read. What they answer is the same for everyone, and no merchant's."""

REFUSED = 1008
"""Why a WebSocket is closed (RFC 6455, 7.4.1: policy violation): no route of the hook has one."""

READING = frozenset({"GET", "HEAD"})


class Guard:
    """ASGI middleware. `verifier` may be the reason why there is none: then nobody is served."""

    def __init__(self, app: ASGIApp, verifier: Verifier | ConfigurationError) -> None:
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": REFUSED})
            return
        if scope["type"] != "http":
            return  # no route of the hook speaks anything else
        if scope["method"] in READING and route_path(scope) in PUBLIC:
            await self._app(scope, receive, send)
            return
        try:
            scope[CALLER] = self._identify(Headers(scope=scope))
        except RemitError as error:
            # The path is the caller's: quoted, so that it cannot forge a line of the log.
            path = shown_path(scope["path"])
            log.warning("refused %s %r: %s", scope["method"], path, error)
            await problem(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _identify(self, headers: Headers) -> Caller:
        if isinstance(self._verifier, ConfigurationError):
            raise self._verifier
        values = headers.getlist("authorization")
        if len(values) != 1:
            raise NotAuthenticated(
                f"{len(values)} Authorization headers, there has to be one (Airflow adds its own "
                "to every request when [core] simple_auth_manager_all_admins is on)"
            )
        scheme, _, token = values[0].partition(" ")
        if scheme.lower() != "bearer" or not token or token != token.strip():
            raise NotAuthenticated("the Authorization header is not 'Bearer <token>'")
        return self._verifier.verify(token)
