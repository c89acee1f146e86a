"""The expressions of one request, with its names and values checked against what they use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from benchmarks.standins.dynamodb.conditions import Values, holds
from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.parser import parse_condition, parse_projection, parse_update
from benchmarks.standins.dynamodb.syntax import Condition, Parsed, Projection, Update
from benchmarks.standins.dynamodb.updates import refuse_overlaps
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


_CACHED = 1024

_CONDITIONS = ("ConditionExpression", "KeyConditionExpression", "FilterExpression")
_TEXTS = (*_CONDITIONS, "UpdateExpression", "ProjectionExpression")


@dataclass(frozen=True)
class _Texts:
    """The expressions of all requests with the same texts and names, and the placeholders that
    they use."""

    condition: Parsed[Condition] | None
    key_condition: Parsed[Condition] | None
    filter: Parsed[Condition] | None
    update: Parsed[Update] | None
    projection: Parsed[Projection] | None
    names: frozenset[str]
    values: frozenset[str]
    updated: frozenset[str | int]
    """The attributes that the update writes."""


@lru_cache(_CACHED)
def _parsed(texts: tuple[str | None, ...], names: tuple[tuple[str, str], ...]) -> _Texts:
    aliases = dict(names)
    condition, key_condition, condition_of_filter = (
        None if text is None else parse_condition(text, aliases, kind)
        for text, kind in zip(texts, _CONDITIONS, strict=False)
    )
    *_, update_text, projection_text = texts
    update = None
    if update_text is not None:
        update = parse_update(update_text, aliases)
        refuse_overlaps(update.tree.paths())
    projection = None if projection_text is None else parse_projection(projection_text, aliases)
    all_of_them = (condition, key_condition, condition_of_filter, update, projection)
    used = [each for each in all_of_them if each is not None]
    return _Texts(
        *all_of_them,
        names=frozenset().union(*(each.names for each in used)),
        values=frozenset().union(*(each.values for each in used)),
        updated=frozenset() if update is None else update.tree.roots(),
    )


class Expressions:
    """What a request says in expressions; parsed once, at the start.

    Raises:
        InvalidRequest: one does not parse, or names and values are missing or unused.
    """

    __slots__ = (
        "condition",
        "filter",
        "key_condition",
        "projection",
        "update",
        "updated",
        "values",
    )

    def __init__(self, request: Mapping[str, Any]) -> None:
        if not _LEGACY.isdisjoint(request):
            legacy = _LEGACY & request.keys()
            raise InvalidRequest(f"the stand-in knows expressions, not {sorted(legacy)}")
        names: Mapping[str, str] = request.get("ExpressionAttributeNames") or {}
        self.values: Values = {}
        if "ExpressionAttributeValues" in request:
            self.values = checked_item(request["ExpressionAttributeValues"])
            if not self.values:
                raise InvalidRequest("ExpressionAttributeValues must not be empty")
        parsed = _parsed(tuple(map(request.get, _TEXTS)), tuple(names.items()))
        self.condition = parsed.condition
        self.key_condition = parsed.key_condition
        self.filter = parsed.filter
        self.update = parsed.update
        self.projection = parsed.projection
        self.updated = parsed.updated
        if self.values.keys() != parsed.values or names.keys() != parsed.names:
            self._refuse_use(parsed, names)

    def permits(self, item: Item | None) -> bool:
        """Whether the write's condition holds for the item that is there, or for none."""
        return self.condition is None or holds(self.condition.tree, item or {}, self.values)

    def lets_through(self, item: Item) -> bool:
        """Whether the filter lets an item through."""
        return self.filter is None or holds(self.filter.tree, item, self.values)

    def _refuse_use(self, parsed: _Texts, names: Mapping[str, str]) -> None:
        if missing := parsed.values - self.values.keys():
            raise InvalidRequest(
                "Invalid expression: An expression attribute value used in expression is not"
                f" defined; attribute value: {min(missing)}"
            )
        for kind, unused in (
            ("Names", names.keys() - parsed.names),
            ("Values", self.values.keys() - parsed.values),
        ):
            if unused:
                raise InvalidRequest(
                    f"Value provided in ExpressionAttribute{kind} unused in expressions: keys:"
                    f" {{{', '.join(sorted(unused))}}}"
                )
