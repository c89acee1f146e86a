"""What most people write: threads, a `requests` session in each, an `update_item` per webhook.

In favour of this peer: nothing is claimed, no attempt is recorded, nothing is retried, no address
is checked, and what it needs is read in batches of a hundred.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
import requests
from botocore.config import Config

from benchmarks.figures import BenchmarkFailed
from benchmarks.webhooks.measuring import Parameters, measure
from remit.queue import SHARDS

THREADS = 32
_TIMEOUT_SECONDS = 15
_OUTCOME = (
    "SET #status = :delivered, attempts = attempts + :one, updatedAt = :now, lastAttempt = :now,"
    " responseCode = :code REMOVE dueShard, dueAt, waitingFor"
)

Item = dict[str, Any]

_local = threading.local()


def resource(parameters: Parameters) -> Any:
    """DynamoDB as boto3 has it, with a connection for each thread."""
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    config = Config(max_pool_connections=THREADS + 1)
    return session.resource("dynamodb", endpoint_url=parameters.dynamodb, config=config)


def deliver(_: Parameters, dynamodb: Any) -> Mapping[str, int]:
    """Everything that is due."""
    table = dynamodb.Table("Webhooks")
    merchants: dict[str, Item] = {}
    sent: list[Future[None]] = []
    with ThreadPoolExecutor(THREADS) as pool:
        for ids in _due(table):
            webhooks = _batch(dynamodb, "Webhooks", ids)
            events = _batch(dynamodb, "Events", {one["eventID"] for one in webhooks.values()})
            new = {one["merchantID"] for one in webhooks.values()} - merchants.keys()
            merchants |= _batch(dynamodb, "Merchants", new)
            for webhook in webhooks.values():
                event, merchant = events[webhook["eventID"]], merchants[webhook["merchantID"]]
                sent.append(pool.submit(_one, table, webhook, event, merchant))
    for each in sent:
        each.result()
    return {"delivered": len(sent)}


def _due(table: Any) -> Iterator[list[str]]:
    """The ids of what is due, a hundred at a time."""
    now = datetime.now(UTC).isoformat()
    for shard in range(SHARDS):
        request: Item = {
            "IndexName": "gsi-due",
            # As text: `Key("dueShard").eq(…)` takes its placeholders from a counter that every
            # thread's `update_item` sets back.
            "KeyConditionExpression": "dueShard = :shard AND dueAt <= :now",
            "ExpressionAttributeValues": {":shard": shard, ":now": now},
            "Limit": 100,
        }
        while True:
            page = table.query(**request)
            if page["Items"]:
                yield [item["id"] for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _batch(dynamodb: Any, table: str, ids: list[str] | set[str]) -> dict[str, Item]:
    if not ids:
        return {}
    wanted = {table: {"Keys": [{"id": key} for key in ids], "ConsistentRead": True}}
    found = dynamodb.batch_get_item(RequestItems=wanted)["Responses"][table]
    return {item["id"]: item for item in found}


def _one(table: Any, webhook: Item, event: Item, merchant: Item) -> None:
    """Sign, post, record."""
    body = event["payload"].encode()
    answer = _session().post(
        merchant["webhookURL"],
        data=body,
        headers=_headers(webhook["id"], body, merchant["webhookSecret"]),
        timeout=_TIMEOUT_SECONDS,
        allow_redirects=False,
    )
    if answer.status_code != 200:
        raise BenchmarkFailed(f"{merchant['webhookURL']} answered {answer.status_code}")
    table.update_item(
        Key={"id": webhook["id"]},
        UpdateExpression=_OUTCOME,
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={
            ":delivered": "delivered",
            ":one": 1,
            ":now": datetime.now(UTC).isoformat(),
            ":code": answer.status_code,
        },
    )


def _headers(key: str, body: bytes, secret: str) -> dict[str, str]:
    """The platform's own headers, and those of Standard Webhooks."""
    now = str(int(time.time()))
    plain = hmac.new(secret.encode(), now.encode() + b"." + body, hashlib.sha256).hexdigest()
    signed = f"{key}.{now}.".encode() + body
    standard = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest())
    return {
        "Content-Type": "application/json",
        "X-Webhook-ID": key,
        "X-Webhook-Timestamp": now,
        "X-Webhook-Signature": f"sha256={plain}",
        "webhook-id": key,
        "webhook-timestamp": now,
        "webhook-signature": f"v1,{standard.decode()}",
    }


def _session() -> requests.Session:
    """The thread's own."""
    found: requests.Session | None = getattr(_local, "session", None)
    if found is None:
        found = _local.session = requests.Session()
    return found


if __name__ == "__main__":
    measure(
        resource,
        deliver,
        f"{THREADS} threads, a Session in each, a connection to DynamoDB for each; pages and"
        " batches of 100 keys",
        ("boto3", "botocore", "requests", "urllib3"),
    )
