"""The tokens of an expression, and a cursor over them."""

from __future__ import annotations

import re

from benchmarks.standins.dynamodb.errors import InvalidRequest

_TOKEN = re.compile(r"\s*(?:([#:]?[A-Za-z0-9_]+)|(<>|<=|>=|[=<>(),.\[\]+-]))")
_END = "<EOF>"


def tokens_of(text: str) -> list[str]:
    """The tokens of an expression, in order.

    Raises:
        ValueError: there is a character that no token begins with; the message is the rest.
    """
    tokens, at = [], 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(text[at:].strip())
        tokens.append(match[1] or match[2])
        at = match.end()
    return tokens


class Cursor:
    """A place among the tokens of one expression; `kind` is what messages call it."""

    def __init__(self, text: str, kind: str) -> None:
        self._kind = kind
        self._at = 0
        if not text.strip():
            raise InvalidRequest(f"Invalid {kind}: The expression can not be empty;")
        try:
            self._tokens = tokens_of(text)
        except ValueError as error:
            raise self._syntax_error(str(error)[:1], str(error)[:20]) from None

    @property
    def at_end(self) -> bool:
        """Whether every token was taken."""
        return self._at == len(self._tokens)

    def peek(self) -> str:
        """The token that comes next."""
        return _END if self.at_end else self._tokens[self._at]

    def follows(self, token: str) -> bool:
        """Whether a token comes after the next one."""
        return self._tokens[self._at + 1 : self._at + 2] == [token]

    def next(self) -> str:
        """Take a token, whatever it is."""
        if self.at_end:
            raise self.unexpected()
        self._at += 1
        return self._tokens[self._at - 1]

    def took(self, token: str) -> bool:
        """Take a token if it comes next; keywords are the same in any case."""
        if self.peek().upper() != token:
            return False
        self._at += 1
        return True

    def expect(self, token: str) -> None:
        """Take a token, which must be this one."""
        if not self.took(token):
            raise self.unexpected()

    def unexpected(self, back: int = 0) -> InvalidRequest:
        """The error about the next token, or about one that was taken just now."""
        at = self._at - back
        near = " ".join(self._tokens[max(0, at - 1) : at + 2])
        return self._syntax_error([*self._tokens, _END][at], near)

    def error(self, what: str) -> InvalidRequest:
        """An error in the expression."""
        return InvalidRequest(f"Invalid {self._kind}: {what}")

    def _syntax_error(self, token: str, near: str) -> InvalidRequest:
        return self.error(f'Syntax error; token: "{token}", near: "{near}"')
