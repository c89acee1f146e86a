"""A stack like that of `make up`, its DynamoDB the benchmark's stand-in.

moto takes longer over one `GetItem` than the API server over a whole request: what would be
measured is moto. Everything else is as `make up` has it; the clients' merchant has one endpoint,
whose webhooks nobody delivers, and one export, which is completed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.webhooks.store import Store, empty_store
from demo.info import StackInfo
from demo.ports import HOST, Ports
from demo.stack import Stack
from remit.auth import TokenSettings, mint
from remit.aws.items import Item, encode_item
from remit.clock import epoch_seconds, format_instant

MERCHANT = "merchant-bench"
EXPORT = "export-01jbench0000000000000000000"
PERMISSIONS = ("payments", "webhooks", "events")

ENVIRONMENT = {
    "REMIT_API_RATE": "1000000",  # the limit is not what is measured; it is counted all the same
    "REMIT_WEBHOOK_QUEUE_LIMIT": "100000000",
}


@dataclass(frozen=True)
class Served:
    """Where the hook is, its token, and the processes that serve it."""

    airflow_url: str
    hook_url: str
    token: str
    processes: tuple[int, ...]

    @property
    def bearer(self) -> dict[str, str]:
        """The header that carries the token."""
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def store() -> Iterator[Store]:
    """The stand-in with the tables, the merchant and its export."""
    with empty_store() as empty:
        empty.write([{"Put": {"TableName": "Merchants", "Item": encode_item(merchant())}}])
        empty.write([{"Put": {"TableName": "ExportJobs", "Item": encode_item(completed_export())}}])
        yield empty


@contextmanager
def stage(tables: Store) -> Iterator[Served]:
    """A stack of its own, started, settled, and stopped at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="remit-bench-") as directory:
        ports = Ports.from_environment()
        connection = _connection(tables.url, f"http://{HOST}:{ports.aws}")
        environment = {**ENVIRONMENT, "AIRFLOW_CONN_AWS_DEFAULT": connection}
        stack = Stack(Path(directory), ports, environment=environment)
        with stack as info:
            # Its scheduled runs would take turns with the clients, and with the minute's beginning.
            pause_all(info)
            stack.settle()
            server = tuple(one.pid for one in info.processes if one.name == "api-server")
            yield Served(info.airflow_url, info.hook_url, _token(info.environment), server)


def merchant() -> Item:
    """Its endpoint takes nothing: the address is reserved for documentation (RFC 5737)."""
    return {
        "id": MERCHANT,
        "webhookURL": "https://192.0.2.1/webhooks",
        "webhookSecret": "benchmark-secret-of-a-merchant",
    }


def completed_export() -> Item:
    """A job as the engine leaves it."""
    now = datetime.now(UTC)
    key = f"exports/{MERCHANT}/{EXPORT}/1/payments.csv"
    return {
        "id": EXPORT,
        "merchantID": MERCHANT,
        "status": "completed",
        "format": "csv",
        "query": {"StartDate": "2026-01-01", "EndDate": "2026-01-31"},
        "generation": 1,
        "attempts": 1,
        "createdAt": format_instant(now),
        "updatedAt": format_instant(now),
        "completedAt": format_instant(now),
        "expiresAt": epoch_seconds(now + timedelta(days=7)),
        "rows": 1000,
        "bytes": 123456,
        "rejects": 0,
        "resultKey": key,
        "manifestKey": f"exports/{MERCHANT}/{EXPORT}/1/manifest.json",
        "files": [
            {
                "key": key,
                "name": "payments.csv",
                "rows": 1000,
                "bytes": 123456,
                "sha256": "0" * 64,
                "crc64nvme": "AAAAAAAAAAA=",
            }
        ],
    }


def pause_all(info: StackInfo) -> None:
    """Pause every DAG."""
    client = info.airflow()
    answer = client.patch(
        f"{info.airflow_url}/api/v2/dags?dag_id_pattern=~", json={"is_paused": True}, timeout=30
    )
    answer.raise_for_status()


def _connection(dynamodb: str, aws: str) -> str:
    """As the stack's own, but for DynamoDB."""
    extra = {
        "region_name": "us-east-1",
        "endpoint_url": aws,
        "service_config": {"dynamodb": {"endpoint_url": dynamodb}},
    }
    return json.dumps({"conn_type": "aws", "login": "local", "password": "local", "extra": extra})


def _token(environment: Mapping[str, str]) -> str:
    settings = TokenSettings.from_environment(environment)
    return mint(settings, MERCHANT, permissions=PERMISSIONS, now=datetime.now(UTC))
