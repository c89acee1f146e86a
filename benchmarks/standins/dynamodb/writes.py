"""Changes of one item: planned against what is there, then done.

A plan holds everything that can go wrong; what is planned is done without a condition. So a
transaction plans all of its actions before it does the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.standins.dynamodb.capacity import write_units
from benchmarks.standins.dynamodb.errors import ConditionFailed, InvalidRequest
from benchmarks.standins.dynamodb.expressions import Expressions
from benchmarks.standins.dynamodb.index import Record
from benchmarks.standins.dynamodb.paths import projected
from benchmarks.standins.dynamodb.schema import PrimaryKey
from benchmarks.standins.dynamodb.syntax import Update
from benchmarks.standins.dynamodb.table import Revision, Table, Written
from benchmarks.standins.dynamodb.tables import Tables
from benchmarks.standins.dynamodb.updates import updated
from benchmarks.standins.dynamodb.values import Item, checked_item

_NO_UPDATE = Update()


@dataclass(frozen=True)
class Plan:
    """What a write will do: the record at `key` becomes `after`, or nothing, or stays."""

    table: Table
    key: PrimaryKey
    before: Record | None
    after: Revision | None
    changes: bool = True
    update: Update = _NO_UPDATE

    def do(self) -> Written:
        """Do it."""
        if not self.changes:
            return Written(write_units(0 if self.before is None else self.before.size), {})
        return self.table.replace(self.key, self.after)


@dataclass(frozen=True)
class Action:
    """A write as requested, its expressions parsed; `plan` looks at what is there."""

    table: Table
    key: PrimaryKey
    request: Mapping[str, Any]
    expressions: Expressions
    make: Callable[[Action, Record | None], Plan]

    def plan(self) -> Plan:
        """What it will do.

        Raises:
            ConditionFailed: its condition does not hold.
            InvalidChange: it does not fit the item that is there.
        """
        before = self.table.get(self.key)
        if not self.expressions.permits(None if before is None else before.item):
            wanted = self.request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            raise ConditionFailed(before.item if wanted and before is not None else None)
        return self.make(self, before)


def put_action(tables: Tables, request: Mapping[str, Any]) -> Action:
    """`PutItem`, and `Put` of a transaction."""
    table = tables.table(request.get("TableName"))
    item = checked_item(request.get("Item"))
    key = table.key.of_item(item)

    def make(action: Action, before: Record | None) -> Plan:
        return Plan(action.table, key, before, table.checked(item, key))

    return Action(table, key, request, Expressions(request), make)


def delete_action(tables: Tables, request: Mapping[str, Any]) -> Action:
    """`DeleteItem`, and `Delete` of a transaction."""

    def make(action: Action, before: Record | None) -> Plan:
        return Plan(action.table, action.key, before, None)

    return _keyed(tables, request, make)


def check_action(tables: Tables, request: Mapping[str, Any]) -> Action:
    """`ConditionCheck` of a transaction."""

    def make(action: Action, before: Record | None) -> Plan:
        return Plan(action.table, action.key, before, None, changes=False)

    return _keyed(tables, request, make)


def update_action(tables: Tables, request: Mapping[str, Any]) -> Action:
    """`UpdateItem`, and `Update` of a transaction; it makes an item that is not there."""

    def make(action: Action, before: Record | None) -> Plan:
        own = {name: key_item[name] for name in table.key.names}
        item = own if before is None else before.item
        parsed = action.expressions.update
        update = _NO_UPDATE if parsed is None else parsed.tree
        after = updated(item, update, action.expressions.values)
        return Plan(table, action.key, before, table.checked(after, action.key), update=update)

    action = _keyed(tables, request, make)
    table, key_item = action.table, checked_item(request.get("Key"))
    for name in table.key.names:
        if name in action.expressions.updated:
            raise InvalidRequest(
                f"One or more parameter values were invalid: Cannot update attribute {name}. This"
                " attribute is part of the key"
            )
    return action


def _keyed(
    tables: Tables, request: Mapping[str, Any], make: Callable[[Action, Record | None], Plan]
) -> Action:
    table = tables.table(request.get("TableName"))
    key = table.key.of_key(checked_item(request.get("Key")))
    return Action(table, key, request, Expressions(request), make)


def returned(plan: Plan, wanted: str) -> Item | None:
    """`Attributes` of the answer to a write, by its `ReturnValues`."""
    before = {} if plan.before is None else plan.before.item
    after = {} if plan.after is None else plan.after.record.item
    paths = plan.update.paths()
    return {
        "NONE": None,
        "ALL_OLD": before or None,
        "ALL_NEW": after or None,
        "UPDATED_OLD": projected(before, paths) or None,
        "UPDATED_NEW": projected(after, paths) or None,
    }[wanted]


def checked_return_values(request: Mapping[str, Any], allowed: frozenset[str]) -> str:
    """`ReturnValues` of a request, if the operation has it."""
    wanted = str(request.get("ReturnValues", "NONE"))
    if wanted not in allowed:
        raise InvalidRequest("ReturnValues set to invalid value")
    return wanted
