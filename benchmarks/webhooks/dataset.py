"""Merchants with one endpoint each, and what is due to be delivered to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from benchmarks.webhooks.store import Store, services_at
from remit.aws.items import Item, encode_item
from remit.aws.transactions import TRANSACTION_LIMIT
from remit.webhooks.drafts import TRANSACTION_BYTES
from remit.webhooks.endpoint import DEFAULT_ENDPOINT, Endpoint, default_endpoint
from remit.webhooks.event import Event
from remit.webhooks.outbox import actions_for
from remit.webhooks.record import webhook_id

EVENT_TYPE = "payment.succeeded"
_AROUND_BYTES = 1024  # of an event and its webhook, beside the payload


@dataclass(frozen=True)
class Fleet:
    """So many merchants, whose URLs are paths of the receiver at `origin`.

    The first `hanging` of them have endpoints that hang.
    """

    origin: str
    count: int
    hanging: int = 0

    def url(self, number: int) -> str:
        """Where a merchant's webhooks go."""
        return f"{self.origin}{path(number)}{'?hang=1' if number < self.hanging else ''}"

    def secret(self, number: int) -> str:
        """A merchant's secret, as the platform stores it: plain text."""
        return f"benchmark-secret-of-{merchant_id(number)}-{number * 7919:08d}"

    @cached_property
    def secrets(self) -> dict[str, str]:
        """The secrets by path."""
        return {path(number): self.secret(number) for number in range(self.count)}

    @cached_property
    def merchants(self) -> list[Item]:
        """Their records."""
        return [
            {
                "id": merchant_id(number),
                "webhookURL": self.url(number),
                "webhookSecret": self.secret(number),
            }
            for number in range(self.count)
        ]

    @cached_property
    def endpoints(self) -> list[Endpoint]:
        """The endpoints that their records make."""
        found = [default_endpoint(merchant, {}) for merchant in self.merchants]
        return [endpoint for endpoint in found if endpoint is not None]


@dataclass(frozen=True)
class Due:
    """One webhook: its event, and the instant that it is due at."""

    number: int
    merchant: int
    at: datetime
    payload_bytes: int

    @property
    def id(self) -> str:
        """Its webhook's id, the same in every run."""
        return webhook_id(self.event_id, DEFAULT_ENDPOINT)

    @property
    def event_id(self) -> str:
        """Its event's id."""
        return f"evt-{self.number:07d}"

    @property
    def path(self) -> str:
        """Where it is to arrive."""
        return path(self.merchant)

    def event(self) -> Event:
        """Its event, whose payload has exactly so many bytes."""
        bare = self._event("")
        return self._event("x" * (self.payload_bytes - len(bare.payload().encode())))

    def _event(self, note: str) -> Event:
        data = {"payment_id": f"pay-{self.number:07d}", "amount": 1999, "currency": "EUR"}
        return Event(
            self.event_id, EVENT_TYPE, merchant_id(self.merchant), self.at, {**data, "note": note}
        )


def all_due(count: int, merchants: int, payload_bytes: int) -> list[Due]:
    """So many webhooks, all due now, dealt out to the merchants in turn."""
    now = datetime.now(UTC)
    return [Due(number, number % merchants, now, payload_bytes) for number in range(count)]


def paced(
    start: datetime, seconds: float, rate: float, merchants: int, payload_bytes: int
) -> list[Due]:
    """Webhooks that come due one after the other, `rate` of them in a second."""
    return [
        Due(number, number % merchants, start + timedelta(seconds=number / rate), payload_bytes)
        for number in range(int(seconds * rate))
    ]


def load(store: Store, fleet: Fleet, due: Sequence[Due]) -> None:
    """Store the merchants, and the webhooks as the outbox does."""
    puts = ({"TableName": "Merchants", "Item": encode_item(one)} for one in fleet.merchants)
    store.write({"Put": put} for put in puts)
    store.write(_published(store, fleet, due), _together(due))


def _published(store: Store, fleet: Fleet, due: Sequence[Due]) -> Iterator[dict[str, Any]]:
    """What publishes the events, each at the instant that its webhook is due at."""
    at = datetime.now(UTC)
    services = services_at(store.url, clock=lambda: at)
    for one in due:
        at = one.at
        yield from actions_for(one.event(), [fleet.endpoints[one.merchant]], services)


def _together(due: Sequence[Due]) -> int:
    """How many actions a transaction takes, two of each webhook: as many as its bytes allow."""
    largest = max(one.payload_bytes for one in due) + _AROUND_BYTES
    return min(TRANSACTION_LIMIT, 2 * (TRANSACTION_BYTES // largest))


def merchant_id(number: int) -> str:
    """A merchant's id."""
    return f"merchant-{number:03d}"


def path(number: int) -> str:
    """The path of a merchant's endpoint."""
    return f"/{merchant_id(number)}"
