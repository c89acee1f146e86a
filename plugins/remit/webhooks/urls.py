"""Which URLs an endpoint may have at all. The addresses behind them: `addresses`."""

from __future__ import annotations

from urllib.parse import urlsplit

from remit.errors import FieldError, InvalidRequest

MAX_URL_LENGTH = 2048


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
