"""Endpoints as stored: read for a merchant, created, changed, rotated, disabled."""

from __future__ import annotations

import logging

from remit.aws.tables import Tables
from remit.clock import format_instant
from remit.services import Services
from remit.webhooks.endpoint import DEFAULT_ENDPOINT, Endpoint, endpoints_in

log = logging.getLogger(__name__)


def endpoints_of(tables: Tables, merchant_id: str) -> list[Endpoint]:
    """A merchant's endpoints, disabled ones too; none if it has no `webhookURL` and no record."""
    merchant = tables.merchants.get(merchant_id)
    records = tables.endpoints.query("#merchantID = :merchant", {"merchant": merchant_id})
    return endpoints_in(merchant, records)


def disable(services: Services, key: tuple[str, str], reason: str, actor: str) -> None:
    """Stop sending to an endpoint; what is published for it meanwhile is kept for a replay.

    Raises:
        ConditionFailed: it is disabled already, or not there any more.
        StoreUnavailable: nothing was written.
    """
    now = format_instant(services.clock())
    there = "attribute_not_exists(#url)" if key[1] == DEFAULT_ENDPOINT else "attribute_exists(#url)"
    services.tables.endpoints.update(
        key,
        set={"disabledReason": reason, "disabledAt": now, "updatedAt": now},
        condition=f"{there} AND attribute_not_exists(#disabledReason)",
    )
    log.warning("endpoint %s of %s is disabled by %s: %s", key[1], key[0], actor, reason)
