"""DynamoDB's expressions, and the names and values that they refer to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from remit.aws.items import encode

_NAME = re.compile(r"#(\w+)")
_VALUE = re.compile(r":(\w+)")


@dataclass(frozen=True)
class UpdateShape:
    """An update without its values: its expression, the attributes' names, the placeholders of the
    values that change the record, and those that the condition compares, each with its name."""

    expression: str
    names: Mapping[str, str]
    changed: tuple[str, ...]
    compared: tuple[tuple[str, str], ...]


@lru_cache(maxsize=256)  # the shapes are few: what differs from call to call is values
def update_shape(
    sets: tuple[str, ...],
    adds: tuple[str, ...],
    deletes: tuple[str, ...],
    removes: tuple[str, ...],
    condition: str,
) -> UpdateShape:
    """The shape of an update that sets, adds to, takes from and removes these attributes."""
    clauses = []
    if sets:
        clauses.append("SET " + ", ".join(f"{_path(n)} = :set_{_flat(n)}" for n in sets))
    if adds:
        clauses.append("ADD " + ", ".join(f"#{name} :add_{name}" for name in adds))
    if deletes:
        clauses.append("DELETE " + ", ".join(f"#{name} :delete_{name}" for name in deletes))
    if removes:
        clauses.append("REMOVE " + ", ".join(f"#{name}" for name in removes))
    expression = " ".join(clauses)
    return UpdateShape(
        expression,
        names(expression, condition),
        (
            *(f":set_{_flat(name)}" for name in sets),
            *(f":add_{name}" for name in adds),
            *(f":delete_{name}" for name in deletes),
        ),
        tuple((f":{name}", name) for name in dict.fromkeys(_VALUE.findall(condition))),
    )


def _path(name: str) -> str:
    return ".".join(f"#{part}" for part in name.split("."))


def _flat(name: str) -> str:
    """A path as a part of a value's name, which has no dots."""
    return name.replace(".", "__")


def names(*expressions: str) -> dict[str, str]:
    """The attributes that expressions name."""
    return {f"#{name}": name for text in expressions for name in _NAME.findall(text)}


def bound_values(values: Mapping[str, Any] | None, *expressions: str) -> dict[str, Any]:
    """The values that expressions name, encoded."""
    used = {name for text in expressions for name in _VALUE.findall(text)}
    return {f":{name}": encode((values or {})[name]) for name in used}


def projected(attributes: Iterable[str]) -> dict[str, Any]:
    """What lets an answer have no more than these attributes."""
    projection = ", ".join(f"#{name}" for name in attributes)
    return {"ProjectionExpression": projection, "ExpressionAttributeNames": names(projection)}


def bound(values: dict[str, Any]) -> dict[str, Any]:
    """The values as a request names them; DynamoDB refuses an empty map of them."""
    return {"ExpressionAttributeValues": values} if values else {}
