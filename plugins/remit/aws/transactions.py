"""Transactions: actions of which all are done, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from remit.aws.session import store_errors
from remit.errors import RemitError, StoreUnavailable

TRANSACTION_LIMIT = 100
"""Actions in one TransactWriteItems."""

FAILED_CONDITION = "ConditionalCheckFailed"
"""The reason of an action whose condition does not hold, in a canceled transaction."""

TRANSIENT_REASONS = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)

_CONFLICT_TRIES = 5  # of a transaction that meets other writes: they are over in milliseconds


class TransactionCanceled(RemitError):
    """A transaction did not happen. `reasons` has one code per action, `None` for innocent ones."""

    def __init__(self, reasons: list[str | None]) -> None:
        super().__init__(f"transaction canceled: {reasons}")
        self.reasons = reasons


def transact(client: Any, actions: Sequence[Mapping[str, Any]]) -> None:
    """Do all actions or none; each is `{"Put": …}` or `{"Update": …}` from a table's `…_action`.

    One that meets another write of one of its records, a heartbeat for example, is tried again.

    Raises:
        TransactionCanceled: the condition of an action does not hold.
    """
    if len(actions) > TRANSACTION_LIMIT:
        raise ValueError(f"{len(actions)} actions: DynamoDB takes {TRANSACTION_LIMIT}")
    with store_errors("write a transaction"):
        for left in reversed(range(_CONFLICT_TRIES)):
            try:
                client.transact_write_items(TransactItems=list(actions))
            except ClientError as error:
                if error.response["Error"]["Code"] != "TransactionCanceledException":
                    raise
                reasons = reasons_of(error.response)
                if left and set(reasons) - {None} == {"TransactionConflict"}:
                    continue
                raise _canceled(reasons) from error
            return


def transact_if(client: Any, actions: Sequence[Mapping[str, Any]]) -> bool:
    """Do all actions or none. False: the condition of one does not hold, and nothing was done.

    Raises:
        TransactionCanceled: there is another reason.
    """
    try:
        transact(client, actions)
    except TransactionCanceled as canceled:
        if FAILED_CONDITION not in canceled.reasons:
            raise
        return False
    return True


def reasons_of(answer: Mapping[str, Any]) -> list[str | None]:
    """One code per action of a canceled transaction, None for innocent ones."""
    codes = [reason.get("Code") for reason in answer.get("CancellationReasons", ())]
    return [None if code in {None, "None"} else str(code) for code in codes]


def _canceled(reasons: list[str | None]) -> RemitError:
    if reasons and all(reason in TRANSIENT_REASONS for reason in reasons if reason):
        return StoreUnavailable(f"could not write a transaction: {reasons}")
    return TransactionCanceled(reasons)
