"""A queue of webhooks as its deliverers use it: claims and outcomes in transactions on two tables,
fenced by tokens; sparse indexes of keys alone, page by page; keys of two parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conformance.backends import Backend
from tests.conformance.tables import create_table, error_code, index, n, s

Unique = Callable[[str], str]
Action = dict[str, Any]


@dataclass(frozen=True)
class Queue:
    """A table of webhooks and one of their attempts."""

    dynamodb: Any
    webhooks: str
    attempts: str

    def put(self, key: str, **more: Any) -> None:
        item = {"id": s(key), "status": s("pending"), "dueShard": n(3), "dueAt": s("10:00"), **more}
        self.dynamodb.put_item(TableName=self.webhooks, Item=item)

    def get(self, key: str) -> dict[str, Any]:
        request = {"TableName": self.webhooks, "Key": {"id": s(key)}, "ConsistentRead": True}
        item: dict[str, Any] = self.dynamodb.get_item(**request)["Item"]
        return item

    def claim(self, key: str, token: str, seen: str = "10:00") -> Action:
        return {
            "Update": {
                "TableName": self.webhooks,
                "Key": {"id": s(key)},
                "UpdateExpression": "SET #claim = :token, #dueAt = :lease, #attempts = :attempts",
                "ConditionExpression": "#dueAt = :seen AND #status = :status",
                "ExpressionAttributeNames": {
                    f"#{name}": name for name in ("claim", "dueAt", "attempts", "status")
                },
                "ExpressionAttributeValues": {
                    ":token": s(token),
                    ":lease": s("10:01"),
                    ":attempts": n(1),
                    ":seen": s(seen),
                    ":status": s("pending"),
                },
            }
        }

    def outcome(self, key: str, token: str) -> list[Action]:
        update = {
            "TableName": self.webhooks,
            "Key": {"id": s(key)},
            "UpdateExpression": "SET #status = :status REMOVE #claim, #dueShard, #dueAt, #waiting",
            "ConditionExpression": "#claim = :token",
            "ExpressionAttributeNames": {
                "#status": "status",
                "#claim": "claim",
                "#dueShard": "dueShard",
                "#dueAt": "dueAt",
                "#waiting": "waitingFor",
            },
            "ExpressionAttributeValues": {":status": s("delivered"), ":token": s(token)},
        }
        attempt = {"webhookID": s(key), "at": s(f"10:00#{token}"), "answer": n(200)}
        return [{"Update": update}, {"Put": {"TableName": self.attempts, "Item": attempt}}]

    def write(self, *actions: Action) -> None:
        self.dynamodb.transact_write_items(TransactItems=list(actions))

    def refused(self, *actions: Action) -> list[str]:
        """The reasons of a transaction that must be canceled, one per action."""
        with pytest.raises(ClientError) as error:
            self.write(*actions)
        assert error_code(error) == "TransactionCanceledException"
        return [reason["Code"] for reason in error.value.response["CancellationReasons"]]

    def due(self, **more: Any) -> dict[str, Any]:
        page: dict[str, Any] = self.dynamodb.query(
            TableName=self.webhooks,
            IndexName="gsi-due",
            KeyConditionExpression="dueShard = :shard AND dueAt <= :now",
            ExpressionAttributeValues={":shard": n(3), ":now": s("10:00")},
            **more,
        )
        return page

    def all_due(self, **more: Any) -> list[str]:
        """The ids, over as many pages as there are."""
        found, start = [], {}
        while True:
            page = self.due(**more, **start)
            found += [item["id"]["S"] for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return found
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def waiting(self, merchant: str) -> int:
        """How many webhooks of a merchant the index holds."""
        answer = self.dynamodb.query(
            TableName=self.webhooks,
            IndexName="gsi-waiting",
            KeyConditionExpression="waitingFor = :merchant",
            ExpressionAttributeValues={":merchant": s(merchant)},
            Select="COUNT",
        )
        assert "Items" not in answer
        return int(answer["Count"])

    def attempts_of(self, key: str, **more: Any) -> list[dict[str, Any]]:
        answer = self.dynamodb.query(
            TableName=self.attempts,
            KeyConditionExpression="webhookID = :id",
            ExpressionAttributeValues={":id": s(key)},
            **more,
        )
        items: list[dict[str, Any]] = answer["Items"]
        return items


def queue_on(dynamodb: Any, unique: Unique) -> Queue:
    """Empty tables, with the indexes that `infra/` declares."""
    webhooks = create_table(
        dynamodb,
        unique("webhooks"),
        "id",
        numbers=("dueShard",),
        indexes=(
            index("gsi-merchant", "merchantID", "eventType"),
            index("gsi-due", "dueShard", "dueAt", projection="KEYS_ONLY"),
            index("gsi-waiting", "waitingFor", projection="KEYS_ONLY"),
        ),
    )
    attempts = create_table(dynamodb, unique("attempts"), "webhookID", "at")
    return Queue(dynamodb, webhooks, attempts)


@pytest.fixture
def queue(dynamodb: Any, unique: Unique) -> Queue:
    """A queue on each back end in turn."""
    return queue_on(dynamodb, unique)


def test_outcomes_and_attempts_are_written_together(queue: Queue) -> None:
    for key in ("a", "b"):
        queue.put(key)
    queue.write(queue.claim("a", "t1"), queue.claim("b", "t2"))
    queue.write(*queue.outcome("a", "t1"), *queue.outcome("b", "t2"))
    for key, token in (("a", "t1"), ("b", "t2")):
        assert queue.get(key) == {"id": s(key), "status": s("delivered"), "attempts": n(1)}
        (attempt,) = queue.attempts_of(key)
        assert attempt == {"webhookID": s(key), "at": s(f"10:00#{token}"), "answer": n(200)}


def test_there_is_one_reason_per_action_in_their_order(queue: Queue) -> None:
    for key in ("a", "b", "c"):
        queue.put(key)
    queue.write(queue.claim("a", "t1"), queue.claim("b", "other"), queue.claim("c", "t3"))
    actions = [*queue.outcome("a", "t1"), *queue.outcome("b", "t2"), *queue.outcome("c", "t3")]
    failed = "ConditionalCheckFailed"
    assert queue.refused(*actions) == ["None", "None", failed, "None", "None", "None"]


def test_a_canceled_transaction_leaves_both_tables_as_they_were(queue: Queue) -> None:
    for key in ("a", "b"):
        queue.put(key)
    queue.write(queue.claim("a", "t1"), queue.claim("b", "other"))
    before = queue.get("a"), queue.get("b")
    queue.refused(*queue.outcome("a", "t1"), *queue.outcome("b", "t2"))
    assert (queue.get("a"), queue.get("b")) == before
    assert queue.attempts_of("a") == queue.attempts_of("b") == []


def test_what_is_left_without_the_stale_ones_goes_through(queue: Queue) -> None:
    for key in ("a", "b"):
        queue.put(key)
    queue.write(queue.claim("a", "t1"), queue.claim("b", "other"))
    queue.refused(*queue.outcome("b", "t2"), *queue.outcome("a", "t1"))
    queue.write(*queue.outcome("a", "t1"))
    assert queue.get("a")["status"] == s("delivered")
    assert queue.get("b")["status"] == s("pending")


def test_of_two_claims_of_what_was_seen_the_second_fails(queue: Queue) -> None:
    queue.put("a")
    queue.write(queue.claim("a", "t1"))
    assert queue.refused(queue.claim("a", "t2")) == ["ConditionalCheckFailed"]
    assert queue.get("a")["claim"] == s("t1")


def test_a_token_that_has_been_replaced_changes_nothing(queue: Queue) -> None:
    queue.put("a")
    queue.write(queue.claim("a", "t1"))
    queue.write(queue.claim("a", "t2", seen="10:01"))
    assert queue.refused(*queue.outcome("a", "t1")) == ["ConditionalCheckFailed", "None"]
    queue.write(*queue.outcome("a", "t2"))
    assert [attempt["at"] for attempt in queue.attempts_of("a")] == [s("10:00#t2")]


def test_a_claim_of_nothing_makes_nothing(queue: Queue) -> None:
    assert queue.refused(queue.claim("a", "t1")) == ["ConditionalCheckFailed"]
    request = {"TableName": queue.webhooks, "Key": {"id": s("a")}}
    assert "Item" not in queue.dynamodb.get_item(**request)


def test_one_transaction_holds_a_hundred_actions(queue: Queue) -> None:
    keys = [f"{number:03}" for number in range(50)]
    for key in keys:
        queue.put(key)
    queue.write(*(queue.claim(key, "t") for key in keys))
    queue.write(*(action for key in keys for action in queue.outcome(key, "t")))
    assert {queue.get(key)["status"]["S"] for key in keys} == {"delivered"}
    with pytest.raises(ClientError) as error:
        queue.write(*(queue.claim(f"{number:03}", "t") for number in range(101)))
    assert error_code(error) == "ValidationException"


def test_the_index_of_due_webhooks_holds_keys_alone(queue: Queue) -> None:
    queue.put("a", payload=s("x" * 1000), merchantID=s("m"), eventType=s("e"))
    assert queue.due()["Items"] == [{"id": s("a"), "dueShard": n(3), "dueAt": s("10:00")}]


def test_a_claim_moves_and_an_outcome_removes_what_is_due(queue: Queue) -> None:
    for key in ("a", "b"):
        queue.put(key)
    queue.put("later", dueAt=s("10:02"))
    queue.put("elsewhere", dueShard=n(4))
    assert sorted(queue.all_due()) == ["a", "b"]
    queue.write(queue.claim("a", "t"))
    assert queue.all_due() == ["b"]
    queue.write(*queue.outcome("a", "t"), queue.claim("b", "t"))
    assert queue.all_due() == []


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_due_webhooks_come_page_by_page_the_longest_due_first(queue: Queue, limit: int) -> None:
    for number in range(7):
        queue.put(f"w{number}", dueAt=s(f"09:{59 - number // 2}"))  # pairs at the same instant
    found = queue.all_due(Limit=limit)
    assert sorted(found) == [f"w{number}" for number in range(7)]
    assert found[0] == "w6"
    assert {*found[-2:]} == {"w0", "w1"}


def test_a_page_of_an_index_goes_on_by_both_keys(queue: Queue) -> None:
    for key in ("a", "b"):
        queue.put(key)
    last = queue.due(Limit=1)["LastEvaluatedKey"]
    assert last.keys() == {"id", "dueShard", "dueAt"}


def test_webhooks_that_are_claimed_meanwhile_are_not_met_again(queue: Queue) -> None:
    for number in range(4):
        queue.put(f"w{number}")
    first = queue.due(Limit=2)
    seen = [item["id"]["S"] for item in first["Items"]]
    queue.write(*(queue.claim(key, "t") for key in seen))
    rest = queue.due(ExclusiveStartKey=first["LastEvaluatedKey"])
    assert {*seen, *(item["id"]["S"] for item in rest["Items"])} == {"w0", "w1", "w2", "w3"}
    assert len(rest["Items"]) == 2


def test_waiting_webhooks_are_counted_in_their_index(queue: Queue) -> None:
    for key, merchant in (("a", "m1"), ("b", "m1"), ("c", "m2")):
        queue.put(key, waitingFor=s(merchant))
    queue.put("d")
    assert [queue.waiting(merchant) for merchant in ("m1", "m2", "m3")] == [2, 1, 0]
    queue.write(queue.claim("a", "t"))
    assert queue.waiting("m1") == 2
    queue.write(*queue.outcome("a", "t"))
    assert queue.waiting("m1") == 1


def test_a_count_is_of_a_page(queue: Queue) -> None:
    for number in range(5):
        queue.put(f"w{number}")
    page = queue.due(Select="COUNT", Limit=3)
    rest = queue.due(Select="COUNT", ExclusiveStartKey=page["LastEvaluatedKey"])
    assert (page["Count"], rest["Count"]) == (3, 2)


def test_attempts_lie_in_order_under_their_webhook(queue: Queue) -> None:
    for key, at in (("a", "10:02#2"), ("a", "10:00#1"), ("b", "10:01#1")):
        item = {"webhookID": s(key), "at": s(at)}
        queue.dynamodb.put_item(TableName=queue.attempts, Item=item)
    assert [attempt["at"]["S"] for attempt in queue.attempts_of("a")] == ["10:00#1", "10:02#2"]
    (latest,) = queue.attempts_of("a", ScanIndexForward=False, Limit=1)
    assert latest["at"] == s("10:02#2")


def test_keys_of_two_parts_are_read_in_one_batch(queue: Queue) -> None:
    for key, at in (("a", "1"), ("a", "2"), ("b", "1")):
        item = {"webhookID": s(key), "at": s(at), "answer": n(200)}
        queue.dynamodb.put_item(TableName=queue.attempts, Item=item)
    queue.put("a")
    keys = [{"webhookID": s(key), "at": s(at)} for key, at in (("a", "2"), ("b", "1"), ("b", "2"))]
    read = queue.dynamodb.batch_get_item(
        RequestItems={
            queue.attempts: {"Keys": keys, "ConsistentRead": True},
            queue.webhooks: {"Keys": [{"id": s("a")}, {"id": s("none")}]},
        }
    )
    found = {
        (item["webhookID"]["S"], item["at"]["S"]) for item in read["Responses"][queue.attempts]
    }
    assert found == {("a", "2"), ("b", "1")}
    assert [item["id"] for item in read["Responses"][queue.webhooks]] == [s("a")]
    assert not read["UnprocessedKeys"]


def test_half_a_key_is_refused(queue: Queue) -> None:
    with pytest.raises(ClientError) as error:
        queue.dynamodb.get_item(TableName=queue.attempts, Key={"webhookID": s("a")})
    assert error_code(error) == "ValidationException"


def test_of_a_batch_that_names_a_key_twice_nothing_is_read(queue: Queue) -> None:
    with pytest.raises(ClientError) as error:
        queue.dynamodb.batch_get_item(
            RequestItems={queue.webhooks: {"Keys": [{"id": s("a")}, {"id": s("a")}]}}
        )
    assert error_code(error) == "ValidationException"


def test_a_value_that_cannot_be_an_index_key_cancels_the_transaction(
    standins: Backend, unique: Unique
) -> None:
    # Moto stores it.
    queue = queue_on(standins.dynamodb, unique)
    for key in ("a", "b"):
        queue.put(key)
    wrong = queue.claim("b", "t")
    wrong["Update"]["ExpressionAttributeValues"][":lease"] = n(5)
    assert queue.refused(queue.claim("a", "t"), wrong) == ["None", "ValidationError"]
    assert "claim" not in queue.get("a")
