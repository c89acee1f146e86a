"""`plain_json` for a column: the common maps are rewritten as bytes, all at once.

An attribute like `{"M":{"order":{"S":"x"},"tries":{"N":"1"}}}` costs 3.5 µs as Python objects, more
than everything else that is done for an exported row. Almost all maps hold only strings and
numbers, and for these the plain text is the same text with some bytes left out:

    {"M":{"order":{"S":"x"},"tries":{"N":"1"}}}
         {"order":      "x" ,"tries":       1 }

Which bytes is worked out by NumPy for thousands of texts together. A text is *simple* if that is
all it takes: it begins with `{"M":{`, all its other braces are the wrappers of strings and numbers
(none is inside a text, nothing is nested), and it has no backslash. The others go through
`plain_json`, one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from remit.aws.plain_json import plain_json

_Bytes = npt.NDArray[np.uint8]
_Mask = npt.NDArray[np.bool_]
_Ints = npt.NDArray[np.int64]

_MAP = len('{"M":')
_NUMBER = len('{"N":"')
_WRAPPER = len('{"S":') + len("}")
_OPEN, _CLOSE, _QUOTE, _COLON, _BACKSLASH = b'{}":\\'
_PADDING = np.zeros(8, np.uint8)


def plain_json_column(column: Any) -> Any:
    """Plain JSON of AttributeValues, JSON text to JSON text (Arrow string arrays).

    The texts have to be without white space between tokens. What is null gives null, and so does
    what is no AttributeValue, if it is looked at: that a map of strings and numbers has one key
    outside and that its digits are a number is DynamoDB's word, and not looked at again.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not len(column):
        return column
    texts = _Texts.of(column)
    if texts.all_simple:
        rewritten = texts.rewritten()
        return pc.if_else(column.is_valid(), rewritten, None) if column.null_count else rewritten
    simple = texts.simple
    values = [
        None if is_simple else _plain_or_none(text.as_py())
        for text, is_simple in zip(column, simple, strict=True)
    ]
    others = pa.array(values, pa.string())
    if not simple.any():
        return others
    mask = pa.array(simple)
    return pc.replace_with_mask(others, mask, _Texts.of(column.filter(mask)).rewritten())


def _plain_or_none(text: str | None) -> str | None:
    try:
        return None if text is None else plain_json(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class _Texts:
    """Texts end to end, and what is where in them.

    `edges` has one element more than there are texts: text n is `data[edges[n]:edges[n + 1]]`.
    Masks say of each byte of `data` what it is. `starts` are the places where the wrapper of a
    string or of a number opens, `number` says which of them are numbers', and `ends` are the
    closing quotes before a brace. Nothing at all is a text of no bytes.
    """

    data: _Bytes
    edges: _Ints
    opening: _Mask
    closing: _Mask
    escapes: _Mask
    starts: _Ints
    number: _Mask
    ends: _Ints
    filled: _Mask
    maps: _Mask

    @classmethod
    def of(cls, column: Any) -> _Texts:
        data, edges = _buffers(column)
        size = len(data)
        padded = np.concatenate([data, _PADDING])
        quotes, opening, closing = padded == _QUOTE, data == _OPEN, padded == _CLOSE
        kind = padded[2 : size + 2]
        scalars = (kind == ord("S")) | (kind == ord("N"))
        for expected in (opening, quotes[1:], quotes[3:], padded[4:] == _COLON, quotes[5:]):
            scalars &= expected[:size]
        starts = np.flatnonzero(scalars)
        number = kind[starts] == ord("N")
        readable = ~number
        readable[number] = _starts_json_number(padded, starts[number] + _NUMBER)
        starts, number = starts[readable], number[readable]
        ends = np.flatnonzero(quotes[:size] & closing[1 : size + 1])
        filled = np.diff(edges) > 0
        maps = filled & (padded[edges[:-1] + 2] == ord("M")) & (padded[edges[:-1] + _MAP] == _OPEN)
        escapes = data == _BACKSLASH
        return cls(
            data, edges, opening, closing[:size], escapes, starts, number, ends, filled, maps
        )

    @property
    def all_simple(self) -> bool:
        """Whether every text is simple or empty. A map has at least two braces of each kind beside
        those of its scalars: if all maps together have no more, none of them has."""
        maps = np.count_nonzero(self.maps)
        braces = len(self.starts) + 2 * maps
        return bool(
            maps == np.count_nonzero(self.filled)
            and braces == np.count_nonzero(self.opening) == np.count_nonzero(self.closing)
            and len(self.ends) == len(self.starts)
            and not self.escapes.any()
        )

    @property
    def simple(self) -> _Mask:
        """Of each text, whether it is simple."""
        scalars = self._count(self.starts)
        simple: _Mask = (
            self.maps
            & (self._count(np.flatnonzero(self.opening)) == scalars + 2)
            & (self._count(np.flatnonzero(self.closing)) == scalars + 2)
            & (self._count(self.ends) == scalars)
            & (self._count(np.flatnonzero(self.escapes)) == 0)
        )
        return simple

    def rewritten(self) -> Any:
        """The texts rewritten; all of them have to be simple or empty."""
        wrappers = np.zeros(len(self.data), bool)
        wrappers[self.starts] = True
        wrappers[self.edges[:-1][self.filled]] = True
        # All braces, and of each wrapper what stands before the value: five bytes, and before a
        # number its quote. What stays is the brace that closes the map, the last but one.
        left_out = self.closing | _with_the_four_behind(wrappers)
        left_out[self.edges[1:][self.filled] - 2] = False
        # Scalars do not nest: the first quote that ends one belongs to the first that begins.
        left_out[self.starts[self.number] + _NUMBER - 1] = True
        left_out[self.ends[self.number]] = True

        scalars, numbers = self._count(self.starts), self._count(self.starts[self.number])
        fewer = np.where(self.filled, _WRAPPER + _WRAPPER * scalars + 2 * numbers, 0)
        edges = np.zeros(len(self.edges), np.int32)
        np.cumsum(np.diff(self.edges) - fewer, out=edges[1:])
        return pa.StringArray.from_buffers(
            len(self.filled), pa.py_buffer(edges), pa.py_buffer(self.data[~left_out])
        )

    def _count(self, places: _Ints) -> _Ints:
        """How many of the places are in each text."""
        counts: _Ints = np.diff(np.searchsorted(places, self.edges))
        return counts


def _with_the_four_behind(marked: _Mask) -> _Mask:
    """Whether a byte, or one of the four before it, is marked: doubled twice, and one more."""
    two = marked.copy()
    two[1:] |= marked[:-1]
    five = two.copy()
    five[2:] |= two[:-2]
    five[4:] |= marked[:-4]
    return five


def _buffers(column: Any) -> tuple[_Bytes, _Ints]:
    """The bytes of a string array and its edges, counted from the first byte."""
    _, edges, data = column.buffers()
    edges = np.frombuffer(edges, np.int32, len(column) + 1, column.offset * 4).astype(np.int64)
    content = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
    return content[edges[0] : edges[-1]], edges - edges[0]


def _starts_json_number(padded: _Bytes, starts: _Ints) -> _Mask:
    """Whether the digits that start there are a JSON number: no plus, no leading zero. DynamoDB
    sends numbers in that form; what another writer sent is left to `plain_json`."""
    first, second = padded[starts], padded[starts + 1]
    digit = (first >= ord("1")) & (first <= ord("9"))
    zero = (first == ord("0")) & ((second == _QUOTE) | (second == ord(".")))
    negative = (first == ord("-")) & (second >= ord("1")) & (second <= ord("9"))
    result: _Mask = digit | zero | negative
    return result
