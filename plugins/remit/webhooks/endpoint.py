"""Where a merchant's webhooks go, and which URLs are acceptable at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from remit.aws.items import Item
from remit.aws.tables import Tables
from remit.errors import FieldError, InvalidRequest

DEFAULT_ENDPOINT = "default"
"""Id of the endpoint that a merchant's own `webhookURL` and `webhookSecret` make."""

MAX_URL_LENGTH = 2048


@dataclass(frozen=True)
class Endpoint:
    """One receiver of a merchant's webhooks."""

    id: str
    merchant_id: str
    url: str
    secret: str | None = field(repr=False)


def endpoints_of(tables: Tables, merchant_id: str) -> list[Endpoint]:
    """A merchant's endpoints; none if the merchant does not exist or has no `webhookURL`."""
    merchant = tables.merchants.get(merchant_id)
    return [] if merchant is None else endpoints_in(merchant)


def endpoints_in(merchant: Item) -> list[Endpoint]:
    """The endpoints that a `Merchants` record declares."""
    url = merchant.get("webhookURL")
    if not isinstance(url, str) or not url:
        return []
    return [Endpoint(DEFAULT_ENDPOINT, str(merchant["id"]), url, secret_in(merchant))]


def secret_in(merchant: Item) -> str | None:
    """The secret that a `Merchants` record holds as plain text; None if there is none."""
    secret = merchant.get("webhookSecret")
    return secret if isinstance(secret, str) and secret else None


def has_unreadable_secret(merchant: Item) -> bool:
    """Whether there is a secret that is not text, as of a platform that encrypts it."""
    secret = merchant.get("webhookSecret")
    return secret is not None and not isinstance(secret, str)


def check_url(url: str, *, allow_http: bool) -> None:
    """Refuse a URL that no webhook may be sent to.

    Raises:
        InvalidRequest: it is not HTTPS (or HTTP, where a deployment allows that), has credentials
            or no host, or is over 2,048 characters. The address behind the host is not looked at.
    """
    if (fault := _fault(url, {"https", "http"} if allow_http else {"https"})) is not None:
        allowed = f"an https:// URL without credentials, of at most {MAX_URL_LENGTH} characters"
        raise InvalidRequest(FieldError("url", fault, allowed))


def _fault(url: str, schemes: set[str]) -> str | None:
    if len(url) > MAX_URL_LENGTH:
        return f"it has {len(url)} characters"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is not a URL"
    if parts.scheme not in schemes:
        return f"the scheme is {parts.scheme!r}"
    if parts.username is not None or parts.password is not None:
        return "it has credentials"
    return None if host else "it has no host"
