"""The Amazon provider's `DynamoDBToS3Operator`, executed as its task would.

It knows no query: it scans the whole table, here with nothing else in it, and writes JSON lines
with floats for numbers.
"""

from __future__ import annotations

import json
import os
from typing import Any

from airflow.providers.amazon.aws.transfers.dynamodb_to_s3 import DynamoDBToS3Operator

from benchmarks.export.subjects.measuring import BUCKET, TABLE, Parameters, measure

FILE_BYTES = 5 * 1024**3


def export(parameters: Parameters) -> tuple[int, Any]:
    """Scan, one file, one upload."""
    rows = 0

    def counted(item: dict[str, Any]) -> bytes:
        nonlocal rows
        rows += 1
        return convert(item)

    from airflow.providers.amazon.aws.transfers.dynamodb_to_s3 import (
        _convert_item_to_json_bytes as convert,
    )

    os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = _connection(parameters)
    DynamoDBToS3Operator(
        task_id="export",
        dynamodb_table_name=TABLE,
        s3_bucket_name=BUCKET,
        s3_key_prefix="peer/",
        file_size=FILE_BYTES,
        process_func=counted,
    ).execute({})
    return rows, None


def _connection(parameters: Parameters) -> str:
    endpoints = {
        "dynamodb": {"endpoint_url": parameters.dynamodb},
        "s3": {"endpoint_url": parameters.s3},
    }
    extra = json.dumps({"region_name": "us-east-1", "service_config": endpoints})
    return json.dumps(
        {"conn_type": "aws", "login": "testing", "password": "testing", "extra": extra}
    )


if __name__ == "__main__":
    measure(export, "file_size=5 GiB, so that the file is uploaded once; default process_func")
