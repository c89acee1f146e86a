"""A request that was let in: whose token it has, and where it came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope

from remit.audit import Actor, Via
from remit.auth import Caller

REQUEST_ID = "remit.request_id"
CALLER = "remit.caller"
ANSWER_HEADERS = "remit.answer_headers"
"""Members of an ASGI scope: what the middleware around the app has found out. The last one is a
dictionary of headers, by name, that the answer is to have, whichever it will be."""


@dataclass(frozen=True)
class Call:
    """One request."""

    caller: Caller
    request_id: str
    address: str | None
    """The IP address of the client, as far as the server knows it."""

    @property
    def merchant_id(self) -> str:
        """Whose data it is about: the token alone says so."""
        return self.caller.merchant_id

    @property
    def actor(self) -> Actor:
        """Who the audit log says it was."""
        return Actor(
            name=self.caller.email or self.caller.merchant_id,
            via=Via.HOOK,
            address=self.address,
            token_id=self.caller.token_id,
            request_id=self.request_id,
        )


def call_in(scope: Scope) -> Call:
    """The request of an ASGI scope that the guard let in."""
    client = scope.get("client")
    return Call(scope[CALLER], scope[REQUEST_ID], client[0] if client else None)


async def call_of(request: Request) -> Call:
    """The request as routes see it."""
    return call_in(request.scope)


def route_path(scope: Scope) -> str:
    """The path as the app's routes have it, without where the app is mounted."""
    path: str = scope["path"]
    mounted_at: str = scope.get("root_path", "")
    return path.removeprefix(mounted_at) if path.startswith(f"{mounted_at}/") else path


_SHOWN_CHARACTERS = 200
_SECRET = re.compile(r"(?<![A-Za-z0-9])(?:ey[\w-]{8,}|whsec_)[^\s/]*")
"""What begins as the JSON of a token does in base64, or as a secret of an endpoint."""


def shown_path(path: str) -> str:
    """A path as logs and the audit log may have it: of bounded length, and without what a caller
    has put into the wrong place. It is cut first: the rest of a token that is cut has no form."""
    shown = path[:_SHOWN_CHARACTERS]
    return _SECRET.sub("[hidden]", shown) + ("…" if len(path) > _SHOWN_CHARACTERS else "")


async def root_of(request: Request) -> str:
    """Where the hook is mounted. Asynchronous: FastAPI does others on threads of Airflow's."""
    root: str = request.scope.get("root_path", "")
    return root


Root = Annotated[str, Depends(root_of)]
"""What a route declares to be told where the hook is mounted."""

CurrentCall = Annotated[Call, Depends(call_of)]
"""What a route declares to be given the call."""
