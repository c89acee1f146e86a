"""Telling the merchant: the event that goes into the outbox together with the job's last move."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

from remit.errors import Refusal
from remit.services import Services
from remit.webhooks.endpoints import endpoints_of
from remit.webhooks.event import EVENT_ID, Event
from remit.webhooks.outbox import actions_for

log = logging.getLogger(__name__)


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

    An export comes to its end whatever can be announced: a queue that is full does not hold it up,
    and what no event can be made of is in the log.
    """
    if not merchant_id:
        return []
    try:
        event = Event(
            id=_event_id(export_id, status),
            type=f"export.{status}",
            merchant_id=merchant_id,
            created_at=services.clock(),
            data={"export_id": export_id, "status": status, **news},
        )
        return actions_for(event, endpoints_of(services.tables, merchant_id), services)
    except Refusal as error:
        log.error("export %r is %s, which is not announced: %s", export_id, status, error)  # noqa: TRY400
        return []


def _event_id(export_id: str, status: str) -> str:
    """The id, with a digest in place of an export's id, from elsewhere, that no event can have."""
    event_id = f"evt-{export_id}-{status}"
    if EVENT_ID.fullmatch(event_id):
        return event_id
    digest = hashlib.sha256(export_id.encode()).hexdigest()
    return f"evt-{digest}-{status}"
