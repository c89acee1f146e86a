"""Transactions of the local AWS that cost what their own items cost.

To be able to undo a transaction, moto (5.2) copies the whole tables that it writes to, once for
each of its actions: a hundred actions on a table of five hundred items take seconds. Here what is
kept is each of the items that the transaction names.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from moto.dynamodb import models
from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table

_transact = DynamoDBBackend.transact_write_items

Action = dict[str, Any]


@dataclass(frozen=True)
class _Kept:
    """An item as it was, or None where there was none."""

    table: Table
    key: tuple[Any, Any]
    item: Any

    def put_back(self) -> None:
        hash_key, range_key = self.key
        place = self.table.items if range_key is None else self.table.items[hash_key]
        name = hash_key if range_key is None else range_key
        if self.item is None:
            place.pop(name, None)
        else:
            place[name] = self.item


class _NoTables:
    """moto's `copy`, which leaves tables where they are."""

    @staticmethod
    def deepcopy(value: Any) -> Any:
        return value if isinstance(value, Table) else copy.deepcopy(value)


def install() -> None:
    """Make moto's transactions of this process such ones; again is no error."""
    setattr(models, "copy", _NoTables)  # noqa: B010 - moto's types do not know of it
    setattr(DynamoDBBackend, "transact_write_items", _transact_undone_by_items)  # noqa: B010


def _transact_undone_by_items(backend: DynamoDBBackend, transact_items: list[Action]) -> None:
    with _undone_if_canceled(backend, transact_items):
        _transact(backend, transact_items)


@contextmanager
def _undone_if_canceled(backend: DynamoDBBackend, actions: list[Action]) -> Iterator[None]:
    kept = [one for action in actions if (one := _keep(backend, action)) is not None]
    try:
        yield
    except BaseException:
        # The first that was kept of an item is what it was, if it is named twice.
        for one in reversed(kept):
            one.put_back()
        raise


def _keep(backend: DynamoDBBackend, action: Action) -> _Kept | None:
    """What an action may change; None: moto will refuse it."""
    ((kind, request), *_) = action.items()
    table = backend.tables.get(request.get("TableName"))
    if table is None:
        return None
    try:
        key = backend.get_keys_value(table, request["Item"] if kind == "Put" else request["Key"])
    except (KeyError, MockValidationException):
        return None
    return _Kept(table, key, copy.deepcopy(table.get_item(*key)))
