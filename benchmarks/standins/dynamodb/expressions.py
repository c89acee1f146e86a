"""The expressions of one request, with its names and values checked against what they use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from benchmarks.standins.dynamodb.conditions import Values, holds
from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.parser import parse_condition, parse_projection, parse_update
from benchmarks.standins.dynamodb.syntax import Condition, Parsed, Projection, Update
from benchmarks.standins.dynamodb.values import Item, checked_item

_LEGACY = frozenset(
    {
        "AttributesToGet",
        "AttributeUpdates",
        "ConditionalOperator",
        "Expected",
        "KeyConditions",
        "QueryFilter",
        "ScanFilter",
    }
)


class Expressions:
    """What a request says in expressions; parsed once, at the start.

    Raises:
        InvalidRequest: one does not parse, or names and values are missing or unused.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        if legacy := _LEGACY & request.keys():
            raise InvalidRequest(f"the stand-in knows expressions, not {sorted(legacy)}")
        self._names: Mapping[str, str] = request.get("ExpressionAttributeNames") or {}
        self._request = request
        self.values: Values = {}
        if "ExpressionAttributeValues" in request:
            self.values = checked_item(request["ExpressionAttributeValues"])
            if not self.values:
                raise InvalidRequest("ExpressionAttributeValues must not be empty")
        self.condition = self._condition("ConditionExpression")
        self.key_condition = self._condition("KeyConditionExpression")
        self.filter = self._condition("FilterExpression")
        self._check_use()

    @cached_property
    def update(self) -> Parsed[Update] | None:
        """The update."""
        text = self._request.get("UpdateExpression")
        return None if text is None else parse_update(text, self._names)

    @cached_property
    def projection(self) -> Parsed[Projection] | None:
        """The attributes that are wanted."""
        text = self._request.get("ProjectionExpression")
        return None if text is None else parse_projection(text, self._names)

    def permits(self, item: Item | None) -> bool:
        """Whether the write's condition holds for the item that is there, or for none."""
        return self.condition is None or holds(self.condition.tree, item or {}, self.values)

    def lets_through(self, item: Item) -> bool:
        """Whether the filter lets an item through."""
        return self.filter is None or holds(self.filter.tree, item, self.values)

    def _condition(self, kind: str) -> Parsed[Condition] | None:
        text = self._request.get(kind)
        return None if text is None else parse_condition(text, self._names, kind)

    def _check_use(self) -> None:
        parsed = (self.condition, self.key_condition, self.filter, self.update, self.projection)
        names: set[str] = set()
        values: set[str] = set()
        for expression in parsed:
            if expression is not None:
                names |= expression.names
                values |= expression.values
        if missing := values - self.values.keys():
            raise InvalidRequest(
                "Invalid expression: An expression attribute value used in expression is not"
                f" defined; attribute value: {min(missing)}"
            )
        for kind, unused in (
            ("Names", self._names.keys() - names),
            ("Values", self.values.keys() - values),
        ):
            if unused:
                raise InvalidRequest(
                    f"Value provided in ExpressionAttribute{kind} unused in expressions: keys:"
                    f" {{{', '.join(sorted(unused))}}}"
                )
