"""Transactions: all actions or none, and each token once.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from benchmarks.standins.dynamodb.errors import (
    ConditionFailed,
    DynamoDbError,
    IdempotentMismatch,
    InvalidChange,
    InvalidRequest,
    TransactionCanceled,
)
from benchmarks.standins.dynamodb.table import Written
from benchmarks.standins.dynamodb.tables import Tables
from benchmarks.standins.dynamodb.writes import (
    Action,
    Plan,
    check_action,
    delete_action,
    put_action,
    update_action,
)

MOST_ACTIONS = 100
_TOKENS_KEPT = 10_000  # DynamoDB keeps each for ten minutes

_encode = msgspec.json.Encoder(order="deterministic").encode

_ACTIONS: dict[str, Callable[[Tables, Mapping[str, Any]], Action]] = {
    "Put": put_action,
    "Update": update_action,
    "Delete": delete_action,
    "ConditionCheck": check_action,
}


class Transactions:
    """The tokens that were seen, and the writing."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def write(self, tables: Tables, request: Mapping[str, Any]) -> list[tuple[Plan, Written]]:
        """Do all actions; returns what was done with the cost of each, nothing if it was before.

        Raises:
            TransactionCanceled: a condition does not hold, or an action does not fit its item.
            InvalidRequest: an action is wrong in itself.
            IdempotentMismatch: the token was used with other actions.
        """
        items = request.get("TransactItems") or ()
        if not 0 < len(items) <= MOST_ACTIONS:
            raise InvalidRequest(
                f"Member must have length less than or equal to {MOST_ACTIONS}, and greater than 0"
            )
        token = request.get("ClientRequestToken")
        digest = 0 if token is None else hash(_encode(items))
        if token is not None and token in self._seen:
            if self._seen[token] != digest:
                raise IdempotentMismatch("The token was used with another request")
            return []
        actions = [_action(tables, item) for item in items]
        if len({(action.table.name, action.key) for action in actions}) < len(actions):
            raise InvalidRequest(
                "Transaction request cannot include multiple operations on one item"
            )
        plans = _planned(actions)
        if token is not None:
            self._remember(token, digest)
        return [(plan, plan.do()) for plan in plans]

    def _remember(self, token: str, digest: int) -> None:
        if len(self._seen) >= _TOKENS_KEPT:
            del self._seen[next(iter(self._seen))]
        self._seen[token] = digest


def _action(tables: Tables, item: Mapping[str, Any]) -> Action:
    if len(item) != 1:
        raise InvalidRequest("each of TransactItems is one of Put, Update, Delete, ConditionCheck")
    ((kind, request),) = item.items()
    if kind not in _ACTIONS:
        raise InvalidRequest(f"{kind} is not an action of a transaction")
    return _ACTIONS[kind](tables, request)


def _planned(actions: list[Action]) -> list[Plan]:
    plans: list[Plan] = []
    reasons: list[dict[str, Any]] = []
    for action in actions:
        try:
            plans.append(action.plan())
            reasons.append({"Code": "None"})
        except (ConditionFailed, InvalidChange) as error:
            reasons.append(_reason(error))
    if len(plans) < len(actions):
        raise TransactionCanceled(reasons)
    return plans


def _reason(error: DynamoDbError) -> dict[str, Any]:
    code = "ConditionalCheckFailed" if isinstance(error, ConditionFailed) else "ValidationError"
    return {"Code": code, "Message": error.message, **error.details}
