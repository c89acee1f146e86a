"""Endpoints as stored: read for a merchant, created, changed, rotated, disabled."""

from __future__ import annotations

from remit.aws.tables import Tables
from remit.webhooks.endpoint import Endpoint, endpoints_in


def endpoints_of(tables: Tables, merchant_id: str) -> list[Endpoint]:
    """A merchant's endpoints, disabled ones too; none if it has no `webhookURL` and no record."""
    merchant = tables.merchants.get(merchant_id)
    records = tables.endpoints.query("#merchantID = :merchant", {"merchant": merchant_id})
    return endpoints_in(merchant, records)
