"""What an update expression makes of an item.

Every operand is read from the item as it was before; the clauses do not see each other's work.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from benchmarks.standins.dynamodb import numbers
from benchmarks.standins.dynamodb.conditions import Values
from benchmarks.standins.dynamodb.errors import InvalidChange, InvalidRequest
from benchmarks.standins.dynamodb.paths import look_up, removed, written
from benchmarks.standins.dynamodb.syntax import (
    Arithmetic,
    Bound,
    IfNotExists,
    ListAppend,
    Path,
    SetOperand,
    Update,
)
from benchmarks.standins.dynamodb.values import SETS, AttributeValue, Item, kind_of


def updated(item: Item, update: Update, values: Values) -> Item:
    """A copy of the item with the update done.

    Raises:
        InvalidChange: it does not fit the item: no such path, no such operand, another type.
    """
    writes: list[tuple[Path, AttributeValue]] = []
    gone = list(update.removes)
    writes += [(path, _operand(operand, item, values)) for path, operand in update.sets]
    writes += [
        (path, _added(look_up(item, path), values[value.name])) for path, value in update.adds
    ]
    for path, value in update.deletes:
        before = look_up(item, path)
        left = None if before is None else _without(before, values[value.name])
        if left is not None:
            writes.append((path, left))
        elif before is not None:
            gone.append(path)
    if update.is_flat:
        changed = item.copy()
        changed |= {str(path.steps[0]): new for path, new in writes}
        for path in gone:
            changed.pop(str(path.steps[0]), None)
        return changed
    # Elements beyond a list's end are appended in the order of their indexes.
    changed = item
    for path, new in sorted(writes, key=lambda write: _position(write[0])):
        changed = written(changed, path, new)
    return removed(changed, gone)


def _position(path: Path) -> tuple[int, ...]:
    return tuple(step for step in path.steps if isinstance(step, int))


def refuse_overlaps(paths: Iterable[Path]) -> None:
    """An update writes nothing twice, and nothing within what it writes.

    Raises:
        InvalidRequest: two of its paths overlap.
    """
    steps = sorted((path.steps for path in paths), key=lambda s: [str(step) for step in s])
    for first, second in pairwise(steps):
        if second[: len(first)] == first:
            raise InvalidRequest(
                "Invalid UpdateExpression: Two document paths overlap with each other; must remove"
                f" or rewrite one of these paths; path one: {list(first)}, path two: {list(second)}"
            )


def _operand(operand: SetOperand, item: Item, values: Values) -> AttributeValue:
    match operand:
        case Bound(name):
            return values[name]
        case Path():
            return _present(look_up(item, operand))
        case IfNotExists(path, default):
            found = look_up(item, path)
            return _operand(default, item, values) if found is None else found
        case ListAppend(first, second):
            one, other = _operand(first, item, values), _operand(second, item, values)
            if "L" not in one or "L" not in other:
                raise _wrong_type("list_append", one if "L" not in one else other)
            return {"L": [*one["L"], *other["L"]]}
        case Arithmetic(operator, left, right):
            one, other = _operand(left, item, values), _operand(right, item, values)
            if "N" not in one or "N" not in other:
                raise _wrong_type(operator, one if "N" not in one else other)
            compute = numbers.add if operator == "+" else numbers.subtract
            return {"N": compute(one["N"], other["N"])}


def _present(value: AttributeValue | None) -> AttributeValue:
    if value is None:
        raise InvalidChange(
            "The provided expression refers to an attribute that does not exist in the item"
        )
    return value


def _added(before: AttributeValue | None, value: AttributeValue) -> AttributeValue:
    kind = kind_of(value)
    if kind != "N" and kind not in SETS:
        raise _wrong_type("ADD", value)
    if before is None:
        return value
    if kind_of(before) != kind:
        raise _wrong_type("ADD", before)
    if kind == "N":
        return {"N": numbers.add(before["N"], value["N"])}
    return {kind: list(dict.fromkeys([*before[kind], *value[kind]]))}


def _without(before: AttributeValue, value: AttributeValue) -> AttributeValue | None:
    """A set without some members; None if none is left, for there is no empty set."""
    kind = kind_of(value)
    if kind not in SETS:
        raise _wrong_type("DELETE", value)
    if kind_of(before) != kind:
        raise _wrong_type("DELETE", before)
    left = [member for member in before[kind] if member not in value[kind]]
    return {kind: left} if left else None


def _wrong_type(operator: str, value: AttributeValue) -> InvalidChange:
    return InvalidChange(
        "An operand in the update expression has an incorrect data type: operator or function:"
        f" {operator}, operand type: {kind_of(value)}"
    )
