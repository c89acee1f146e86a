"""The headers that Remit sends, of one attempt."""

from __future__ import annotations

from remit.webhooks.signing import Signer, SigningKey


def signed_headers(
    webhook_id: str, timestamp: int, body: bytes, *secrets: str, signing_key: str = ""
) -> dict[str, str]:
    """The six headers; `secrets` are the live ones, oldest first."""
    keys = [SigningKey.of(secret) for secret in secrets]
    return Signer(signing_key).headers(webhook_id, timestamp, body, keys)
