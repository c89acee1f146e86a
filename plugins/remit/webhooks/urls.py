"""Which URLs an endpoint may have. The addresses behind them: `addresses`.

A URL is read by the parser of the client that posts to it (yarl, aiohttp's): what two parsers
understand differently is how a check is got round.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from yarl import URL

from remit.errors import FieldError, InvalidRequest
from remit.settings import Settings
from remit.webhooks.addresses import (
    Address,
    Network,
    Resolve,
    addresses_of,
    networks_of,
    why_refused,
)

MAX_URL_LENGTH = 2048

_ALLOWED = f"an https:// URL without credentials, of at most {MAX_URL_LENGTH} characters"
_PUBLIC = "an https:// URL whose host has public addresses alone"

# Parsers skip these, cut them out or take them for a slash, each in its own way.
_AMBIGUOUS = re.compile(r"[\s\\\x00-\x20\x7f-\x9f\ud800-\udfff]")

# What ends in a number is an IPv4 address or nothing (WHATWG URL, 3.5), but system libraries also
# take 127.1, 0x7f000001 and 2130706433 for one.
_NUMERIC = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.*", re.IGNORECASE)


def check_url(url: str, *, allow_http: bool, proxied: bool = False) -> None:
    """Refuse a URL that no webhook may be sent to.

    HTTP is for named networks alone. If requests are `proxied`, nobody here knows where a name
    leads, so it takes an address for a host then.

    Raises:
        InvalidRequest: it is not HTTPS (or HTTP, where a deployment allows that), has credentials
            or no host, or is over 2,048 characters. The address behind the host is not looked at.
    """
    parsed = parse_url(url)
    if parsed.scheme not in ({"https", "http"} if allow_http else {"https"}):
        raise _refused(f"the scheme is {parsed.scheme!r}")
    if proxied and parsed.scheme == "http" and literal_of(parsed) is None:
        raise _refused("the scheme is 'http', and only the proxy knows where its host leads")


def url_fault(url: str, settings: Settings) -> str | None:
    """Why no webhook may be sent to a URL, in a deployment with these settings; None: it may."""
    try:
        check_url(
            url,
            allow_http=bool(settings.webhook_networks),
            proxied=bool(settings.webhook_proxy),
        )
    except InvalidRequest as error:
        return str(error)
    return None


def parse_url(url: str) -> URL:
    """A URL as the client will take it.

    Raises:
        InvalidRequest: it has credentials, no host or one that is written in a misleading way, or
            is too long. Its scheme is not looked at.
    """
    if (fault := _fault(url)) is not None:
        raise _refused(fault)
    return URL(url)


def literal_of(url: URL) -> Address | None:
    """The address that a URL has for a host; None: its host is a name."""
    try:
        return ip_address(url.raw_host or "")
    except ValueError:
        return None


def check_address(url: str, networks: Sequence[Network], resolve: Resolve = addresses_of) -> None:
    """Refuse a URL whose host has no address now, or one that no webhook may go to.

    This spares a merchant the surprise; what keeps webhooks out is the check of each connection,
    since a name may resolve otherwise later. Of what a name resolves to nothing is told: the
    machine's resolver may know a private network that a merchant should not.

    Raises:
        InvalidRequest: the host does not resolve, or has an address that is refused.
    """
    parsed = parse_url(url)
    literal = literal_of(parsed)
    if literal is not None:
        if (why := why_refused(literal, parsed.scheme, networks)) is not None:
            raise _refused(f"no webhook goes to {literal}: {why}", _PUBLIC)
        return
    host = parsed.raw_host or ""
    try:
        addresses = [ip_address(text) for text in resolve(host)]
    except OSError:
        raise _refused(f"{host} does not resolve to an address", _PUBLIC) from None
    if any(why_refused(address, parsed.scheme, networks) for address in addresses):
        raise _refused(f"{host} has an address that no webhook goes to", _PUBLIC)


def url_check(settings: Settings, resolve: Resolve = addresses_of) -> Callable[[str], None]:
    """The whole check of a new endpoint's URL, as a deployment has set it. Behind a proxy, names
    are the proxy's to resolve and to refuse.

    Raises:
        ConfigurationError: `REMIT_WEBHOOK_NETWORKS` is wrong. The check raises InvalidRequest.
    """
    networks, proxied = networks_of(settings.webhook_networks), bool(settings.webhook_proxy)
    resolve = (lambda _: ()) if proxied else resolve

    def check(url: str) -> None:
        check_url(url, allow_http=bool(networks), proxied=proxied)
        check_address(url, networks, resolve)

    return check


def _fault(url: str) -> str | None:
    if len(url) > MAX_URL_LENGTH:
        return f"it has {len(url)} characters"
    if _AMBIGUOUS.search(url):
        return "it holds a space, a control character, a backslash or half a character"
    try:
        parsed = URL(url)
    except (ValueError, LookupError):  # of the latter yarl does not speak: "https://[]@"
        return "it is not a URL"
    if parsed.raw_user is not None or parsed.raw_password is not None:
        return "it has credentials"
    host = parsed.raw_host
    if not host:
        return "it has no host"
    if "%" in host:
        return "its host has a zone or is percent-encoded"
    if _NUMERIC.fullmatch(host) and literal_of(parsed) is None:
        return f"{host!r} is no IPv4 address of four decimal numbers"
    return None


def _refused(fault: str, allowed: str = _ALLOWED) -> InvalidRequest:
    return InvalidRequest(FieldError("url", fault, allowed))
