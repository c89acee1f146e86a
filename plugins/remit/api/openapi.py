"""The OpenAPI document, and its pages."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from remit.api.backend import Backend


def router(backend: Backend) -> APIRouter:  # noqa: ARG001 - every resource is given it
    """The routes."""
    routes = APIRouter()

    @routes.get("/openapi.json", include_in_schema=False)
    async def describe(request: Request) -> dict[str, Any]:
        mounted_at = request.scope.get("root_path", "")
        return {**request.app.openapi(), "servers": [{"url": mounted_at or "/"}]}

    return routes
