"""Values of Python as the hook's JSON has them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any


def plain(name: str, value: Any) -> Any:
    """A value: instants and days as RFC 3339, durations in seconds, tuples as lists.

    Raises:
        ValueError: an instant has no offset, so that nobody knows when it is.
    """
    match value:
        case datetime() if value.tzinfo is None:
            raise ValueError(f"{name} has no time zone: an instant needs one, a day is a date")
        case datetime() | date():
            return value.isoformat()
        case timedelta():
            return int(value.total_seconds())
        case Mapping():
            return {key: plain(f"{name}.{key}", one) for key, one in value.items()}
        case list() | tuple():
            return [plain(name, one) for one in value]
    return value


def plain_body(values: Mapping[str, Any]) -> dict[str, Any]:
    """A body; None is null, which is a value, too.

    Raises:
        ValueError: see `plain`.
    """
    return {name: plain(name, value) for name, value in values.items()}


def given(**values: Any) -> dict[str, Any]:
    """A body of what is not None.

    Raises:
        ValueError: see `plain`.
    """
    return plain_body({name: value for name, value in values.items() if value is not None})


def plain_query(**values: Any) -> dict[str, Any]:
    """A query, without what is None; truth values as JSON has them.

    Raises:
        ValueError: see `plain`.
    """
    texts = {True: "true", False: "false"}
    return {
        name: texts[value] if isinstance(value, bool) else plain(name, value)
        for name, value in values.items()
        if value is not None
    }
