"""Events: what a payment service tells the merchant's endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from remit.client.answers import Document
from remit.client.transport import Transport
from remit.client.values import given, plain_body
from remit.webhooks.event import canonical_json

BATCH_EVENTS = 500
BATCH_BYTES = 4 * 1024 * 1024
BATCH_PARTS = 200_000
"""What one request of `publish_many` may have, as the hook says: so many events, so many bytes, and
so many commas, opening brackets and braces."""

_HEAD, _TAIL = b'{"events":[', b"]}"


class Events:
    """The merchant's events. The token needs the permission `events`.

    Every method raises `NotReached` or `RemitApiError` where the hook gives no answer, or refuses;
    and `TypeError` for data that JSON cannot carry exactly: a float, for one. Amounts are integers
    in minor units; a `Decimal` stays as it is.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def publish(
        self,
        type: str,  # noqa: A002 - the field's name
        data: Mapping[str, Any],
        *,
        id: str | None = None,  # noqa: A002 - the field's name
        created_at: datetime | str | None = None,
    ) -> Document:
        """Publish one event; the answer has its `event_id` and the `webhook_ids` that it makes.

        With an `id` that is made of what happened (`evt-pay_1-succeeded`), a program that begins
        again after a crash publishes nothing twice: then it is a `duplicate`.
        """
        body = given(type=type, data=data, id=id, created_at=created_at)
        return self._transport.post("events", body=body).document

    def publish_many(self, events: Iterable[Mapping[str, Any]]) -> list[Document]:
        """Publish many events, each with the members that `publish` takes, in as few requests as
        may be; returns what became of each, in their order: `accepted`, `duplicate`, or `conflict`
        for one whose id was published before for another event.

        If it raises, those of the requests before are published. With `id`s of their own, the same
        events can be published again.
        """
        results: list[Document] = []
        for body in batches(events):
            results += self._transport.post("events", "batch", body=body).document["events"]
        return results


def batches(
    events: Iterable[Mapping[str, Any]],
    most: int = BATCH_EVENTS,
    size: int = BATCH_BYTES,
    parts: int = BATCH_PARTS,
) -> Iterator[bytes]:
    """Bodies of at most so many events, bytes and parts. An event that is larger has a body of its
    own, which the hook refuses."""
    batch: list[bytes] = []
    bytes_free, parts_free = size - len(_HEAD) - len(_TAIL), parts - _parts(_HEAD)
    bytes_left, parts_left = bytes_free, parts_free
    for event in events:
        text = canonical_json(plain_body(event)).encode()
        count = _parts(text)
        if batch and (len(batch) == most or len(text) > bytes_left or count > parts_left):
            yield _body(batch)
            batch, bytes_left, parts_left = [], bytes_free, parts_free
        batch.append(text)
        bytes_left -= len(text) + 1  # and a comma
        parts_left -= count + 1
    if batch:
        yield _body(batch)


def _parts(text: bytes) -> int:
    return sum(map(text.count, (b",", b"[", b"{")))


def _body(events: list[bytes]) -> bytes:
    return _HEAD + b",".join(events) + _TAIL
