"""What an endpoint can be asked to be: every field with its rule, checked together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from remit.errors import FieldError, InvalidRequest
from remit.webhooks.backoff import LEAST_REPEATED
from remit.webhooks.endpoint import DEFAULT_ENDPOINT, EVENT_PATTERN
from remit.webhooks.event import MAX_TYPE_LENGTH
from remit.webhooks.signing import check_secret

MAX_DESCRIPTION = 500
MAX_PATTERNS = 100
MAX_RATE = 10_000
MAX_CONCURRENCY = 64
MAX_WAITS = 50
MAX_WAIT_SECONDS = 86_400
MIN_LAST_WAIT_SECONDS = int(LEAST_REPEATED.total_seconds())
MAX_REASON = 200

CheckUrl = Callable[[str], None]
"""Raises `InvalidRequest` for a URL that no webhook may go to."""

_SHOWN = 100  # characters of what was given, in a message about it
_SHOWN_PATTERNS = 5


@dataclass(frozen=True)
class Rule:
    """What one field may hold: in words, and as a function from a value to its fault."""

    allowed: str
    fault: Callable[[Any], str | None]


def _description_fault(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"{shown(value)} is not text"
    if len(value) > MAX_DESCRIPTION:
        return f"it has {len(value)} characters"
    return None if value.isprintable() else "it holds characters that cannot be printed"


def _events_fault(value: Any) -> str | None:
    if not isinstance(value, list | tuple):
        return f"{shown(value)} is not a list"
    if not 1 <= len(value) <= MAX_PATTERNS:
        return f"it has {len(value)} patterns"
    wrong = [shown(pattern) for pattern in value if not is_event_pattern(pattern)]
    if not wrong:
        return None
    more = f" and {len(wrong) - _SHOWN_PATTERNS} more" if len(wrong) > _SHOWN_PATTERNS else ""
    verb = "is not an event pattern" if len(wrong) == 1 else "are not event patterns"
    return f"{', '.join(wrong[:_SHOWN_PATTERNS])}{more} {verb}"


def _number_fault(most: int) -> Callable[[Any], str | None]:
    def fault(value: Any) -> str | None:
        right = type(value) is int and 1 <= value <= most
        return None if right else f"{shown(value)} is not a whole number from 1 to {most}"

    return fault


def _schedule_fault(value: Any) -> str | None:
    if not isinstance(value, list | tuple):
        return f"{shown(value)} is not a list"
    if not 1 <= len(value) <= MAX_WAITS:
        return f"it has {len(value)} waits"
    faults = (_number_fault(MAX_WAIT_SECONDS)(wait) for wait in value)
    if fault := next((fault for fault in faults if fault), None):
        return fault
    last = value[-1]
    if last < MIN_LAST_WAIT_SECONDS:
        return f"its last wait, which is repeated until a webhook expires, is {last} seconds"
    return None


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "description": Rule(
            f"printable text of at most {MAX_DESCRIPTION} characters", _description_fault
        ),
        "events": Rule(
            f"1 to {MAX_PATTERNS} patterns, each a type (payment.succeeded), the beginning of "
            f"types (payment.*), or *, of at most {MAX_TYPE_LENGTH} characters",
            _events_fault,
        ),
        "rate": Rule(f"1 to {MAX_RATE} webhooks per second", _number_fault(MAX_RATE)),
        "concurrency": Rule(
            f"1 to {MAX_CONCURRENCY} requests at once", _number_fault(MAX_CONCURRENCY)
        ),
        "schedule": Rule(
            f"1 to {MAX_WAITS} waits, each of 1 to {MAX_WAIT_SECONDS} seconds, the last one of "
            f"{MIN_LAST_WAIT_SECONDS} at least",
            _schedule_fault,
        ),
    }
)
"""Field to its rule. These may be null, too, which takes them back to what they are by default;
`url` and `secret` have rules of their own."""

NEW_FIELDS = ("url", *RULES, "secret")
"""What a new endpoint may be given; `url` it must be."""

CHANGEABLE = ("url", *RULES)
DEFAULT_CHANGEABLE = tuple(RULES)
"""The URL of the default endpoint is in the merchant's own record."""


def is_event_pattern(value: Any) -> bool:
    """Whether an endpoint's filter may hold it."""
    return (
        isinstance(value, str)
        and len(value) <= MAX_TYPE_LENGTH
        and EVENT_PATTERN.fullmatch(value) is not None
    )


def shown(value: Any) -> str:
    """What was given, as a message may show it."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def check_new(values: Mapping[str, Any], check_url: CheckUrl) -> dict[str, Any]:
    """The attributes of a new endpoint, without what is left to defaults, and without the secret.

    Raises:
        InvalidRequest: at least one field is wrong; all of them are named.
    """
    errors = [*_unknown(values, NEW_FIELDS), *_wrong(values), *_secret_errors(values)]
    errors += _url_errors(values.get("url"), check_url)
    if errors:
        raise InvalidRequest(*errors)
    changes = {"url": values["url"], **_settings(values)}
    return {name: value for name, value in changes.items() if value is not None}


def check_changes(
    endpoint_id: str, values: Mapping[str, Any], check_url: CheckUrl
) -> dict[str, Any]:
    """The attributes that a change sets; those that it takes back to their defaults are None.

    Raises:
        InvalidRequest: at least one field is wrong; all of them are named.
    """
    is_default = endpoint_id == DEFAULT_ENDPOINT
    changeable = DEFAULT_CHANGEABLE if is_default else CHANGEABLE
    refused = [_unchangeable(name) for name in _UNCHANGEABLE if name in {*values} - {*changeable}]
    known = {*changeable, *_UNCHANGEABLE}
    errors = [*_unknown(values, changeable, known), *refused, *_wrong(values)]
    if "url" in values and not is_default:
        errors += _url_errors(values["url"], check_url)
    if errors:
        raise InvalidRequest(*errors)
    url = {"url": values["url"]} if "url" in values else {}
    return {**url, **_settings(values)}


def check_reason(reason: Any) -> None:
    """Refuse a reason to disable an endpoint that says nothing, or cannot be shown.

    Raises:
        InvalidRequest: it is empty, too long or not printable.
    """
    if not isinstance(reason, str) or not 0 < len(reason) <= MAX_REASON or not reason.isprintable():
        allowed = f"printable text of 1 to {MAX_REASON} characters"
        raise InvalidRequest(FieldError("reason", f"{shown(reason)} is not a reason", allowed))


_UNCHANGEABLE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "secret": ("a change does not touch the secret", "a rotation gives a new one"),
        "url": (
            "the default endpoint's URL is the merchant's own webhookURL",
            "a change of the merchant's record, or an endpoint of its own",
        ),
    }
)
"""Field that some changes refuse to what is wrong, and what would be right."""


def _unchangeable(name: str) -> FieldError:
    return FieldError(name, *_UNCHANGEABLE[name])


def _unknown(
    values: Mapping[str, Any], fields: tuple[str, ...], known: set[str] | None = None
) -> Iterator[FieldError]:
    for name in values:
        if name not in (known or fields):
            yield FieldError(str(name), "unknown field", fields)


def _wrong(values: Mapping[str, Any]) -> Iterator[FieldError]:
    for name, rule in RULES.items():
        value = values.get(name)
        if value is not None and (fault := rule.fault(value)) is not None:
            yield FieldError(name, fault, rule.allowed)


def _url_errors(url: Any, check_url: CheckUrl) -> tuple[FieldError, ...]:
    if not isinstance(url, str):
        message = "missing" if url is None else f"{shown(url)} is not text"
        return (FieldError("url", message, "the URL that webhooks are posted to"),)
    if not url.isprintable():
        message = "it holds characters that cannot be printed"
        return (FieldError("url", message, "a URL with those characters percent-encoded"),)
    return _errors_of(lambda: check_url(url))


def _secret_errors(values: Mapping[str, Any]) -> tuple[FieldError, ...]:
    secret = values.get("secret")
    return () if secret is None else secret_errors(secret)


def secret_errors(secret: Any) -> tuple[FieldError, ...]:
    """What is wrong with a secret that a merchant brings; no message shows it."""
    if not isinstance(secret, str):
        return (FieldError("secret", "it is not text", "whsec_ and the base64 of the key"),)
    return _errors_of(lambda: check_secret(secret))


def _errors_of(check: Callable[[], None]) -> tuple[FieldError, ...]:
    try:
        check()
    except InvalidRequest as error:
        return error.errors
    return ()


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The given fields with a rule, as they are stored: what is as by default is not."""
    given = {name: values[name] for name in RULES if name in values}
    if "events" in given and given["events"] is not None:
        given["events"] = list(dict.fromkeys(given["events"]))
    if isinstance(given.get("schedule"), tuple):
        given["schedule"] = list(given["schedule"])
    return {name: None if value == "" else value for name, value in given.items()}
