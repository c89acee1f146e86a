"""A merchant's webhooks, the newest first, page by page; and one of them with its attempts.

They are read from `gsi-merchant-created`, which has keys alone and no write of Remit ever moves:
what became of a webhook is read from its record. The index is in the order of `createdAt` as text.
Remit's own are all in UTC; the platform's records may have any offset, and come as their local time
would: up to 14 hours from where they belong. A window of time is right for them all the same. What
has no such text is in no list, and is found by its id alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from remit.aws.items import Item
from remit.aws.limits import MAX_KEY_BYTES
from remit.aws.newest import created_bounds, created_within, newest
from remit.clock import format_instant
from remit.errors import FieldError, InvalidRequest, NotFound
from remit.services import Services
from remit.webhooks.endpoint import DEFAULT_ENDPOINT, ENDPOINT_ID, matches
from remit.webhooks.endpoint_records import check_merchant
from remit.webhooks.endpoint_request import is_event_pattern, shown
from remit.webhooks.event import EVENT_ID
from remit.webhooks.policy import Status
from remit.webhooks.record import Unsendable, payload_in

STATUSES = tuple(status.value for status in Status)

MOST_ATTEMPTS = 100
"""Of one webhook, that are shown: Remit's own schedule makes 33 at the most in a lifetime."""

_ROUNDS = 10  # of reading, for one page, however few of them match

_ATTRIBUTES = (
    "merchantID",
    "eventType",
    "eventID",
    "endpointID",
    "status",
    "attempts",
    "replays",
    "createdAt",
    "updatedAt",
    "lastAttempt",
    "nextRetry",
    "responseCode",
    "lastError",
    "reasonCode",
    "reason",
    "dueShard",
    "dueAt",
    "claim",
)
"""What is shown of a webhook in a list: its payload, which the platform's own carry, is not."""


@dataclass(frozen=True)
class WebhookFilter:
    """Which webhooks: created at `created_after` or later, and before `created_before`. `type` is a
    pattern as of an endpoint's own filter. What is None is any."""

    endpoint_id: str | None = None
    status: str | None = None
    type: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether every webhook is wanted."""
        return self == WebhookFilter()

    def wants(self, record: Item) -> bool:
        """Whether a record is one of them."""
        return (
            self.endpoint_id in (None, record.get("endpointID", DEFAULT_ENDPOINT))
            and self.status in (None, record.get("status"))
            and (self.type is None or matches(self.type, str(record.get("eventType", ""))))
            and created_within(record, self.created_after, self.created_before)
        )

    def bounds(self) -> tuple[str, str]:
        """The part of the index that they lie in, whatever the offsets."""
        return created_bounds(self.created_after, self.created_before)


@dataclass(frozen=True)
class WebhookPage:
    """Some webhooks, as records without their payloads. `last` is the place after which the next
    page starts; None: there is no more. A page may have fewer than were asked for, or none."""

    records: list[Item] = field(repr=False)
    last: Item | None = field(repr=False)


@dataclass(frozen=True)
class WebhookDetails:
    """One webhook. `attempts` are those that are kept, the newest last; `more_attempts` says that
    there are older ones. `payload` is the text that is sent; None: its event is gone."""

    record: Item = field(repr=False)
    attempts: list[Item] = field(repr=False)
    more_attempts: bool
    payload: str | None = field(repr=False)


def check_webhook_filter(wanted: WebhookFilter) -> None:
    """Refuse what no webhook can be.

    Raises:
        InvalidRequest: at least one field is wrong; all of them are named.
    """
    errors = []
    if wanted.endpoint_id is not None and ENDPOINT_ID.fullmatch(wanted.endpoint_id) is None:
        message = f"{shown(wanted.endpoint_id)} is no endpoint's id"
        errors.append(FieldError("endpoint", message, f"{DEFAULT_ENDPOINT}, or ep-…"))
    if wanted.status is not None and wanted.status not in STATUSES:
        errors.append(FieldError("status", f"{shown(wanted.status)} is unknown", STATUSES))
    if wanted.type is not None and not is_event_pattern(wanted.type):
        message = f"{shown(wanted.type)} is not an event pattern"
        errors.append(FieldError("type", message, "payment.succeeded, payment.*, or *"))
    after, before = wanted.created_after, wanted.created_before
    if after is not None and before is not None and before <= after:
        message = f"{format_instant(before)} is not after created_after"
        allowed = f"an instant after {format_instant(after)}"
        errors.append(FieldError("created_before", message, allowed))
    if errors:
        raise InvalidRequest(*errors)


def list_webhooks(
    services: Services,
    merchant_id: str,
    wanted: WebhookFilter,
    *,
    limit: int,
    start: Mapping[str, Any] | None = None,
) -> WebhookPage:
    """A page of a merchant's webhooks, of `limit` at the most. However few match, no more than
    a thousand records are looked at: then the page ends early, and has a next one. `start` is a
    place that a page has named, within the bounds of the filter.

    Raises:
        InvalidRequest: a field of the filter is wrong.
        StoreUnavailable: they could not be read.
    """
    check_merchant(merchant_id)
    check_webhook_filter(wanted)
    found, last = newest(
        services.tables.webhooks,
        merchant_id,
        wanted.wants,
        attributes=_ATTRIBUTES,
        bounds=wanted.bounds(),
        limit=limit,
        start=start,
        rounds=_ROUNDS,
        look=limit if wanted.is_open else None,
    )
    return WebhookPage(found, last)


def webhook_of(services: Services, merchant_id: str, webhook_id: str) -> Item:
    """The record of one webhook.

    Raises:
        InvalidRequest: no merchant can have such an id.
        NotFound: the merchant has no such webhook.
    """
    check_merchant(merchant_id)
    sane = webhook_id.isprintable() and 0 < len(webhook_id.encode()) <= MAX_KEY_BYTES
    record = services.tables.webhooks.get(webhook_id) if sane else None
    if record is None or record.get("merchantID") != merchant_id:
        raise NotFound(f"there is no webhook {shown(webhook_id)}")
    return record


def find_webhook(services: Services, merchant_id: str, webhook_id: str) -> WebhookDetails:
    """One webhook with its attempts and its payload.

    Raises:
        InvalidRequest, NotFound: see `webhook_of`.
        StoreUnavailable: something of it could not be read.
    """
    record = webhook_of(services, merchant_id, webhook_id)
    newest = services.tables.attempts.query(
        "#webhookID = :webhook", {"webhook": webhook_id}, limit=MOST_ATTEMPTS + 1, descending=True
    )
    attempts = list(newest)
    kept = attempts[MOST_ATTEMPTS - 1 :: -1]  # the oldest of them first
    return WebhookDetails(
        record, kept, len(attempts) > MOST_ATTEMPTS, _payload_of(services, merchant_id, record)
    )


def _payload_of(services: Services, merchant_id: str, record: Item) -> str | None:
    if "eventID" not in record:
        try:
            return payload_in(record)
        except Unsendable:
            return None
    event_id = record["eventID"]
    if not isinstance(event_id, str) or EVENT_ID.fullmatch(event_id) is None:
        return None
    event = services.tables.events.get(event_id) or {}
    payload = event.get("payload")
    is_own = event.get("merchantID") == merchant_id
    return payload if is_own and isinstance(payload, str) else None
