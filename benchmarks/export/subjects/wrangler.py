"""awswrangler: `dynamodb.read_items` on the same index, then `s3.to_csv`."""

from __future__ import annotations

import awswrangler as wr
import boto3
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
    """A frame from the index, and the frame to S3."""
    wr.config.dynamodb_endpoint_url = parameters.dynamodb
    wr.config.s3_endpoint_url = parameters.s3
    wr.config.botocore_config = Config(s3=UNSIGNED_BODIES)
    session = boto3.Session("testing", "testing", region_name="us-east-1")
    condition = Key("merchantID").eq(MERCHANT) & Key("createdAt").between(FIRST_DAY, AFTER_LAST_DAY)
    frame = wr.dynamodb.read_items(
        table_name=TABLE,
        index_name=INDEX,
        key_condition_expression=condition,
        as_dataframe=True,
        use_threads=True,
        boto3_session=session,
    )
    key = f"peer/{parameters.export_id}.csv"
    wr.s3.to_csv(frame, f"s3://{BUCKET}/{key}", index=False, boto3_session=session)
    return Done(len(frame), written={key: None})


if __name__ == "__main__":
    measure(
        export,
        "read_items by key_condition_expression on the index, as_dataframe, use_threads; s3.to_csv "
        "(use_threads), bodies not signed",
        ("awswrangler", "boto3", "botocore", "pandas", "pyarrow"),
    )
