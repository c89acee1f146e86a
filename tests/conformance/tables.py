"""Builders of tables for the suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Create = Callable[..., str]


def index(name: str, *keys: str, projection: str = "ALL", include: tuple[str, ...] = ()) -> Any:
    """A global secondary index by its partition and sort key."""
    declared: dict[str, Any] = {"ProjectionType": projection}
    if include:
        declared["NonKeyAttributes"] = list(include)
    return {"IndexName": name, "KeySchema": key_schema(*keys), "Projection": declared}


def key_schema(*keys: str) -> list[dict[str, str]]:
    """A key from the names of its attributes."""
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": n, "KeyType": k} for n, k in zip(keys, kinds, strict=False)]


def create_table(
    dynamodb: Any,
    name: str,
    *keys: str,
    numbers: tuple[str, ...] = (),
    indexes: tuple[Any, ...] = (),
) -> str:
    """A table with that key; the attributes of keys are strings but for `numbers`."""
    used = dict.fromkeys(
        [*keys, *(part["AttributeName"] for i in indexes for part in i["KeySchema"])]
    )
    more = {"GlobalSecondaryIndexes": list(indexes)} if indexes else {}
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=key_schema(*keys),
        AttributeDefinitions=[
            {"AttributeName": n, "AttributeType": "N" if n in numbers else "S"} for n in used
        ],
        **more,
    )
    return name


def s(text: str) -> dict[str, str]:
    """A string."""
    return {"S": text}


def n(number: float | str) -> dict[str, str]:
    """A number."""
    return {"N": str(number)}


def error_code(error: Any) -> str:
    """The code of a ClientError."""
    return str(error.value.response["Error"]["Code"])
