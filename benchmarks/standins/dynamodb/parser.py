"""The expression language: conditions, filters, key conditions, updates and projections.

A recursive descent over tokens; names (`#n`) are resolved on the way, values (`:v`) stay
placeholders, so that a tree serves every request with the same text.

    condition  = and {"OR" and}
    and        = not {"AND" not}
    not        = "NOT" not | "(" condition ")" | function | operand comparison
    comparison = ("=" | "<>" | "<" | "<=" | ">" | ">=") operand
               | "BETWEEN" operand "AND" operand | "IN" "(" operand {"," operand} ")"
    operand    = path | :value | "size" "(" path ")"
    update     = {"SET" set {"," set} | "REMOVE" path {"," path}
               | ("ADD" | "DELETE") path :value {"," path :value}}
    set        = path "=" term [("+" | "-") term]
    term       = path | :value | "if_not_exists" "(" path "," term ")"
               | "list_append" "(" term "," term ")" | "(" term [("+" | "-") term] ")"

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.syntax import (
    And,
    Arithmetic,
    Between,
    Bound,
    Call,
    Comparison,
    Condition,
    IfNotExists,
    In,
    ListAppend,
    Not,
    Operand,
    Or,
    Parsed,
    Path,
    Projection,
    SetOperand,
    Size,
    Update,
)

_TOKEN = re.compile(r"\s*(?:([#:]?[A-Za-z0-9_]+)|(<>|<=|>=|[=<>(),.\[\]+-]))")
_END = "<EOF>"
_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_KEYWORDS = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"})
_FUNCTIONS = {  # and how many arguments each takes
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
}
_CACHED = 1024

_Node = TypeVar("_Node")


def parse_condition(
    text: str, names: Mapping[str, str], kind: str = "ConditionExpression"
) -> Parsed[Condition]:
    """A condition, filter or key condition; `kind` is the member of the request, for messages.

    Raises:
        InvalidRequest: it does not parse, or a name is not defined.
    """
    return _condition(text, tuple(names.items()), kind)


def parse_update(text: str, names: Mapping[str, str]) -> Parsed[Update]:
    """An update expression.

    Raises:
        InvalidRequest: it does not parse, or a name is not defined.
    """
    return _update(text, tuple(names.items()))


def parse_projection(text: str, names: Mapping[str, str]) -> Parsed[Projection]:
    """A projection expression.

    Raises:
        InvalidRequest: it does not parse, or a name is not defined.
    """
    return _projection(text, tuple(names.items()))


Names = tuple[tuple[str, str], ...]


@lru_cache(_CACHED)
def _condition(text: str, names: Names, kind: str) -> Parsed[Condition]:
    parser = _Parser(text, dict(names), kind)
    tree = parser.whole(parser.condition)
    return Parsed(tree, frozenset(parser.names), frozenset(parser.values))


@lru_cache(_CACHED)
def _update(text: str, names: Names) -> Parsed[Update]:
    parser = _Parser(text, dict(names), "UpdateExpression")
    tree = parser.whole(parser.update)
    return Parsed(tree, frozenset(parser.names), frozenset(parser.values))


@lru_cache(_CACHED)
def _projection(text: str, names: Names) -> Parsed[Projection]:
    parser = _Parser(text, dict(names), "ProjectionExpression")
    tree = parser.whole(lambda: parser.several(parser.path))
    return Parsed(tree, frozenset(parser.names), frozenset(parser.values))


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


class _Parser:
    """One pass over one expression; `names` and `values` collect the placeholders it uses."""

    def __init__(self, text: str, aliases: Mapping[str, str], kind: str) -> None:
        self._kind = kind
        self._aliases = aliases
        self._at = 0
        self.names: set[str] = set()
        self.values: set[str] = set()
        if not text.strip():
            raise InvalidRequest(f"Invalid {kind}: The expression can not be empty;")
        try:
            self._tokens = tokens_of(text)
        except ValueError as error:
            raise self._syntax_error(str(error)[:1], str(error)[:20]) from None

    def whole(self, rule: Callable[[], _Node]) -> _Node:
        """The expression by a rule, which must take all of it."""
        tree = rule()
        if self._at < len(self._tokens):
            raise self._unexpected()
        return tree

    def several(self, rule: Callable[[], _Node]) -> tuple[_Node, ...]:
        """One or more, with commas between them."""
        nodes = [rule()]
        while self._took(","):
            nodes.append(rule())
        return tuple(nodes)

    def condition(self) -> Condition:
        left = self._and()
        while self._took("OR"):
            left = Or(left, self._and())
        return left

    def update(self) -> Update:
        clauses: dict[str, tuple[object, ...]] = {}
        rules: dict[str, Callable[[], object]] = {
            "SET": self._set,
            "REMOVE": self.path,
            "ADD": self._path_and_value,
            "DELETE": self._path_and_value,
        }
        while self._at < len(self._tokens):
            clause = self._next().upper()
            if clause not in rules:
                self._at -= 1
                raise self._unexpected()
            if clause in clauses:
                raise self._error(
                    f'The "{clause}" section can only be used once in an update expression;'
                )
            clauses[clause] = self.several(rules[clause])
        return Update(*(clauses.get(clause, ()) for clause in rules))  # type: ignore[arg-type]

    def path(self) -> Path:
        steps: list[str | int] = [self._name()]
        while True:
            if self._took("."):
                steps.append(self._name())
            elif self._took("["):
                index = self._next()
                if not index.isdigit():
                    self._at -= 1
                    raise self._unexpected()
                steps.append(int(index))
                self._expect("]")
            else:
                return Path(tuple(steps))

    def _and(self) -> Condition:
        left = self._not()
        while self._took("AND"):
            left = And(left, self._not())
        return left

    def _not(self) -> Condition:
        if self._took("NOT"):
            return Not(self._not())
        if self._took("("):
            inner = self.condition()
            self._expect(")")
            return inner
        if self._follows("(", ahead=1) and self._peek() != "size":
            return self._call()
        return self._comparison()

    def _call(self) -> Call:
        name = self._next()
        if name not in _FUNCTIONS:
            raise self._error(f"Invalid function name; function: {name}")
        self._expect("(")
        arguments = self.several(self._operand)
        self._expect(")")
        if len(arguments) != _FUNCTIONS[name]:
            raise self._error(
                "Incorrect number of operands for operator or function; operator or function:"
                f" {name}, number of operands: {len(arguments)}"
            )
        if not isinstance(arguments[0], Path):
            raise self._error(
                f"Operator or function requires a document path; operator or function: {name}"
            )
        return Call(name, arguments)

    def _comparison(self) -> Condition:
        left = self._operand()
        if self._took("BETWEEN"):
            low = self._operand()
            self._expect("AND")
            return Between(left, low, self._operand())
        if self._took("IN"):
            self._expect("(")
            options = self.several(self._operand)
            self._expect(")")
            return In(left, options)
        operator = self._next()
        if operator not in _COMPARISONS:
            self._at -= 1
            raise self._unexpected()
        return Comparison(operator, left, self._operand())

    def _operand(self) -> Operand:
        if self._peek().startswith(":"):
            return self._value()
        if self._peek() == "size" and self._follows("(", ahead=1):
            self._at += 2
            path = self.path()
            self._expect(")")
            return Size(path)
        return self.path()

    def _set(self) -> tuple[Path, SetOperand]:
        path = self.path()
        self._expect("=")
        return path, self._sum()

    def _sum(self) -> SetOperand:
        left = self._term()
        for operator in ("+", "-"):
            if self._took(operator):
                return Arithmetic(operator, left, self._term())
        return left

    def _term(self) -> SetOperand:
        if self._peek().startswith(":"):
            return self._value()
        if self._took("("):
            inner = self._sum()
            self._expect(")")
            return inner
        if not self._follows("(", ahead=1):
            return self.path()
        name = self._next()
        self._expect("(")
        term: SetOperand
        if name == "if_not_exists":
            path = self.path()
            self._expect(",")
            term = IfNotExists(path, self._term())
        elif name == "list_append":
            first = self._term()
            self._expect(",")
            term = ListAppend(first, self._term())
        else:
            raise self._error(f"Invalid function name; function: {name}")
        self._expect(")")
        return term

    def _path_and_value(self) -> tuple[Path, Bound]:
        return self.path(), self._value()

    def _value(self) -> Bound:
        token = self._next()
        if not token.startswith(":"):
            self._at -= 1
            raise self._unexpected()
        self.values.add(token)
        return Bound(token)

    def _name(self) -> str:
        token = self._next()
        if token.startswith("#"):
            if token not in self._aliases:
                raise self._error(
                    "An expression attribute name used in the document path is not defined;"
                    f" attribute name: {token}"
                )
            self.names.add(token)
            return self._aliases[token]
        if not token[0].isalpha() or token.upper() in _KEYWORDS:
            self._at -= 1
            raise self._unexpected()
        return token

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def _follows(self, token: str, ahead: int) -> bool:
        return self._tokens[self._at + ahead : self._at + ahead + 1] == [token]

    def _next(self) -> str:
        token = self._peek()
        if token == _END:
            raise self._unexpected()
        self._at += 1
        return token

    def _took(self, token: str) -> bool:
        """Pass a token if it comes next; keywords are the same in any case."""
        if self._peek().upper() != token:
            return False
        self._at += 1
        return True

    def _expect(self, token: str) -> None:
        if not self._took(token):
            raise self._unexpected()

    def _unexpected(self) -> InvalidRequest:
        near = " ".join(self._tokens[max(0, self._at - 1) : self._at + 2])
        return self._syntax_error(self._peek(), near)

    def _syntax_error(self, token: str, near: str) -> InvalidRequest:
        return self._error(f'Syntax error; token: "{token}", near: "{near}"')

    def _error(self, what: str) -> InvalidRequest:
        return InvalidRequest(f"Invalid {self._kind}: {what}")
