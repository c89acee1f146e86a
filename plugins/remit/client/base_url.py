"""Where a hook is, as a program says it."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from remit.errors import ConfigurationError


def checked(base_url: str, *, allow_http: bool) -> str:
    """The base URL, without a slash at its end. By http it is on this host, unless any is allowed:
    every request has the token in it.

    Raises:
        ConfigurationError: it is none, or has more than a place, or sends the token in clear.
    """
    # Nothing of it is shown: it might be the token, in the wrong place.
    try:
        parts = urlsplit(base_url)
        is_url = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ConfigurationError("the base URL is none: it has to be like https://…/remit")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigurationError(
            f"the base URL (of {parts.hostname}) has more than scheme, host, port and path"
        )
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            f"the base URL (of {parts.hostname}) is http, which would send the token through the "
            "network as it is: use https, or allow_http=True (--allow-http) in a network that "
            "nobody listens to"
        )
    return base_url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
