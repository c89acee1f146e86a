"""Permissions that all routes of a resource need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remit.api.call import CurrentCall
from remit.auth import Caller
from remit.errors import NotPermitted


def require(caller: Caller, permission: str) -> None:
    """Raises:
    NotPermitted: the token lacks the permission.
    """
    if not caller.may(permission):
        raise NotPermitted(f"the token lacks the permission {permission!r}")


def needs(permission: str) -> Callable[[CurrentCall], Any]:
    """A dependency of routes for which a token has to have a permission. It comes before their own:
    whoever may not call a route is not told what was wrong with the request."""

    async def check(call: CurrentCall) -> None:
        require(call.caller, permission)

    return check
