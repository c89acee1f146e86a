"""`plain_json` for a column: the common maps are rewritten as bytes, all at once.

An attribute like `{"M":{"order":{"S":"x"},"tries":{"N":"1"}}}` costs 3.5 µs as Python objects, more
than everything else that is done for an exported row. Almost all maps hold only strings and
numbers, and for these the plain text is the same text with some bytes left out:

    {"M":{"order":{"S":"x"},"tries":{"N":"1"}}}
         {"order":      "x" ,"tries":       1 }

Which bytes is worked out by NumPy for thousands of values together. A value is rewritten so only if
what braces it has are its wrappers' own (no brace inside a text, nothing nested) and it has no
backslash; the others go through `plain_json`, one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from remit.aws.plain_json import plain_json

_Bytes = npt.NDArray[np.uint8]
_Mask = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]

_MAP = len('{"M":')
_STRING = len('{"S":')
_NUMBER = len('{"N":"')
_OPEN, _CLOSE, _QUOTE, _COLON, _BACKSLASH = b'{}":\\'
_PADDING = np.zeros(8, np.uint8)


def plain_json_column(column: Any) -> Any:
    """Plain JSON of AttributeValues, JSON text to JSON text (Arrow string arrays).

    The texts have to be without white space between tokens. What is not an AttributeValue, and
    what is null, gives null.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not len(column):
        return column
    texts = _Texts.of(column)
    rewritten = _rewritten(texts)
    simple = texts.simple
    others = np.flatnonzero(~simple)
    if not len(others):
        return rewritten
    values = rewritten.to_pylist()
    for position in others:
        values[position] = _plain_or_none(column[int(position)].as_py())
    return pa.array(values, pa.string())


def _plain_or_none(text: str | None) -> str | None:
    try:
        return None if text is None else plain_json(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class _Texts:
    """Texts end to end, and where in them the braces are.

    `edges` has one element more than there are texts: text n is `data[edges[n]:edges[n + 1]]`.
    `scalar` and `number` say of each opening brace whether it opens the wrapper of a string or a
    number, or of a number; `scalars` and `numbers` count them per text. `simple` says of each text
    whether leaving out bytes is enough.
    """

    data: _Bytes
    edges: _Ints
    opening: _Ints
    closing: _Ints
    scalar: _Mask
    number: _Mask
    scalars: _Ints
    numbers: _Ints
    simple: _Mask

    @classmethod
    def of(cls, column: Any) -> _Texts:
        data, edges = _buffers(column)
        padded = np.concatenate([data, _PADDING])
        opening, closing = np.flatnonzero(data == _OPEN), np.flatnonzero(data == _CLOSE)
        wraps = (
            (padded[opening + 1] == _QUOTE)
            & (padded[opening + 3] == _QUOTE)
            & (padded[opening + 4] == _COLON)
        )
        kind = padded[opening + 2]
        quoted = wraps & (padded[opening + 5] == _QUOTE)
        number = quoted & (kind == ord("N"))
        number[number] = _starts_json_number(padded, opening[number] + _NUMBER)
        scalar = number | (quoted & (kind == ord("S")))
        bounds = np.searchsorted(opening, edges)
        scalars, numbers = _count(scalar, bounds), _count(number, bounds)
        is_map = np.zeros(len(edges) - 1, bool)
        starts = edges[:-1][np.diff(edges) > 0]
        is_map[np.diff(edges) > 0] = (padded[starts + 2] == ord("M")) & (
            padded[starts + _MAP] == _OPEN
        )
        simple = (
            is_map
            & (np.diff(bounds) == scalars + 2)
            & (np.diff(np.searchsorted(closing, edges)) == scalars + 2)
        )
        if (escapes := data == _BACKSLASH).any():
            simple &= np.diff(np.searchsorted(np.flatnonzero(escapes), edges)) == 0
        return cls(data, edges, opening, closing, scalar, number, scalars, numbers, simple)


def _rewritten(texts: _Texts) -> Any:
    """The simple texts rewritten; the others as they are."""
    keep = np.ones(len(texts.data), bool)
    opens = np.repeat(texts.simple, np.diff(np.searchsorted(texts.opening, texts.edges)))
    _leave_out(keep, texts.edges[:-1][texts.simple], _MAP)
    _leave_out(keep, texts.opening[texts.scalar & ~texts.number & opens], _STRING)
    _leave_out(keep, texts.opening[texts.number & opens], _NUMBER)

    # The last two braces of a text close the map and its wrapper; the others close the wrappers of
    # scalars, in the order in which these opened.
    edges = np.searchsorted(texts.closing, texts.edges)
    of_scalar = np.repeat(texts.simple, np.diff(edges))
    last = edges[1:][texts.simple]
    of_scalar[last - 1] = of_scalar[last - 2] = False
    keep[texts.closing[last - 1]] = False
    ends = texts.closing[of_scalar]
    keep[ends] = False
    keep[ends[texts.number[texts.scalar & opens]] - 1] = False  # a number's closing quote

    strings = texts.scalars - texts.numbers
    left_out = (_MAP + 1) + strings * (_STRING + 1) + texts.numbers * (_NUMBER + 2)
    lengths = np.diff(texts.edges) - np.where(texts.simple, left_out, 0)
    new_edges = np.zeros(len(texts.edges), np.int32)
    np.cumsum(lengths, out=new_edges[1:])
    return pa.StringArray.from_buffers(
        len(texts.simple), pa.py_buffer(new_edges), pa.py_buffer(texts.data[keep])
    )


def _leave_out(keep: _Mask, starts: _Ints, count: int) -> None:
    for offset in range(count):
        keep[starts + offset] = False


def _buffers(column: Any) -> tuple[_Bytes, _Ints]:
    """The bytes of a string array and its edges, counted from the first byte."""
    _, edges, data = column.buffers()
    edges = np.frombuffer(edges, np.int32, len(column) + 1, column.offset * 4).astype(np.int64)
    content = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
    return content[edges[0] : edges[-1]], edges - edges[0]


def _count(marked: _Mask, bounds: _Ints) -> _Ints:
    """How many are marked between each bound and the next."""
    running = np.concatenate([[0], np.cumsum(marked)])
    counts: _Ints = np.diff(running[bounds])
    return counts


def _starts_json_number(padded: _Bytes, starts: _Ints) -> _Mask:
    """Whether the digits that start there are a JSON number: no plus, no leading zero. DynamoDB
    sends numbers in that form; what another writer sent is left to `plain_json`."""
    starts = np.minimum(starts, len(padded) - 2)
    first, second = padded[starts], padded[starts + 1]
    digit = (first >= ord("1")) & (first <= ord("9"))
    zero = (first == ord("0")) & ((second == _QUOTE) | (second == ord(".")))
    negative = (first == ord("-")) & (second >= ord("1")) & (second <= ord("9"))
    result: _Mask = digit | zero | negative
    return result
