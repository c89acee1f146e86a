"""Telling the merchant: the event that goes into the outbox together with the job's last move."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remit.services import Services
from remit.webhooks import outbox
from remit.webhooks.endpoints import endpoints_of
from remit.webhooks.event import Event


def announcement(
    services: Services,
    merchant_id: str | None,
    export_id: str,
    status: str,
    news: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """The transaction's actions for `export.<status>`; none without a merchant.

    The event's id is made of the export and the status, so that an export which is produced again
    is announced once. It carries no link: a link is minted when it is asked for.
    """
    if not merchant_id:
        return []
    now = services.clock()
    event = Event(
        id=f"evt-{export_id}-{status}",
        type=f"export.{status}",
        merchant_id=merchant_id,
        created_at=now,
        data={"export_id": export_id, "status": status, **news},
    )
    endpoints = endpoints_of(services.tables, merchant_id)
    return outbox.actions_for(
        event, endpoints, services.tables, now=now, lifetime=services.settings.webhook_lifetime
    )
