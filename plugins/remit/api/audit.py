"""The route of the audit log: who has changed what of a merchant's, and who was given links."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import WithJsonSchema

from remit.api.answers import Answer
from remit.api.backend import Backend
from remit.api.call import Call, CurrentCall
from remit.api.documents import plain
from remit.api.filters import After, Before, Cursor, Limit, instant_of, only
from remit.api.pages import limit_of, page, place_of
from remit.api.permissions import needs
from remit.audit import AuditLog, Via, Wanted
from remit.aws.items import Item
from remit.clock import format_instant
from remit.errors import FieldError, InvalidRequest

PERMISSION = "audit"

_ACTION = re.compile(r"[a-z_]{1,40}(\.[a-z_]{1,40}){0,5}(\.?\*)?|\*", re.ASCII)

Action = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "pattern": f"^({_ACTION.pattern})$"}),
    Query(description="Only this action, or those that begin so: `exports.*`"),
]

_MEMBERS = {
    "id": "id",
    "at": "at",
    "action": "action",
    "target": "target",
    "result": "result",
    "actor": "actor",
    "via": "via",
    "address": "address",
    "token_id": "tokenID",
    "request_id": "requestID",
    "details": "details",
}
"""Member of an answer to attribute of an entry."""

_TEXT = {"type": "string"}
_MAYBE = {"type": ["string", "null"]}

_ENTRY: dict[str, Any] = {
    "title": "AuditEntry",
    "type": "object",
    "required": list(_MEMBERS),
    "properties": {
        "id": _TEXT,
        "at": {"type": "string", "format": "date-time"},
        "action": {**_TEXT, "description": "What was done, or was asked for"},
        "target": {**_TEXT, "description": "The id of what it was done to"},
        "result": {**_MAYBE, "description": "`done`, or `refused`"},
        "actor": {**_TEXT, "description": "The token's `email`, or the merchant; an operator"},
        "via": {"type": "string", "enum": [via.value for via in Via]},
        "address": {**_MAYBE, "description": "The IP address that the request came from"},
        "token_id": {**_MAYBE, "description": "The token's `jti`"},
        "request_id": {**_MAYBE, "description": "Of the request, or the id of the DAG run"},
        "details": {"type": "object"},
    },
}

_EXAMPLE = {
    "id": "2026-11-23T12:00:00.000000Z#5d0c2f6f1b9a4e37",
    "at": "2026-11-23T12:00:00.000000Z",
    "action": "exports.link.minted",
    "target": "export-01m84ekemg2w5g23n8btf52x14",
    "result": "done",
    "actor": "pay@books.example",
    "via": "hook",
    "address": "203.0.113.7",
    "token_id": "0b9f6b1e",
    "request_id": "7f1d2c9a",
    "details": {
        "files": ["payments_2026-01-01_2026-01-31.csv"],
        "expires_at": "2026-11-23T13:00:00.000000Z",
    },
}

ENTRIES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of entries",
        "content": {
            "application/json": {
                "schema": {
                    "title": "AuditPage",
                    "type": "object",
                    "required": ["data", "next_cursor"],
                    "properties": {
                        "data": {"type": "array", "items": _ENTRY},
                        "next_cursor": _MAYBE,
                    },
                },
                "example": {"data": [_EXAMPLE], "next_cursor": None},
            }
        },
    }
}
"""The answer, as FastAPI's `responses` wants it."""


class AuditApi:
    """What the route does, without HTTP."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def page(self, call: Call, wanted: Wanted, limit: str | None, cursor: str | None) -> Answer:
        """A page of the caller's own entries.

        Raises:
            InvalidRequest: the limit is none, or the cursor.
        """
        scope = {
            "audit": call.merchant_id,
            "action": wanted.action,
            "after": wanted.after and format_instant(wanted.after),
            "before": wanted.before and format_instant(wanted.before),
        }
        place = place_of(cursor, scope, {"id": wanted.bounds()})
        found, last = AuditLog(self._backend.services).page(
            call.merchant_id, wanted, limit=limit_of(limit), after=place["id"] if place else None
        )
        documents = [_document(item) for item in found]
        return Answer(200, page(documents, None if last is None else {"id": last}, scope))


def _document(item: Item) -> dict[str, Any]:
    return {member: plain(item.get(name)) for member, name in _MEMBERS.items()}


def wanted_of(action: str | None, after: str | None, before: str | None) -> Wanted:
    """What is asked for.

    Raises:
        InvalidRequest: the action is none, or an instant.
    """
    if action is not None and not _ACTION.fullmatch(action):
        allowed = "an action such as exports.export.canceled, or what it begins with: exports.*"
        raise InvalidRequest(FieldError("action", "not an action", allowed))
    return Wanted(action, instant_of("after", after), instant_of("before", before))


def router(backend: Backend) -> APIRouter:
    """The route."""
    api = AuditApi(backend)
    permitted = [Depends(needs(PERMISSION))]
    routes = APIRouter(tags=["Audit"], dependencies=permitted)

    @routes.get(
        "/audit",
        summary="Read the audit log",
        responses=ENTRIES,
        dependencies=[Depends(only("action", "after", "before", "limit", "cursor"))],
    )
    async def read_audit_log(
        call: CurrentCall,
        *,
        action: Action = None,
        after: After = None,
        before: Before = None,
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> Response:
        """The merchant's own entries, the newest first; it needs the permission `audit`. A page may
        be shorter than `limit`, or empty, though there are more: there are as long as there is a
        `next_cursor`."""
        wanted = wanted_of(action, after, before)
        return (await backend.run(api.page, call, wanted, limit, cursor)).response()

    return routes
