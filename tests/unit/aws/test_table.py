from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from remit.aws.table import Table
from remit.aws.transactions import TransactionCanceled, transact
from remit.errors import StoreUnavailable


class Throttled:
    """A client that processes so many keys per request, in turn; none once the list has ended."""

    def __init__(self, *processed: int) -> None:
        self._processed = iter(processed)

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        ((table, request),) = request["RequestItems"].items()
        keys, done = request["Keys"], next(self._processed, 0)
        return {
            "Responses": {table: keys[:done]},
            "UnprocessedKeys": {table: {"Keys": keys[done:]}} if keys[done:] else {},
        }


def read(count: int, *processed: int) -> tuple[set[str], list[float]]:
    """What was found of so many keys, and the waits in between."""
    waits: list[float] = []
    table = Table(Throttled(*processed), "Merchants", wait=waits.append)
    return set(table.get_many(str(n) for n in range(count))), waits


def test_nothing_is_waited_for_when_every_key_is_processed() -> None:
    found, waits = read(250, 100, 100, 50)
    assert len(found) == 250
    assert waits == []


def test_unprocessed_keys_are_asked_for_again_after_growing_waits() -> None:
    found, waits = read(3, 0, 0, 0, 1, 0, 2)
    assert found == {"0", "1", "2"}
    assert waits == [0.05, 0.1, 0.2, 0.05, 0.05]


def test_many_large_records_are_progress_however_many_rounds_they_take() -> None:
    found, waits = read(300, *[10] * 30)
    assert len(found) == 300
    assert set(waits) == {0.05}


def test_a_table_that_processes_nothing_any_more_is_an_outage() -> None:
    waits: list[float] = []
    table = Table(Throttled(1), "Merchants", wait=waits.append)
    with pytest.raises(StoreUnavailable, match="read Merchants: 2 keys stay unprocessed"):
        table.get_many(["a", "b", "c"])
    assert waits == [0.05, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]


def update(**change: Any) -> dict[str, Any]:
    """An update of a record, as DynamoDB gets it."""
    return Table(None, "ExportJobs").update_action("export-1", **change)


def test_an_attribute_is_set_by_reference() -> None:
    action = update(set={"status": "done"}, condition="attribute_exists(#id)")
    assert action["UpdateExpression"] == "SET #status = :set_status"
    assert action["ExpressionAttributeNames"] == {"#status": "status", "#id": "id"}
    assert action["ExpressionAttributeValues"] == {":set_status": {"S": "done"}}


def test_a_dotted_name_sets_one_entry_of_a_map() -> None:
    changes = {"progress.3": {"rows": 7}, "progress_3": 1, "status": "processing"}
    action = update(set=changes, condition="#claim = :held", values={"held": "token"})
    assert action["UpdateExpression"] == (
        "SET #progress.#3 = :set_progress__3, #progress_3 = :set_progress_3, #status = :set_status"
    )
    names = ("progress", "3", "progress_3", "status", "claim")
    assert action["ExpressionAttributeNames"] == {f"#{name}": name for name in names}
    assert action["ExpressionAttributeValues"] == {
        ":set_progress__3": {"M": {"rows": {"N": "7"}}},
        ":set_progress_3": {"N": "1"},
        ":set_status": {"S": "processing"},
        ":held": {"S": "token"},
    }


def test_members_are_added_to_sets_and_taken_out_of_them() -> None:
    action = update(
        add={"ids": frozenset({"a"})}, delete={"old": frozenset({"b"})}, condition="#n < :most",
        values={"most": 5},
    )  # fmt: skip
    assert action["UpdateExpression"] == "ADD #ids :add_ids DELETE #old :delete_old"
    assert action["ExpressionAttributeValues"] == {
        ":add_ids": {"SS": ["a"]},
        ":delete_old": {"SS": ["b"]},
        ":most": {"N": "5"},
    }


def test_a_delete_is_conditional() -> None:
    table = Table[tuple[str, str]](None, "WebhookEndpoints", key="merchantID", sort="id")
    assert table.delete_action(("m", "ep-1"), condition="#url = :url", values={"url": "x"}) == {
        "TableName": "WebhookEndpoints",
        "Key": {"merchantID": {"S": "m"}, "id": {"S": "ep-1"}},
        "ConditionExpression": "#url = :url",
        "ExpressionAttributeNames": {"#url": "url"},
        "ExpressionAttributeValues": {":url": {"S": "x"}},
    }


class Canceling:
    """A client that cancels transactions for these reasons, in turn; then they happen."""

    def __init__(self, *reasons: list[str]) -> None:
        self.reasons = list(reasons)

    def transact_write_items(self, **_: Any) -> None:
        if self.reasons:
            codes = [{"Code": code} for code in self.reasons.pop(0)]
            error = {"Error": {"Code": "TransactionCanceledException"}}
            raise ClientError({**error, "CancellationReasons": codes}, "TransactWriteItems")


def test_a_transaction_that_meets_a_heartbeat_is_tried_again() -> None:
    client = Canceling(["TransactionConflict", "None"], ["TransactionConflict", "None"])
    transact(client, [{}, {}])
    assert client.reasons == []


def test_a_transaction_that_meets_others_without_end_is_an_outage() -> None:
    with pytest.raises(StoreUnavailable):
        transact(Canceling(*[["TransactionConflict"]] * 10), [{}])


@pytest.mark.parametrize(
    ("reasons", "error"),
    [
        (["ConditionalCheckFailed", "None"], TransactionCanceled),
        (["ConditionalCheckFailed", "TransactionConflict"], TransactionCanceled),
        (["ThrottlingError", "None"], StoreUnavailable),
    ],
)
def test_a_transaction_that_is_canceled_for_a_reason_is_not_tried_again(
    reasons: list[str], error: type[Exception]
) -> None:
    client = Canceling(reasons, ["never met"])
    with pytest.raises(error):
        transact(client, [{}, {}])
    assert client.reasons == [["never met"]]
