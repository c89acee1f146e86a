"""The routes of the OpenAPI document, and of its page for people."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from remit.api.backend import Backend
from remit.api.docs_page import POLICY, page_of
from remit.api.openapi_document import openapi_document

DOCUMENT, PAGE = "/openapi.json", "/docs"


class Described:
    """The document and the page, made once for each place where the hook is mounted."""

    def __init__(self) -> None:
        self._document: dict[str, Any] | None = None
        self._texts: dict[tuple[str, str], bytes] = {}

    def text(self, request: Request, which: str) -> bytes:
        """One of them, as bytes."""
        key = (which, request.scope.get("root_path", ""))
        if key not in self._texts:
            if self._document is None:
                self._document = openapi_document(request.app)
            document = {**self._document, "servers": [{"url": key[1] or "/"}]}
            text = json.dumps(document) if which == DOCUMENT else page_of(document)
            self._texts[key] = text.encode()
        return self._texts[key]


def router(backend: Backend) -> APIRouter:
    """The routes."""
    described = Described()
    routes = APIRouter()

    @routes.head(DOCUMENT, include_in_schema=False)
    @routes.get(DOCUMENT, include_in_schema=False)
    async def describe(request: Request) -> Response:
        text = await backend.run(described.text, request, DOCUMENT)
        return Response(text, media_type="application/json")

    @routes.head(PAGE, include_in_schema=False)
    @routes.get(PAGE, include_in_schema=False)
    async def show(request: Request) -> Response:
        text = await backend.run(described.text, request, PAGE)
        headers = {"Content-Security-Policy": POLICY}
        return Response(text, media_type="text/html", headers=headers)

    return routes
