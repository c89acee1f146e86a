"""An endpoint: where a merchant's webhooks go, which of them, and how they are signed and paced.

A merchant has up to `MAX_ENDPOINTS` of them in `WebhookEndpoints`. The one called `default` need
not be there: the merchant's own `webhookURL` and `webhookSecret` make it, and a record of that id
adds its settings and its health.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from remit.aws.items import Item
from remit.clock import parse_instant

DEFAULT_ENDPOINT = "default"
"""Id of the endpoint that a merchant's own `webhookURL` and `webhookSecret` make."""

EndpointKey = tuple[str, str]
"""Merchant and endpoint."""

MAX_ENDPOINTS = 49
"""Of one merchant, beside `default`: 50 in all. An event and its records are one transaction."""

ENDPOINT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")

EVENT_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
EVENT_PATTERN = re.compile(r"\*|[a-z][a-z0-9_]*(\.[a-z0-9_]+)*\.(\*|[a-z0-9_]+)")
"""`payment.succeeded`, `payment.*` (all that begin with `payment.`), or `*`."""


@dataclass(frozen=True)
class Secret:
    """A signing secret as stored: sealed, or as plain text in a merchant's own record."""

    id: str
    sealed: str = field(repr=False)
    expires_at: datetime | None = None
    """When it signs no more; None: it is the current one."""
    created_at: datetime | None = None
    last_used_at: datetime | None = None
    """The last success of a delivery that it signed, to the minute."""

    def is_live(self, now: datetime) -> bool:
        """Whether deliveries are signed with it."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True)
class EndpointHealth:
    """How deliveries to an endpoint went lately, as deliverers have written it down."""

    failing_since: datetime | None = None
    """When the first of the failures was that no success has followed."""
    last_success_at: datetime | None = None
    breaker_open_until: datetime | None = None
    """Until then nothing is sent."""


@dataclass(frozen=True)
class Endpoint:
    """One receiver of a merchant's webhooks."""

    id: str
    merchant_id: str
    url: str
    secrets: tuple[Secret, ...] = field(repr=False)
    """Oldest first; the last one is the current one."""
    events: tuple[str, ...] = ("*",)
    description: str = ""
    disabled_reason: str | None = None
    """Why it gets nothing; None: it is enabled."""
    rate: int | None = None
    """Webhooks per second, over all deliverers; None: any number."""
    concurrency: int | None = None
    """Requests at once per deliverer; None: the deployment's number."""
    schedule: tuple[timedelta, ...] = ()
    """Waits after the first attempt, the second and so on, the last one repeated; (): Remit's."""
    disabled_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    """Of its settings and secrets, not of its health."""
    health: EndpointHealth = EndpointHealth()
    fault: str | None = None
    """What of its record cannot be read: nothing is sent until it is mended."""

    @property
    def enabled(self) -> bool:
        """Whether it gets webhooks."""
        return self.disabled_reason is None

    def wants(self, event_type: str) -> bool:
        """Whether its filter lets a type through."""
        return any(matches(pattern, event_type) for pattern in self.events)

    def live_secrets(self, now: datetime) -> tuple[Secret, ...]:
        """The secrets that a delivery is signed with, oldest first."""
        return tuple(secret for secret in self.secrets if secret.is_live(now))


def endpoints_in(merchant: Item | None, records: Iterable[Item]) -> list[Endpoint]:
    """A merchant's endpoints, `default` first, from its record in `Merchants` and those in
    `WebhookEndpoints`. One whose record is malformed is among them, with its `fault`."""
    by_id = {str(record["id"]): record for record in records}
    default = default_endpoint(merchant or {}, by_id.pop(DEFAULT_ENDPOINT, {}))
    rest = [endpoint_in(record) for record in by_id.values() if isinstance(record.get("url"), str)]
    return rest if default is None else [default, *rest]


def default_endpoint(merchant: Item, settings: Item) -> Endpoint | None:
    """The endpoint of `webhookURL`, with the settings that a record `default` adds."""
    url = merchant.get("webhookURL")
    if not isinstance(url, str) or not url:
        return None
    secret = merchant.get("webhookSecret")
    plain = [{"id": "merchant", "sealed": secret}] if isinstance(secret, str) and secret else []
    merchant_id = str(merchant["id"])
    return endpoint_in(
        {
            "secrets": plain,
            **settings,
            "merchantID": merchant_id,
            "id": DEFAULT_ENDPOINT,
            "url": url,
        }
    )


def endpoint_in(record: Item) -> Endpoint:
    """An endpoint from its record in `WebhookEndpoints`, which may hold anything.

    What cannot be read is taken as if it were not set. Of a filter, a schedule and the secrets that
    is a fault: webhooks are made for the endpoint, and wait.
    """
    events, schedule, secrets = _events_in(record), _schedule_in(record), _secrets_in(record)
    disabled = record.get("disabledReason")
    return Endpoint(
        id=str(record["id"]),
        merchant_id=str(record["merchantID"]),
        url=str(record["url"]),
        secrets=secrets or (),
        events=events or ("*",),
        description=str(record.get("description", "")),
        disabled_reason=None if disabled is None else str(disabled),
        rate=_count_in(record, "rate"),
        concurrency=_count_in(record, "concurrency"),
        schedule=schedule or (),
        disabled_at=_instant_in(record, "disabledAt"),
        created_at=_instant_in(record, "createdAt"),
        updated_at=_instant_in(record, "updatedAt"),
        health=EndpointHealth(
            failing_since=_instant_in(record, "failingSince"),
            last_success_at=_instant_in(record, "lastSuccessAt"),
            breaker_open_until=_instant_in(record, "breakerOpenUntil"),
        ),
        fault=_fault(events=events, schedule=schedule, secrets=secrets),
    )


def has_unreadable_secret(merchant: Item) -> bool:
    """Whether there is a secret that is not text, as of a platform that encrypts it."""
    secret = merchant.get("webhookSecret")
    return secret is not None and not isinstance(secret, str)


_RIGHT = {
    "events": "a list of texts",
    "schedule": "a list of seconds, each from 1 to 10^9",
    "secrets": "a list of id, sealed and, but for the last one, expiresAt",
}
_LONGEST_WAIT = 10**9  # seconds: thirty years, of which an instant can be reckoned


def _fault(**read: object) -> str | None:
    """What is wrong with attributes of which None was read. It shows no value: it may be secret."""
    wrong = (f"{name} is not {_RIGHT[name]}" for name, value in read.items() if value is None)
    return "; ".join(wrong) or None


def _count_in(record: Item, name: str) -> int | None:
    """A whole number of 1 or more; anything else counts as not set."""
    value = record.get(name)
    return value if type(value) is int and value >= 1 else None


def _events_in(record: Item) -> tuple[str, ...] | None:
    events = record.get("events")
    match events:
        case None:
            return ("*",)
        case list() | tuple() | frozenset() if all(isinstance(one, str) for one in events):
            return tuple(sorted(events) if isinstance(events, frozenset) else events) or ("*",)
        case _:
            return None


def _schedule_in(record: Item) -> tuple[timedelta, ...] | None:
    waits = record.get("schedule")
    if waits is None:
        return ()
    if not isinstance(waits, list | tuple) or not all(_is_wait(wait) for wait in waits):
        return None
    return tuple(timedelta(seconds=int(wait)) for wait in waits)


def _is_wait(value: Any) -> bool:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return is_number and 1 <= value <= _LONGEST_WAIT


def _secrets_in(record: Item) -> tuple[Secret, ...] | None:
    secrets, used = record.get("secrets"), record.get("secretsUsed")
    if secrets is None:
        return ()
    if not isinstance(secrets, list | tuple):
        return None
    try:
        return tuple(_secret_in(one, used if isinstance(used, Mapping) else {}) for one in secrets)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _secret_in(record: Mapping[str, Any], last_uses: Mapping[str, Any]) -> Secret:
    """Raises KeyError, TypeError, ValueError or AttributeError if it is none."""
    expires_at, sealed = record.get("expiresAt"), record["sealed"]
    if not isinstance(sealed, str):
        raise TypeError("sealed is not text")
    return Secret(
        id=str(record["id"]),
        sealed=sealed,
        expires_at=None if expires_at is None else parse_instant(str(expires_at)),
        created_at=_instant_in(record, "createdAt"),
        last_used_at=_instant_in(last_uses, str(record["id"])),
    )


def _instant_in(record: Mapping[str, Any], name: str) -> datetime | None:
    """An instant that is told and decides nothing: a wrong one keeps nobody from a delivery."""
    try:
        return parse_instant(record[name])
    except (KeyError, TypeError, ValueError):
        return None


def matches(pattern: str, event_type: str) -> bool:
    """Whether a pattern such as `payment.*` lets a type through."""
    if pattern.endswith("*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type
