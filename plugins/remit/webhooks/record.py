"""A record of `Webhooks`: how a new one is written, and how any of them is read.

The platform's own service writes records too. Theirs carry the payload themselves; ours refer to
`Events`, so that a status update does not bill the payload again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from remit.aws.items import Item
from remit.aws.limits import MAX_KEY_BYTES, MAX_SORT_KEY_BYTES
from remit.clock import epoch_seconds, format_instant, parse_instant
from remit.errors import RemitError
from remit.queue import queued
from remit.settings import Settings
from remit.webhooks.endpoint import DEFAULT_ENDPOINT, Endpoint
from remit.webhooks.event import NotJson, canonical_json
from remit.webhooks.policy import Reason, Status

_END_OF_TIME = (
    1 << 36
)  # seconds: the year 4147, of which all that is reckoned further is a time too


_LONGEST = {  # of what is a part of a key somewhere, in bytes
    "id": MAX_KEY_BYTES,
    "merchantID": MAX_KEY_BYTES,
    "endpointID": MAX_SORT_KEY_BYTES,
    "eventID": MAX_KEY_BYTES,
}


class Unsendable(RemitError):
    """A webhook that no attempt can help. `reason` is kept in its record."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Webhook:
    """What delivery needs of a record. Either `event_id` or `payload` says what to send.

    `url` is where a foreign record goes, and empty for Remit's own: they go to whatever URL their
    endpoint has by then.
    """

    id: str
    merchant_id: str
    endpoint_id: str
    event_type: str
    url: str
    status: Status
    attempts: int
    deliver_before: datetime
    event_id: str | None
    payload: str | None = field(repr=False)

    def by_deadline(self, moment: datetime) -> datetime:
        """When to look at it again: then, or at its deadline if that is earlier, to end it."""
        return min(moment, self.deliver_before)


@dataclass(frozen=True, slots=True)
class Lifespan:
    """When a webhook is due first, its deadline, and when DynamoDB's TTL removes it.

    The last comes so much later than the deadline as an ended webhook is kept: one that nobody
    looked at in its time, because nothing ran, is still there to be ended.
    """

    begins: datetime
    deliver_before: datetime
    expires_at: datetime

    @classmethod
    def of(cls, begins: datetime, settings: Settings) -> Lifespan:
        """The lifespan of one that is due first at that time."""
        deliver_before = begins + settings.webhook_lifetime
        return cls(begins, deliver_before, deliver_before + settings.webhook_retention)

    def attributes(self) -> Item:
        """The attributes of a record that say it (seconds since 1970)."""
        return {
            "deliverBefore": epoch_seconds(self.deliver_before),
            "expiresAt": epoch_seconds(self.expires_at),
        }


def webhook_id(event_id: str, endpoint_id: str) -> str:
    """The same for the same event and endpoint, so that a repeated publication adds nothing."""
    digest = hashlib.sha256(f"{event_id}\n{endpoint_id}".encode()).hexdigest()
    return f"wh-{digest[:32]}"


def new_record(event_id: str, event_type: str, endpoint: Endpoint, lifespan: Lifespan) -> Item:
    """The record that makes one endpoint receive one event, due at once."""
    record = _record(event_id, event_type, endpoint, lifespan.begins)
    return {
        **record,
        "status": Status.PENDING.value,
        **lifespan.attributes(),
        **waiting(record["id"], endpoint.merchant_id, lifespan.begins),
    }


def skipped_record(
    event_id: str, event_type: str, endpoint: Endpoint, now: datetime, retention: timedelta
) -> Item:
    """The record of what a disabled endpoint does not receive: kept out of the queue, for a replay
    when the endpoint is enabled again."""
    return {
        **_record(event_id, event_type, endpoint, now),
        "status": Status.FAILED.value,
        "reasonCode": Reason.DISABLED.value,
        "reason": f"the endpoint was disabled: {endpoint.disabled_reason}",
        "expiresAt": epoch_seconds(now + retention),
    }


def waiting(key: str, merchant_id: str, due_at: datetime) -> Item:
    """The attributes of a webhook that is in the queue: its place, and whose queue it lengthens."""
    return {"waitingFor": merchant_id, **queued(key, due_at)}


def _record(event_id: str, event_type: str, endpoint: Endpoint, now: datetime) -> Item:
    return {
        "id": webhook_id(event_id, endpoint.id),
        "merchantID": endpoint.merchant_id,
        "eventType": event_type,
        "eventID": event_id,
        "endpointID": endpoint.id,
        "url": endpoint.url,
        "attempts": 0,
        "createdAt": format_instant(now),
        "updatedAt": format_instant(now),
    }


def read_record(item: Mapping[str, Any], lifetime: timedelta) -> Webhook:
    """Read a record, whoever wrote it.

    Raises:
        Unsendable: something that delivery cannot do without is missing or of the wrong type.
    """
    webhook = Webhook(
        id=_text(item, "id"),
        merchant_id=_text(item, "merchantID"),
        endpoint_id=_text(item, "endpointID") if "endpointID" in item else DEFAULT_ENDPOINT,
        event_type=_text(item, "eventType"),
        url=_text(item, "url") if "eventID" not in item else "",
        status=_status(item),
        attempts=_attempts(item),
        deliver_before=_deadline(item, lifetime),
        event_id=_text(item, "eventID") if "eventID" in item else None,
        payload=payload_in(item),
    )
    if webhook.event_id is None and webhook.payload is None:
        raise Unsendable("the record has neither an event nor a payload")
    return webhook


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise Unsendable(f"{name} is missing")
    # Ids travel in headers and all of these in log lines: a line break would forge another one.
    if not value.isprintable():
        raise Unsendable(f"{name} holds characters that cannot be printed")
    if name == "id" and not value.isascii():
        raise Unsendable("id holds characters that no header can carry")
    longest = _LONGEST.get(name)
    if longest is not None and 4 * len(value) > longest < len(value.encode()):
        raise Unsendable(f"{name} is longer than a key can be ({longest} bytes)")
    return value


def _status(item: Mapping[str, Any]) -> Status:
    try:
        return Status(item.get("status"))  # type: ignore[arg-type]  # any value is checked here
    except ValueError:
        raise Unsendable(f"the status {item.get('status')!r} is unknown") from None


def _attempts(item: Mapping[str, Any]) -> int:
    attempts = item.get("attempts", 0)
    if not isinstance(attempts, int) or isinstance(attempts, bool) or attempts < 0:
        raise Unsendable("attempts is not a count")
    return attempts


def payload_in(item: Mapping[str, Any]) -> str | None:
    """The payload that a record carries itself, None if it has none. Text is sent as it is; older
    releases of the platform's service stored a map.

    Raises:
        Unsendable: it is neither, or cannot be written as JSON.
    """
    payload = item.get("payload")
    match payload:
        case None | "":
            return None
        case str():
            return payload
        case Mapping():
            return _text_of(payload)
        case _:
            raise Unsendable("payload is neither text nor a map")


def _text_of(payload: Mapping[str, Any]) -> str:
    try:
        return canonical_json(payload)
    except NotJson as error:
        raise Unsendable(f"payload cannot be written as JSON: {error}") from None


def _deadline(item: Mapping[str, Any], lifetime: timedelta) -> datetime:
    """What it is for the platform's own service: `expiresAt`, or a lifetime after its creation.
    `deliverBefore` is Remit's own; with it, `expiresAt` is later and no deadline."""
    if "deliverBefore" in item:
        if not _is_time(item["deliverBefore"]):
            raise Unsendable("deliverBefore is not a time")
        return datetime.fromtimestamp(item["deliverBefore"], UTC)
    if _is_time(item.get("expiresAt")):
        return datetime.fromtimestamp(item["expiresAt"], UTC)
    try:
        deadline = parse_instant(_text(item, "createdAt")) + lifetime
    except (ValueError, OverflowError):
        raise Unsendable("neither expiresAt nor createdAt is a time") from None
    if epoch_seconds(deadline) >= _END_OF_TIME:
        raise Unsendable("createdAt is in a far future")
    return deadline


def _is_time(value: object) -> bool:
    return isinstance(value, int) and 0 < value < _END_OF_TIME
