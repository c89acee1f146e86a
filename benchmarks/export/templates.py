"""Pages of items as JSON, rendered once and filled in for the rows of a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.export.shapes import EXAMPLE_TIME, ID_DIGITS, Item

_THREE = np.frombuffer("".join(f"{n:03}" for n in range(1000)).encode(), np.uint8).reshape(-1, 3)

Numbers = npt.NDArray[np.int64]
Texts = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Template:
    """A page's items as JSON, and where in it each item starts and its digits are."""

    text: Texts
    starts: Numbers
    ids: Numbers
    created: Numbers
    updated: Numbers

    @classmethod
    def of(cls, items: list[Item]) -> Template:
        """Render the items."""
        texts = [json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in items]
        encoded = [text.encode() + b"," for text in texts]
        text = b"".join(encoded)
        places = (
            np.fromiter(_find(text, before), np.int64)
            for before in (b'"id":{"S":"pay_', b'"createdAt":{"S":"', b'"updatedAt":{"S":"')
        )
        starts = np.cumsum([0, *map(len, encoded)])
        return cls(np.frombuffer(text, np.uint8), starts, *places)

    def filled(self, offset: int, rows: Numbers, micros: Numbers) -> memoryview:
        """The items from `offset` on, with the numbers and the times (in microseconds of the month)
        of these rows; no comma at the end."""
        start, end = self.starts[offset], self.starts[offset + len(rows)]
        text = self.text[start : end - 1].copy()
        here = slice(offset, offset + len(rows))
        times = _times(micros)
        for places, digits in (
            (self.ids, _number(rows, ID_DIGITS)),
            (self.created, times),
            (self.updated, times),
        ):
            text[(places[here] - start)[:, None] + np.arange(digits.shape[1])] = digits
        return memoryview(text)


def _find(text: bytes, before: bytes) -> Iterator[int]:
    """Every place behind a text."""
    place = text.find(before)
    while place >= 0:
        yield place + len(before)
        place = text.find(before, place + len(before))


def _number(values: Numbers, width: int) -> Texts:
    """Numbers as digits of one width, a multiple of three or cut from the left."""
    groups = []
    for _ in range(-(-width // 3)):
        values, group = np.divmod(values, 1000)
        groups.append(_THREE[group])
    return np.concatenate(groups[::-1], axis=1)[:, -width:]


def _times(micros: Numbers) -> Texts:
    """Microseconds of the month as the texts of `createdAt`; the month does not end."""
    texts = np.tile(np.frombuffer(EXAMPLE_TIME.encode(), np.uint8), (len(micros), 1))
    seconds, micros = np.divmod(micros, 1_000_000)
    minutes, second = np.divmod(seconds, 60)
    hours, minute = np.divmod(minutes, 60)
    days, hour = np.divmod(hours, 24)
    for place, value in ((8, days + 1), (11, hour), (14, minute), (17, second)):
        texts[:, place : place + 2] = _THREE[value][:, 1:]
    texts[:, 20:26] = _number(micros, 6)
    return texts
