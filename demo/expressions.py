"""Expressions and comparisons of the local AWS, made cheaper where moto (5.2) does the same work
again and again.

An update's expression is parsed twice whenever it is used, each of the visitors of the result is
asked anew at every node which nodes it wants, and to sort an index, each text is asked at every
comparison whether it is a set, a map, a list or a number. Remit's expressions are a few dozen, used
thousands of times.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser
from moto.dynamodb.parsing.expressions import UpdateExpressionParser

_MOST_PARSED = 256

_parse = UpdateExpressionParser.make
_cast = DynamoType.cast_value.fget


@lru_cache(_MOST_PARSED)
def _parsed(expression: str) -> Any:
    """Nobody changes it: moto's validator works on a copy of its own."""
    return _parse(expression)


def _nodes_to_be_processed(visitor: DepthFirstTraverser) -> tuple[type, ...]:
    nodes: tuple[type, ...] | None = visitor.__dict__.get("_nodes")
    if nodes is None:
        nodes = visitor.__dict__["_nodes"] = tuple(visitor._processing_map())  # noqa: SLF001
    return nodes


def _cast_value(value: DynamoType) -> Any:
    return value.value if value.type == "S" else _cast(value)


def install() -> None:
    """Make moto's expressions of this process such ones; again is no error."""
    setattr(UpdateExpressionParser, "make", staticmethod(_parsed))  # noqa: B010 - as is moto's type
    setattr(DepthFirstTraverser, "nodes_to_be_processed", _nodes_to_be_processed)  # noqa: B010
    setattr(DynamoType, "cast_value", property(_cast_value))  # noqa: B010
