"""Values as text, exactly: what CSV, NDJSON and XLSX share.

Everything here works on whole columns. Arrow's own casts of timestamps and decimals cost more than
the rest of a CSV row together, so these two are made from their digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from remit.exports.currencies import EXPONENTS, MOST_DECIMALS
from remit.exports.reports import Column

_SECOND_MICROS, _DAY_SECONDS = 1_000_000, 86_400
_INSTANT = np.dtype(
    [
        ("date", "S10"),
        ("T", "S1"),
        ("clock", "S8"),
        ("point", "S1"),
        ("millis", "S3"),
        ("micros", "S3"),
        ("Z", "S1"),
    ]
)
"""`2026-01-31T23:59:59.000000Z`, by its parts."""

_THREE = np.array([f"{number:03}" for number in range(1000)], "S3")
_EPOCH = np.datetime64(0, "D")
_MOST_DAYS = 100_000


def text_of(column: Column, table: pa.Table) -> pa.Array:
    """A column of a table as text; a missing value stays missing."""
    values = table.column(column.name).combine_chunks()
    if column.type == "major":
        return _majors(values, table.column(column.currency).combine_chunks())
    return _TEXTS[column.type](values)


def with_currencies(columns: Sequence[Column]) -> list[Column]:
    """The columns, and the currencies without which their amounts cannot be written."""
    names = {column.name for column in columns}
    currencies = dict.fromkeys(column.currency for column in columns if column.currency)
    return [*columns, *(Column(name, "text") for name in currencies if name not in names)]


def bytes_of(texts: pa.Array) -> Any:
    """The texts end to end, as the array holds them: nothing is copied."""
    _, edges, data = texts.buffers()
    if data is None:
        return b""
    first, last = np.frombuffer(edges, np.int32)[[texts.offset, texts.offset + len(texts)]]
    return data.slice(int(first), int(last - first))


def content_of(texts: pa.Array) -> npt.NDArray[np.uint8]:
    """The bytes of the texts, end to end, as numbers."""
    return np.frombuffer(bytes_of(texts), np.uint8)


def _edges_of(texts: pa.Array) -> npt.NDArray[np.int32]:
    """Where the texts begin and end, counted from the first byte of the first."""
    edges = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1, texts.offset * 4)
    first: np.int32 = edges[0]
    return edges - first


def first_bytes(texts: pa.Array) -> npt.NDArray[np.uint8]:
    """The first byte of each text; of an empty one, whatever comes next. Without a byte in any,
    there is none."""
    content = content_of(texts)
    if not len(content):
        return content
    # An empty text at the very end starts behind the last byte.
    return content[np.minimum(_edges_of(texts)[:-1], len(content) - 1)]


def _instants(values: pa.Array) -> pa.Array:
    """RFC 3339 in UTC with microseconds: `2026-01-31T23:59:59.000000Z`, put together from tables of
    dates, of the seconds of a day and of the numbers of three digits."""
    instants = pc.fill_null(values.cast(pa.int64()), 0).to_numpy()
    seconds, micros = np.divmod(instants, _SECOND_MICROS)
    days, second_of_day = np.divmod(seconds, _DAY_SECONDS)
    millis, micros = np.divmod(micros, 1000)
    texts = np.empty(len(instants), _INSTANT)
    texts["date"] = _dates(days)
    texts["clock"] = _clock()[second_of_day]
    texts["millis"], texts["micros"] = _THREE[millis], _THREE[micros]
    texts["T"], texts["point"], texts["Z"] = b"T", b".", b"Z"
    return _fixed_width(texts, values)


@cache
def _clock() -> npt.NDArray[np.bytes_]:
    """The time of day of each second of a day."""
    seconds = np.arange(_DAY_SECONDS)
    texts = np.empty(
        _DAY_SECONDS, [("h", "S2"), (":", "S1"), ("m", "S2"), (".", "S1"), ("s", "S2")]
    )
    two_digits = np.array([f"{number:02}" for number in range(60)], "S2")
    texts["h"], texts["m"] = two_digits[seconds // 3600], two_digits[seconds // 60 % 60]
    texts["s"], texts[":"], texts["."] = two_digits[seconds % 60], b":", b":"
    return texts.view("S8")


def _dates(days: npt.NDArray[np.int64]) -> npt.NDArray[np.bytes_]:
    """Days since 1970 as dates; the calendar is asked once per day there is."""
    if not len(days):
        return np.empty(0, "S10")
    first = days.min()
    if days.max() - first < _MOST_DAYS:
        table, index = np.arange(first, days.max() + 1), days - first
    else:
        table, index = np.unique(days, return_inverse=True)
    dates: npt.NDArray[np.bytes_] = np.datetime_as_string(_EPOCH + table).astype("S10")[index]
    return dates


def _fixed_width(texts: npt.NDArray[np.void], values: pa.Array) -> pa.Array:
    """Texts of one width as a string array, missing where the values are."""
    edges = np.arange(len(texts) + 1, dtype=np.int32) * texts.itemsize
    array = pa.StringArray.from_buffers(len(texts), pa.py_buffer(edges), pa.py_buffer(texts))
    return _missing_where(values, array)


def _missing_where(values: pa.Array, texts: pa.Array) -> pa.Array:
    """The texts, missing where the values are."""
    return pc.if_else(values.is_valid(), texts, None) if values.null_count else texts


def _majors(values: pa.Array, currencies: pa.Array) -> pa.Array:
    """Amounts with as many decimals as their currency has: `19.99` USD, `1999` JPY, `1.999` KWD.

    An amount has a currency that ISO 4217 knows, or it would be missing; where a transform has
    changed that, all decimals are shown.
    """
    codes = currencies.dictionary_encode()
    surplus = np.array([*map(_surplus, codes.dictionary.to_pylist()), 0])
    surplus = surplus[pc.fill_null(codes.indices, -1).to_numpy()]
    return _shortened(values.cast(pa.string()), surplus)


def _surplus(currency: str | None) -> int:
    """How many characters an amount with all decimals has more than its currency's."""
    exponent = EXPONENTS.get((currency or "").upper(), MOST_DECIMALS)
    return MOST_DECIMALS - exponent + (exponent == 0)  # and the point


def _shortened(texts: pa.Array, surplus: npt.NDArray[np.int64]) -> pa.Array:
    """The texts without so many bytes at the end of each."""
    if texts.null_count:
        surplus = np.where(texts.is_valid(), surplus, 0)
    content, edges = content_of(texts), _edges_of(texts)
    keep = np.ones(len(content), bool)
    for back in range(1, MOST_DECIMALS + 2):
        keep[edges[1:][surplus >= back] - back] = False
    edges[1:] -= np.cumsum(surplus, dtype=np.int32)
    shortened = pa.StringArray.from_buffers(
        len(texts), pa.py_buffer(edges), pa.py_buffer(content[keep])
    )
    return _missing_where(texts, shortened)


def _cast(values: pa.Array) -> pa.Array:
    return values.cast(pa.string())


def _as_they_are(values: pa.Array) -> pa.Array:
    return values


_TEXTS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "text": _as_they_are,
        "integer": _cast,
        "boolean": _cast,
        "date": _cast,
        "timestamp": _instants,
        "json": _as_they_are,
        "attribute": _as_they_are,
        "attributes": _as_they_are,
    }
)
