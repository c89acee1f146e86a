"""Schedules: exports that are made by themselves, at the end of each period."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from remit.client.answers import Document
from remit.client.transport import Transport
from remit.client.values import given, plain_body


class Schedules:
    """The merchant's schedules. The token needs the permission `schedules`, and those of their
    reports.

    Every method raises `NotReached` or `RemitApiError` where the hook gives no answer, or refuses.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self, cadence: str, *, idempotency_key: str | None = None, **fields: Any
    ) -> Document:
        """A new one: an export of each period (`hourly`, `daily`, `weekly`, `monthly`) from now on.
        `fields` are those of an export without its range, and those of a schedule."""
        body = {"cadence": cadence, **given(**fields)}
        return self._transport.post("schedules", body=body, key=idempotency_key).document

    def list(self) -> Iterator[Document]:
        """All of them, the oldest first, as they are taken."""
        return self._transport.pages("schedules")

    def get(self, schedule_id: str) -> Document:
        """One, with the period that it exports next."""
        return self._transport.get("schedules", schedule_id).document

    def change(self, schedule_id: str, **fields: Any) -> Document:
        """Set the given fields; None takes one back to what it is by default. With the `version`
        that was read, it is a `Conflict` if somebody else has changed it since."""
        body = plain_body(fields)
        return self._transport.patch("schedules", schedule_id, body=body).document

    def pause(self, schedule_id: str) -> Document:
        """No exports until it is resumed."""
        return self._transport.post("schedules", schedule_id, "pause").document

    def resume(self, schedule_id: str) -> Document:
        """Exports again, from the period on that ends next."""
        return self._transport.post("schedules", schedule_id, "resume").document

    def delete(self, schedule_id: str) -> None:
        """No exports any more. Those that it made stay."""
        self._transport.delete("schedules", schedule_id)
