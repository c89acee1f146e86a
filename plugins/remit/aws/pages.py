"""Answers to Query as they came: checked, and only their envelope read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from isal import isal_zlib

from remit.errors import StoreUnavailable


@dataclass(frozen=True)
class Page:
    """One answer to `Query`: the JSON text as sent, in UTF-8, and what its envelope says."""

    content: bytes
    count: int
    capacity_units: float
    last_key: dict[str, Any] | None


class _Envelope(msgspec.Struct):
    Count: int
    Items: list[msgspec.Raw]
    ConsumedCapacity: dict[str, Any] | None = None
    LastEvaluatedKey: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Envelope).decode
_NO_ANSWER = (msgspec.DecodeError, UnicodeDecodeError)

_ITEMS = b'"Items":['
_BEFORE_ITEMS = 4096  # bytes in which the items begin, in every answer seen


def parse_page(content: bytes, crc32: str | None) -> Page:
    """A page from the body of an answer and its `x-amz-crc32`.

    Raises:
        StoreUnavailable: it arrived damaged, or is no answer to Query; asking again may help.
    """
    if crc32 is not None and str(isal_zlib.crc32(content)) != crc32:
        raise StoreUnavailable("a page arrived damaged (its CRC32 does not match)")
    envelope = _without_items(content)
    if envelope is None:
        try:
            envelope = _decode(content)
        except _NO_ANSWER as error:
            raise StoreUnavailable(f"a page is not a JSON answer to Query: {error}") from error
    units = (envelope.ConsumedCapacity or {}).get("CapacityUnits", 0.0)
    return Page(content, envelope.Count, units, envelope.LastEvaluatedKey)


def _without_items(content: bytes) -> _Envelope | None:
    """The envelope, read around the items, which are most of the page and are read later.

    Nothing behind the items has a bracket but inside a text, so they end with the last one. If that
    is in a text after all, what is left is no JSON (the rest of a text has an odd number of
    quotes), and the page is read as a whole: None.
    """
    start = content.find(_ITEMS, 0, _BEFORE_ITEMS)
    end = content.rfind(b"]")
    if start < 0 or end < start:
        return None
    try:
        return _decode(content[: start + len(_ITEMS)] + content[end:])
    except _NO_ANSWER:
        return None
