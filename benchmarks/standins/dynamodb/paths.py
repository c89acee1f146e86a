"""Document paths in an item: look up, write, remove, project.

An item is never changed in place: a write copies what lies on its path.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.standins.dynamodb.errors import InvalidChange
from benchmarks.standins.dynamodb.syntax import Path
from benchmarks.standins.dynamodb.values import AttributeValue, Item


def look_up(item: Item, path: Path) -> AttributeValue | None:
    """The value at a path; None if there is none."""
    head, *rest = path.steps
    value = item.get(head)  # type: ignore[arg-type] # the first step is a name
    for step in rest:
        if value is None:
            return None
        value = _child(value, step)
    return value


def _child(value: AttributeValue, step: str | int) -> AttributeValue | None:
    if isinstance(step, str):
        child: AttributeValue | None = value.get("M", {}).get(step)
        return child
    elements: list[AttributeValue] = value.get("L", [])
    return elements[step] if step < len(elements) else None


def written(item: Item, path: Path, value: AttributeValue) -> Item:
    """A copy of the item with the value at the path.

    Raises:
        InvalidChange: what the path leads through is not there.
    """
    root: AttributeValue = _written({"M": item}, path.steps, value)
    changed: Item = root["M"]
    return changed


def _written(
    parent: AttributeValue | None, steps: tuple[str | int, ...], value: AttributeValue
) -> AttributeValue:
    if not steps:
        return value
    step, *rest = steps
    kind = "M" if isinstance(step, str) else "L"
    if parent is None or kind not in parent:
        raise InvalidChange(
            "The document path provided in the update expression is invalid for update"
        )
    child = _written(_child(parent, step), tuple(rest), value)
    if isinstance(step, str):
        return {"M": {**parent["M"], step: child}}
    elements = parent["L"]  # beyond the end is at the end
    return {"L": [*elements[:step], child, *elements[step + 1 :]]}


def removed(item: Item, paths: Iterable[Path]) -> Item:
    """A copy of the item without what is at the paths; list indexes are those before."""
    # The highest index of a list goes first, so that those below still mean what they meant.
    root: AttributeValue = {"M": item}
    for path in sorted(paths, key=_indexes, reverse=True):
        if look_up(item, path) is not None:
            root = _removed(root, path.steps)
    changed: Item = root["M"]
    return changed


def _indexes(path: Path) -> tuple[int, ...]:
    return tuple(step if isinstance(step, int) else 0 for step in path.steps)


def _removed(parent: AttributeValue, steps: tuple[str | int, ...]) -> AttributeValue:
    step, *rest = steps
    (kind,) = parent
    content: Any = parent[kind].copy()
    if rest:
        content[step] = _removed(content[step], tuple(rest))
    else:
        del content[step]
    return {kind: content}


def projected(item: Item, paths: Iterable[Path]) -> Item:
    """Only what is at the paths, with the maps and lists that lead there.

    Elements of a list stay in their order and move together.
    """
    tree: dict[str | int, Any] = {}
    for path in paths:
        if look_up(item, path) is None:
            continue
        node = tree
        for step in path.steps:
            node = node.setdefault(step, {})
    return {str(name): _picked(item[str(name)], below) for name, below in tree.items()}


def _picked(value: AttributeValue, tree: dict[str | int, Any]) -> AttributeValue:
    if not tree:
        return value
    if "M" in value:
        return {"M": {str(n): _picked(value["M"][n], below) for n, below in tree.items()}}
    chosen = sorted((step, below) for step, below in tree.items() if isinstance(step, int))
    return {"L": [_picked(value["L"][step], below) for step, below in chosen]}
