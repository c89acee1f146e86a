"""An event: what happened to a merchant, and the exact bytes that every endpoint receives."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from remit.clock import format_instant
from remit.errors import FieldError, InvalidRequest

_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


@dataclass(frozen=True)
class Event:
    """Something that happened. `type` is dotted (`export.completed`); amounts in `data` are
    integers in minor units.

    Raises:
        InvalidRequest: `type` is not dotted lower case.
    """

    id: str
    type: str
    merchant_id: str
    created_at: datetime
    data: Mapping[str, Any]

    def __post_init__(self) -> None:
        if _TYPE.fullmatch(self.type) is None:
            raise InvalidRequest(
                FieldError(
                    "type",
                    f"{self.type!r} is not an event type",
                    "dotted lower-case words, such as payment.succeeded",
                )
            )

    def payload(self) -> str:
        """The JSON text that is stored once and sent, byte for byte, in every attempt.

        Raises:
            TypeError: `data` holds something that JSON cannot carry exactly, such as a float.
        """
        envelope = {
            "id": self.id,
            "type": self.type,
            "timestamp": format_instant(self.created_at),
        }
        head = ",".join(f"{canonical_json(k)}:{canonical_json(v)}" for k, v in envelope.items())
        return f'{{{head},"data":{canonical_json(self.data)}}}'


def canonical_json(value: Any) -> str:
    """Compact JSON with sorted keys, so that equal values give equal bytes; numbers stay exact.

    Raises:
        TypeError: a float, or a type that JSON does not have.
    """
    match value:
        case None | bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int():
            return str(int(value))
        case Decimal() if value.is_finite():
            return format(value, "f")
        case Mapping():
            members = sorted((str(name), content) for name, content in value.items())
            return "{" + ",".join(_member(name, content) for name, content in members) + "}"
        case list() | tuple():
            return "[" + ",".join(canonical_json(element) for element in value) + "]"
        case float():
            raise TypeError(f"{value!r} is a float: write money as an integer in minor units")
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")


def _member(name: str, content: Any) -> str:
    return f"{json.dumps(name, ensure_ascii=False)}:{canonical_json(content)}"
