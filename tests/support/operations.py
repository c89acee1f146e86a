"""What the hook can be asked, and which permission each request needs: a table for the tests, and
that of docs/api.md."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

OF_THE_REPORT = "the report's"
"""The permission that the report of the export names."""

LISTS_OWN = "none: it lists what the token may see"
PUBLIC = "no token"

WEBHOOKS, EVENTS, SCHEDULES, AUDIT = "`webhooks`", "`events`", "`schedules`", "`audit`"
SCHEDULED = "`schedules`, and the report's"

OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        "POST /payments/export": OF_THE_REPORT,
        "GET /exports": LISTS_OWN,
        "GET /exports/{export}": OF_THE_REPORT,
        "GET /exports/{export}/download": OF_THE_REPORT,
        "POST /exports/{export}/cancel": OF_THE_REPORT,
        "POST /exports/{export}/retry": OF_THE_REPORT,
        "GET /reports": LISTS_OWN,
        "GET /reports/{name}": OF_THE_REPORT,
        "POST /schedules": SCHEDULED,
        "GET /schedules": SCHEDULES,
        "GET /schedules/{schedule}": SCHEDULED,
        "PATCH /schedules/{schedule}": SCHEDULED,
        "POST /schedules/{schedule}/pause": SCHEDULED,
        "POST /schedules/{schedule}/resume": SCHEDULED,
        "DELETE /schedules/{schedule}": SCHEDULED,
        "POST /webhooks/endpoints": WEBHOOKS,
        "GET /webhooks/endpoints": WEBHOOKS,
        "GET /webhooks/endpoints/{endpoint}": WEBHOOKS,
        "PATCH /webhooks/endpoints/{endpoint}": WEBHOOKS,
        "DELETE /webhooks/endpoints/{endpoint}": WEBHOOKS,
        "POST /webhooks/endpoints/{endpoint}/disable": WEBHOOKS,
        "POST /webhooks/endpoints/{endpoint}/enable": WEBHOOKS,
        "POST /webhooks/endpoints/{endpoint}/rotate-secret": WEBHOOKS,
        "POST /webhooks/endpoints/{endpoint}/test": WEBHOOKS,
        "GET /webhooks": WEBHOOKS,
        "GET /webhooks/{webhook}": WEBHOOKS,
        "POST /webhooks/{webhook}/replay": WEBHOOKS,
        "POST /webhooks/replay": WEBHOOKS,
        "GET /webhooks/replays/{replay}": WEBHOOKS,
        "POST /events": EVENTS,
        "POST /events/batch": EVENTS,
        "GET /audit": AUDIT,
        "GET /health": PUBLIC,
        "GET /health/ready": PUBLIC,
        "GET /openapi.json": PUBLIC,
        "GET /docs": PUBLIC,
    }
)
"""Method and path, in the order of the page, to the permission that a token needs."""
