"""How many exports of a merchant are under way, and the limit beyond which no more are taken.

A job that is pending or processing carries `activeFor`, its merchant; the sparse index `gsi-active`
then holds exactly those jobs. They are counted there, by keys alone: up to the limit, that is half
a read unit. The index is late by milliseconds, so requests that come together may pass the limit by
as many as they are. Jobs of the platform's own service are not the hook's, and are not counted.
"""

from __future__ import annotations

from datetime import timedelta

from remit.errors import TooManyExports
from remit.services import Services

ATTRIBUTE = "activeFor"
INDEX = "gsi-active"

RETRY_AFTER = timedelta(seconds=30)
"""A small export takes less."""


def check_active_exports(services: Services, merchant_id: str) -> None:
    """Let one more export of a merchant pass.

    Raises:
        TooManyExports: as many as may be are pending or processing.
        StoreUnavailable: they could not be counted.
    """
    limit = services.settings.max_active_exports
    active = services.tables.export_jobs.count(
        f"#{ATTRIBUTE} = :merchant", {"merchant": merchant_id}, most=limit, index=INDEX
    )
    if active >= limit:
        raise TooManyExports(merchant_id, limit=limit, retry_after=RETRY_AFTER)
