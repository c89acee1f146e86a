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

from collections.abc import Callable, Mapping
from typing import TypeVar

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
from benchmarks.standins.dynamodb.tokens import Cursor

_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_KEYWORDS = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"})
_FUNCTIONS = {  # and how many arguments each takes
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
}

_Node = TypeVar("_Node")


def parse_condition(
    text: str, names: Mapping[str, str], kind: str = "ConditionExpression"
) -> Parsed[Condition]:
    """A condition, filter or key condition; `kind` is the member of the request, for messages.

    Raises:
        InvalidRequest: it does not parse, or a name is not defined.
    """
    parser = _Parser(text, names, kind)
    tree = parser.whole(parser.condition)
    return Parsed(tree, frozenset(parser.names), frozenset(parser.values))


def parse_update(text: str, names: Mapping[str, str]) -> Parsed[Update]:
    """An update expression.

    Raises:
        InvalidRequest: it does not parse, or a name is not defined.
    """
    parser = _Parser(text, names, "UpdateExpression")
    tree = parser.whole(parser.update)
    return Parsed(tree, frozenset(parser.names), frozenset(parser.values))


def parse_projection(text: str, names: Mapping[str, str]) -> Parsed[Projection]:
    """A projection expression.

    Raises:
        InvalidRequest: it does not parse, or a name is not defined.
    """
    parser = _Parser(text, names, "ProjectionExpression")
    tree = parser.whole(lambda: parser.several(parser.path))
    return Parsed(tree, frozenset(parser.names), frozenset(parser.values))


class _Parser(Cursor):
    """One pass over one expression; `names` and `values` collect the placeholders it uses."""

    def __init__(self, text: str, aliases: Mapping[str, str], kind: str) -> None:
        super().__init__(text, kind)
        self._aliases = aliases
        self.names: set[str] = set()
        self.values: set[str] = set()

    def whole(self, rule: Callable[[], _Node]) -> _Node:
        """The expression by a rule, which must take all of it."""
        tree = rule()
        if not self.at_end:
            raise self.unexpected()
        return tree

    def several(self, rule: Callable[[], _Node]) -> tuple[_Node, ...]:
        """One or more, with commas between them."""
        nodes = [rule()]
        while self.took(","):
            nodes.append(rule())
        return tuple(nodes)

    def condition(self) -> Condition:
        left = self._and()
        while self.took("OR"):
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
        while not self.at_end:
            clause = self.next().upper()
            if clause not in rules:
                raise self.unexpected(back=1)
            if clause in clauses:
                raise self.error(
                    f'The "{clause}" section can only be used once in an update expression;'
                )
            clauses[clause] = self.several(rules[clause])
        return Update(*(clauses.get(clause, ()) for clause in rules))  # type: ignore[arg-type]

    def path(self) -> Path:
        steps: list[str | int] = [self._name()]
        while True:
            if self.took("."):
                steps.append(self._name())
            elif self.took("["):
                index = self.next()
                if not index.isdigit():
                    self._at -= 1
                    raise self.unexpected()
                steps.append(int(index))
                self.expect("]")
            else:
                return Path(tuple(steps))

    def _and(self) -> Condition:
        left = self._not()
        while self.took("AND"):
            left = And(left, self._not())
        return left

    def _not(self) -> Condition:
        if self.took("NOT"):
            return Not(self._not())
        if self.took("("):
            inner = self.condition()
            self.expect(")")
            return inner
        if self.follows("(") and self.peek() != "size":
            return self._call()
        return self._comparison()

    def _call(self) -> Call:
        name = self.next()
        if name not in _FUNCTIONS:
            raise self.error(f"Invalid function name; function: {name}")
        self.expect("(")
        arguments = self.several(self._operand)
        self.expect(")")
        if len(arguments) != _FUNCTIONS[name]:
            raise self.error(
                "Incorrect number of operands for operator or function; operator or function:"
                f" {name}, number of operands: {len(arguments)}"
            )
        if not isinstance(arguments[0], Path):
            raise self.error(
                f"Operator or function requires a document path; operator or function: {name}"
            )
        return Call(name, arguments)

    def _comparison(self) -> Condition:
        left = self._operand()
        if self.took("BETWEEN"):
            low = self._operand()
            self.expect("AND")
            return Between(left, low, self._operand())
        if self.took("IN"):
            self.expect("(")
            options = self.several(self._operand)
            self.expect(")")
            return In(left, options)
        operator = self.next()
        if operator not in _COMPARISONS:
            raise self.unexpected(back=1)
        return Comparison(operator, left, self._operand())

    def _operand(self) -> Operand:
        if self.peek().startswith(":"):
            return self._value()
        if self.peek() == "size" and self.follows("("):
            self.next()
            self.next()
            path = self.path()
            self.expect(")")
            return Size(path)
        return self.path()

    def _set(self) -> tuple[Path, SetOperand]:
        path = self.path()
        self.expect("=")
        return path, self._sum()

    def _sum(self) -> SetOperand:
        left = self._term()
        for operator in ("+", "-"):
            if self.took(operator):
                return Arithmetic(operator, left, self._term())
        return left

    def _term(self) -> SetOperand:
        if self.peek().startswith(":"):
            return self._value()
        if self.took("("):
            inner = self._sum()
            self.expect(")")
            return inner
        if not self.follows("("):
            return self.path()
        name = self.next()
        self.expect("(")
        term: SetOperand
        if name == "if_not_exists":
            path = self.path()
            self.expect(",")
            term = IfNotExists(path, self._term())
        elif name == "list_append":
            first = self._term()
            self.expect(",")
            term = ListAppend(first, self._term())
        else:
            raise self.error(f"Invalid function name; function: {name}")
        self.expect(")")
        return term

    def _path_and_value(self) -> tuple[Path, Bound]:
        return self.path(), self._value()

    def _value(self) -> Bound:
        token = self.next()
        if not token.startswith(":"):
            raise self.unexpected(back=1)
        self.values.add(token)
        return Bound(token)

    def _name(self) -> str:
        token = self.next()
        if token.startswith("#"):
            if token not in self._aliases:
                raise self.error(
                    "An expression attribute name used in the document path is not defined;"
                    f" attribute name: {token}"
                )
            self.names.add(token)
            return self._aliases[token]
        if not token[0].isalpha() or token.upper() in _KEYWORDS:
            raise self.unexpected(back=1)
        return token
