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
_STRING = len('{"S":')
_NUMBER = len('{"N":"')
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
    """Texts end to end, and where in them the braces are.

    `edges` has one element more than there are texts: text n is `data[edges[n]:edges[n + 1]]`, and
    `bounds` says the same of the opening braces. `string` and `number` say of each opening brace
    whether it opens the wrapper of a string or of a number. Nothing at all is a text of no bytes.
    """

    data: _Bytes
    edges: _Ints
    opening: _Ints
    closing: _Ints
    bounds: _Ints
    string: _Mask
    number: _Mask
    filled: _Mask
    maps: _Mask
    escapes: _Mask

    @classmethod
    def of(cls, column: Any) -> _Texts:
        data, edges = _buffers(column)
        padded = np.concatenate([data, _PADDING])
        opening, closing = np.flatnonzero(data == _OPEN), np.flatnonzero(data == _CLOSE)
        has_text = (
            (padded[opening + 1] == _QUOTE)
            & (padded[opening + 3] == _QUOTE)
            & (padded[opening + 4] == _COLON)
            & (padded[opening + 5] == _QUOTE)
        )
        kind = padded[opening + 2]
        string, number = has_text & (kind == ord("S")), has_text & (kind == ord("N"))
        number[number] = _starts_json_number(padded, opening[number] + _NUMBER)
        filled = np.diff(edges) > 0
        maps = filled & (padded[edges[:-1] + 2] == ord("M")) & (padded[edges[:-1] + _MAP] == _OPEN)
        bounds = np.searchsorted(opening, edges)
        escapes = data == _BACKSLASH
        return cls(data, edges, opening, closing, bounds, string, number, filled, maps, escapes)

    @property
    def all_simple(self) -> bool:
        """Whether every text is simple or empty. A map has at least two braces of each kind beside
        those of its scalars: if all maps together have no more, none of them has."""
        maps = np.count_nonzero(self.maps)
        braces = np.count_nonzero(self.string) + np.count_nonzero(self.number) + 2 * maps
        return bool(
            maps == np.count_nonzero(self.filled)
            and braces == len(self.opening) == len(self.closing)
            and not self.escapes.any()
        )

    @property
    def simple(self) -> _Mask:
        """Of each text, whether it is simple."""
        scalars = _count(self.string | self.number, self.bounds)
        closing = np.diff(np.searchsorted(self.closing, self.edges))
        escapes = np.diff(np.searchsorted(np.flatnonzero(self.escapes), self.edges))
        simple: _Mask = (
            self.maps
            & (np.diff(self.bounds) == scalars + 2)
            & (closing == scalars + 2)
            & (escapes == 0)
        )
        return simple

    def rewritten(self) -> Any:
        """The texts rewritten; all of them have to be simple or empty."""
        keep = np.ones(len(self.data), bool)
        _leave_out(keep, self.edges[:-1][self.filled], _MAP)
        _leave_out(keep, self.opening[self.string], _STRING)
        _leave_out(keep, self.opening[self.number], _NUMBER)

        # The last two braces of a text close the map and its wrapper; the others close the
        # wrappers of scalars, in the order in which these opened.
        last = self.bounds[1:][self.filled]
        keep[self.closing[last - 1]] = False
        of_scalar = np.ones(len(self.closing), bool)
        of_scalar[last - 1] = of_scalar[last - 2] = False
        ends = self.closing[of_scalar]
        keep[ends] = False
        is_number = self.number[self.string | self.number]
        keep[ends[is_number] - 1] = False  # a number's closing quote

        numbers = np.diff(np.searchsorted(self.opening[self.number], self.edges))
        strings = np.diff(self.bounds) - 2 - numbers
        left_out = (_MAP + 1) + strings * (_STRING + 1) + numbers * (_NUMBER + 2)
        edges = np.zeros(len(self.edges), np.int32)
        np.cumsum(np.diff(self.edges) - np.where(self.filled, left_out, 0), out=edges[1:])
        return pa.StringArray.from_buffers(
            len(self.filled), pa.py_buffer(edges), pa.py_buffer(self.data[keep])
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
    first, second = padded[starts], padded[starts + 1]
    digit = (first >= ord("1")) & (first <= ord("9"))
    zero = (first == ord("0")) & ((second == _QUOTE) | (second == ord(".")))
    negative = (first == ord("-")) & (second >= ord("1")) & (second <= ord("9"))
    result: _Mask = digit | zero | negative
    return result
