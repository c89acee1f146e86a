"""One task per webhook: what an Airflow user writes to post many, with the HTTP provider.

As many as `BENCHMARK_WEBHOOKS` says, to the connection `webhook_receiver`. In favour of this way:
nothing is signed, nothing is recorded, nothing is read, and what is posted is there when the DAG is
parsed.
"""

from __future__ import annotations

import json
import os

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import dag

COUNT = int(os.environ.get("BENCHMARK_WEBHOOKS", "500"))
PAYLOAD_BYTES = 1024


def _body(number: int) -> str:
    """A payload of exactly so many bytes."""
    bare = len(json.dumps({"payment_id": f"pay-{number:07d}", "note": ""}))
    return json.dumps({"payment_id": f"pay-{number:07d}", "note": "x" * (PAYLOAD_BYTES - bare)})


@dag(schedule=None, catchup=False, is_paused_upon_creation=False, tags=["benchmark"])
def mapped_http() -> None:
    """Post them all, one task each."""
    HttpOperator.partial(
        task_id="post", http_conn_id="webhook_receiver", endpoint="mapped", method="POST"
    ).expand_kwargs(
        [
            {
                "data": _body(number),
                "headers": {"Content-Type": "application/json", "webhook-id": f"peer-{number:07d}"},
            }
            for number in range(COUNT)
        ]
    )


mapped_http()
