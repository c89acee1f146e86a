"""The Amazon provider's `DynamoDBToS3Operator`, executed as its task would.

It knows no query: it scans the whole table, here with nothing else in it, and writes JSON lines
with floats for numbers.
"""

from __future__ import annotations

import json
import os
from typing import Any

from airflow.providers.amazon.aws.transfers.dynamodb_to_s3 import DynamoDBToS3Operator

from benchmarks.export.subjects.measuring import (
    BUCKET,
    TABLE,
    UNSIGNED_BODIES,
    Done,
    Parameters,
    measure,
)

FILE_BYTES = 5 * 1024**3


def export(parameters: Parameters) -> Done:
    """Scan, one file, one upload."""
    os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = _connection(parameters)
    operator = DynamoDBToS3Operator(
        task_id="export",
        dynamodb_table_name=TABLE,
        s3_bucket_name=BUCKET,
        s3_key_prefix="peer/",
        file_size=FILE_BYTES,
    )
    rows = 0

    def count(parsed: dict[str, Any], **_: Any) -> None:
        nonlocal rows
        rows += parsed["Count"]

    # Once a page: the operator itself does not say how much it wrote.
    operator.hook.conn.meta.client.meta.events.register("after-call.dynamodb.Scan", count)
    operator.execute({})
    return Done(rows)


def _connection(parameters: Parameters) -> str:
    endpoints = {
        "dynamodb": {"endpoint_url": parameters.dynamodb},
        "s3": {"endpoint_url": parameters.s3},
    }
    extra = {
        "region_name": "us-east-1",
        "service_config": endpoints,
        "config_kwargs": {"s3": UNSIGNED_BODIES},
    }
    connection = {"conn_type": "aws", "login": "testing", "password": "testing"}
    return json.dumps({**connection, "extra": json.dumps(extra)})


if __name__ == "__main__":
    measure(
        export,
        "Scan by pages of 1 MB, file_size of 5 GiB, so that the file is uploaded once, the default "
        "process_func, bodies not signed",
        ("apache-airflow", "apache-airflow-providers-amazon", "boto3", "botocore"),
    )
