"""The OpenAPI document, for tests that look into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def resolved(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what its references lead to in their places; its schemas have no cycles."""

    def follow(part: Any) -> Any:
        if isinstance(part, list):
            return [follow(one) for one in part]
        if not isinstance(part, dict):
            return part
        if isinstance(path := part.get("$ref"), str):
            found: Any = document
            for name in path.removeprefix("#/").split("/"):
                found = found[name]
            return follow(found)
        return {name: follow(one) for name, one in part.items()}

    whole: dict[str, Any] = follow(dict(document))
    return whole


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation
