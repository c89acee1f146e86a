"""awswrangler: `dynamodb.read_items` on the same index, then `s3.to_csv`."""

from __future__ import annotations

from typing import Any

import awswrangler as wr
import boto3
from boto3.dynamodb.conditions import Key

from benchmarks.export.subjects.measuring import (
    BUCKET,
    FIRST_DAY,
    INDEX,
    MERCHANT,
    TABLE,
    Parameters,
    measure,
)

AFTER_LAST_DAY = "2026-02-01"


def export(parameters: Parameters) -> tuple[int, Any]:
    """A frame from the index, and the frame to S3."""
    wr.config.dynamodb_endpoint_url = parameters.dynamodb
    wr.config.s3_endpoint_url = parameters.s3
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    condition = Key("merchantID").eq(MERCHANT) & Key("createdAt").between(FIRST_DAY, AFTER_LAST_DAY)
    frame = wr.dynamodb.read_items(
        table_name=TABLE,
        index_name=INDEX,
        key_condition_expression=condition,
        use_threads=True,
        boto3_session=session,
    )
    path = f"s3://{BUCKET}/peer/{parameters.export_id}.csv"
    wr.s3.to_csv(frame, path, index=False, boto3_session=session)
    return len(frame), None


if __name__ == "__main__":
    measure(
        export,
        "read_items by key_condition_expression on the index, use_threads=True; s3.to_csv",
    )
