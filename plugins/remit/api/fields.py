"""The members of a body that a route does not hand on as they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from remit.clock import parse_instant
from remit.errors import FieldError, InvalidRequest
from remit.webhooks.endpoint_request import shown

INSTANT = "an instant with its offset, such as 2026-01-31T23:59:59Z"


class Fields:
    """Reads members one by one and notes what is wrong with them; `check` tells of all together."""

    def __init__(self, values: Mapping[str, Any], *allowed: str) -> None:
        self._values = values
        self.errors = [
            FieldError(name, "unknown field", allowed) for name in values if name not in allowed
        ]

    def check(self) -> None:
        """Raises:
        InvalidRequest: something was wrong.
        """
        if self.errors:
            raise InvalidRequest(*self.errors)

    def instant(self, name: str) -> datetime | None:
        """An instant; None if it is not given, or wrong."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            return parse_instant(value)
        except (TypeError, ValueError):
            self.errors.append(FieldError(name, f"{shown(value)} is no instant", INSTANT))
            return None

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A list of texts, each once; None if it is not given, or wrong."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self.errors.append(FieldError(name, f"{shown(value)} is no list of texts", "[…]"))
            return None
        return tuple(dict.fromkeys(value))

    def text(self, name: str) -> str | None:
        """A text; None if it is not given, or wrong."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, str):
            self.errors.append(FieldError(name, f"{shown(value)} is not text", "text"))
            return None
        return value

    def flag(self, name: str) -> bool:
        """True or false, which it is unless given."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            message = f"{shown(value)} is neither true nor false"
            self.errors.append(FieldError(name, message, ("true", "false")))
            return False
        return value
