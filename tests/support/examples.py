"""Answers as documents show them, against those that are given.

What is shown is compared whole: names, types, values. Ids, secrets and cursors are different each
time, so the ones that a document shows stand for those that the service has given: the first place
that shows one says which, and every other place has to have the same. `…` stands for any text, and
as a member or at the end of a list for what is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import requests

LEFT_OUT = "…"

_ID = re.compile(
    r"(?<![0-9a-zA-Z])(?:[0-9a-hjkmnp-tv-z]{26}|[0-9a-f]{32}|[0-9a-f]{16})(?![0-9a-zA-Z])"
)
"""A ULID, or hexadecimal digits."""

_WHOLE = {"next_cursor", "secret"}
"""Members whose texts are new each time."""

_VARYING = {"duration_ms"}
"""Members whose numbers are."""


class Likeness:
    """Compares, and remembers what stands for what."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = dict(known)

    def real(self, text: str) -> str:
        """A text of the document with what it stands for."""
        for shown in sorted(self._known, key=len, reverse=True):
            text = text.replace(shown, self._known[shown])
        return text

    def stands_for_something(self, real: str) -> bool:
        """Whether a document has shown what this is, in whole or as a part of it."""
        return any(one in real for one in self._known.values())

    def check(self, block: str, answer: requests.Response) -> None:
        """An answer is as the block shows it: status line, some headers, an empty line, the body.

        Raises:
            AssertionError: it is not.
        """
        head, _, body = block.partition("\n\n")
        line, *headers = head.splitlines()
        # The phrase of 422 is another one in later versions of Python.
        assert re.fullmatch(rf"HTTP/1\.1 {answer.status_code} [A-Z][A-Za-z ]+", line), answer.text
        for header in headers:
            name, _, value = header.partition(": ")
            self._text(f"header {name}", value, answer.headers[name])
        if not body.strip():
            assert not answer.content, answer.text
            return
        self.compare("body", json.loads(body), answer.json())

    def compare(self, where: str, shown: Any, given: Any) -> None:
        """Raises:
        AssertionError: what is given is not what is shown.
        """
        assert type(shown) is type(given), f"{where}: {shown!r} is shown, and {given!r} given"
        match shown:
            case dict():
                self._members(where, shown, given)
            case list():
                self._elements(where, shown, given)
            case str():
                self._text(where, shown, given)
            case _:
                assert shown == given, f"{where}: {shown!r} is shown, and {given!r} given"

    def _members(self, where: str, shown: dict[str, Any], given: dict[str, Any]) -> None:
        names = shown.keys() - {LEFT_OUT}
        if LEFT_OUT in shown:
            assert names < given.keys(), f"{where}: {names - given.keys()}"
        else:
            assert names == given.keys(), f"{where}: {names ^ given.keys()}"
        for name, one in shown.items():
            if name == LEFT_OUT:
                continue
            place, other = f"{where}.{name}", given[name]
            if name in _WHOLE and isinstance(one, str) and isinstance(other, str):
                self._stands_for(place, one, other)
            elif name in _VARYING and type(one) is int is type(other):
                continue
            else:
                self.compare(place, one, other)

    def _elements(self, where: str, shown: list[Any], given: list[Any]) -> None:
        if shown[-1:] == [LEFT_OUT]:
            shown = shown[:-1]
            assert len(given) > len(shown), f"{where}: nothing is left out"
        else:
            assert len(given) == len(shown), f"{where}: {len(given)} are given: {given}"
        for number, (one, other) in enumerate(zip(shown, given, strict=False)):
            self.compare(f"{where}[{number}]", one, other)

    def _text(self, where: str, shown: str, given: str) -> None:
        # What is known stands in the text already; what is left of ids is new.
        if shown in self._known:
            assert given == self._known[shown], f"{where}: {given!r}"
            return
        pattern, names, place = "", [], 0
        for found in _ID.finditer(shown):
            pattern += _literal(shown[place : found.start()])
            real = self._known.get(found[0])
            if real is None:
                names.append(found[0])
                pattern += f"({_ID.pattern})"
            else:
                pattern += re.escape(real)
            place = found.end()
        pattern += _literal(shown[place:])
        match = re.fullmatch(pattern, given, re.DOTALL)
        assert match, f"{where}: {shown!r} is shown, and {given!r} given"
        for name, real in zip(names, match.groups(), strict=True):
            self._stands_for(where, name, real)

    def _stands_for(self, where: str, shown: str, real: str) -> None:
        assert self._known.setdefault(shown, real) == real, f"{where}: another {shown!r}"
        others = [text for text, one in self._known.items() if one == real and text != shown]
        assert not others, f"{where}: {shown!r} is shown as {others[0]!r} before"


def _literal(text: str) -> str:
    return ".*".join(map(re.escape, text.split(LEFT_OUT)))
