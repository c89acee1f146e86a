"""What most people write: a boto3 resource, a list of items, a frame, `to_csv`, an upload.

In favour of this peer: no report, no check, no formula guard, no exact amounts, one currency's
minor units as they are.
"""

from __future__ import annotations

import io
from typing import Any

import boto3
import pandas as pd
from boto3.dynamodb.conditions import Key
from botocore.config import Config

from benchmarks.export.subjects.measuring import (
    BUCKET,
    FIRST_DAY,
    INDEX,
    MERCHANT,
    TABLE,
    UNSIGNED_BODIES,
    Done,
    Parameters,
    measure,
)

AFTER_LAST_DAY = "2026-02-01"


def export(parameters: Parameters) -> Done:
    """Everything into memory, then out."""
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    table = session.resource("dynamodb", endpoint_url=parameters.dynamodb).Table(TABLE)
    condition = Key("merchantID").eq(MERCHANT) & Key("createdAt").between(FIRST_DAY, AFTER_LAST_DAY)
    request: dict[str, Any] = {"IndexName": INDEX, "KeyConditionExpression": condition}
    items: list[Any] = []
    while True:
        page = table.query(**request)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    content = pd.DataFrame(items).to_csv(index=False).encode()
    key = f"peer/{parameters.export_id}.csv"
    config = Config(s3=UNSIGNED_BODIES)
    s3 = session.client("s3", endpoint_url=parameters.s3, config=config)
    s3.upload_fileobj(io.BytesIO(content), BUCKET, key)
    return Done(len(items), written={key: len(content)})


if __name__ == "__main__":
    measure(
        export,
        "Table.query on the index, pages of 1 MB (no Limit); upload_fileobj with its defaults: "
        "parts of 8 MB by ten threads, bodies not signed",
        ("boto3", "botocore", "pandas"),
    )
