"""Endpoints: where the merchant's webhooks go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from remit.client.answers import Document
from remit.client.transport import Transport
from remit.client.values import given, plain_body


class Endpoints:
    """The merchant's endpoints. The token needs the permission `webhooks`.

    Every method raises `NotReached` or `RemitApiError` where the hook gives no answer, or refuses.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, url: str, *, idempotency_key: str | None = None, **fields: Any) -> Document:
        """A new one. The answer has its `secret`, this once. `fields` are `description`, `events`,
        `rate`, `concurrency`, `schedule`, and `secret` for one of your own."""
        body = {"url": url, **given(**fields)}
        return self._post(body=body, key=idempotency_key)

    def list(self) -> list[Document]:
        """All of them, with their health."""
        found: list[Document] = self._transport.get("webhooks", "endpoints").document["data"]
        return found

    def get(self, endpoint_id: str) -> Document:
        """One, with its health."""
        return self._transport.get("webhooks", "endpoints", endpoint_id).document

    def change(self, endpoint_id: str, **fields: Any) -> Document:
        """Set the given fields; None takes one back to what it is by default."""
        body = plain_body(fields)
        return self._transport.patch("webhooks", "endpoints", endpoint_id, body=body).document

    def delete(self, endpoint_id: str) -> None:
        """Delete it with its secrets. What waits for it is set aside."""
        self._transport.delete("webhooks", "endpoints", endpoint_id)

    def disable(self, endpoint_id: str, reason: str) -> Document:
        """Send nothing to it any more. What it would have received can be replayed."""
        return self._post(endpoint_id, "disable", body={"reason": reason})

    def enable(self, endpoint_id: str) -> Document:
        """Send to it again."""
        return self._post(endpoint_id, "enable")

    def rotate_secret(
        self,
        endpoint_id: str,
        *,
        overlap: timedelta | None = None,
        secret: str | None = None,
        idempotency_key: str | None = None,
    ) -> Document:
        """A new secret, which is in the answer, this once: one of your own, or a fresh one. The old
        ones sign beside it for `overlap` (unless given, as long as the deployment says)."""
        body = given(overlap_seconds=overlap, secret=secret)
        return self._post(endpoint_id, "rotate-secret", body=body, key=idempotency_key)

    def test(self, endpoint_id: str) -> Document:
        """Send it a test event; the answer has the webhook's id."""
        return self._post(endpoint_id, "test")

    def _post(self, *path: str, body: Document | None = None, key: str | None = None) -> Document:
        place = ("webhooks", "endpoints", *path)
        return self._transport.post(*place, body=body or {}, key=key).document
