"""Routes of reports: what can be exported."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from remit.api.backend import Backend
from remit.api.call import CurrentCall
from remit.api.filters import only
from remit.api.report_schemas import REPORT, REPORTS


def router(backend: Backend) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["Reports"], dependencies=[Depends(only())])

    @routes.get("/reports", summary="List reports", responses=dict(REPORTS))
    async def list_reports(call: CurrentCall) -> dict[str, Any]:
        """The reports that the token's permissions allow."""
        return await backend.run(lambda: backend.reports.list(call.caller))

    @routes.get("/reports/{name}", summary="Get a report", responses=dict(REPORT))
    async def get_report(call: CurrentCall, name: str) -> dict[str, Any]:
        """One report: its columns with their types and units, its filters, the formats."""
        return await backend.run(lambda: backend.reports.one(call.caller, name))

    return routes
