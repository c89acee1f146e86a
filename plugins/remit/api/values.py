"""Attributes of records that anybody may have written, as answers have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remit.clock import format_instant, parse_instant
from remit.webhooks.endpoint_request import shown


def text_of(record: Mapping[str, Any], name: str) -> str | None:
    """A text; what is of another type is shown as it can be."""
    value = record.get(name)
    return value if value is None or isinstance(value, str) else shown(value)


def whole_of(record: Mapping[str, Any], name: str) -> int | None:
    """A whole number; None for anything else."""
    value = record.get(name)
    return value if type(value) is int else None


def instant_text(record: Mapping[str, Any], name: str) -> str | None:
    """An instant, in UTC, whatever its offset was; None for what is none."""
    try:
        return format_instant(parse_instant(record[name]))
    except (KeyError, TypeError, ValueError):
        return None
