"""Webhooks: what is, or was, delivered to the merchant's endpoints; and once more, on request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from remit.client.answers import Document
from remit.client.transport import Transport
from remit.client.values import given, plain_query


class Webhooks:
    """The merchant's webhooks. The token needs the permission `webhooks`.

    Every method raises `NotReached` or `RemitApiError` where the hook gives no answer, or refuses.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        endpoint: str | None = None,
        status: str | None = None,
        type: str | None = None,  # noqa: A002 - the field's name
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
    ) -> Iterator[Document]:
        """The newest first, as they are taken. `type` is one, or what several begin with:
        `payment.*`."""
        query = plain_query(
            endpoint=endpoint,
            status=status,
            type=type,
            created_after=created_after,
            created_before=created_before,
        )
        return self._transport.pages("webhooks", query=query)

    def get(self, webhook_id: str) -> Document:
        """One, with its attempts and the text that is posted."""
        return self._transport.get("webhooks", webhook_id).document

    def replay(self, webhook_id: str) -> Document:
        """Deliver one once more, with the same id and the same body."""
        return self._transport.post("webhooks", webhook_id, "replay").document

    def replay_many(
        self,
        since: datetime | str,
        *,
        until: datetime | str | None = None,
        endpoint: str | None = None,
        type: Sequence[str] | None = None,  # noqa: A002 - the field's name
        status: Sequence[str] | None = None,
        reason: Sequence[str] | None = None,
        rate: int | None = None,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> Document:
        """Deliver once more what has ended (the dead letters, unless `status` says otherwise) of
        what was created from `since` to before `until`, `rate` webhooks per second. With `dry_run`
        nothing is changed: the answer counts them. Otherwise it has the `id` for `replay_status`.
        """
        body: dict[str, Any] = given(
            since=since,
            until=until,
            endpoint=endpoint,
            type=type,
            status=status,
            reason=reason,
            rate=rate,
            dry_run=dry_run or None,
        )
        return self._transport.post("webhooks", "replay", body=body, key=idempotency_key).document

    def replay_status(self, replay_id: str) -> Document:
        """How far a replay of many is, or what became of it."""
        return self._transport.get("webhooks", "replays", replay_id).document
