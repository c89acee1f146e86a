"""What docs/performance.md and docs/webhooks.md say of the benchmark is what it does."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from remit.airflow.assets import OUTBOX
from tests.unit.project.documents import Document

PERFORMANCE = Document("docs/performance.md")
WEBHOOKS = Document("docs/webhooks.md")


class Airflow:
    """A client whose requests are noted, and answered with this status."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.posted: list[tuple[str, Any]] = []

    def post(self, url: str, *, json: Any, timeout: float) -> requests.Response:
        self.posted.append((url, json))
        answer = requests.Response()
        answer.status_code = self._status
        return answer


def test_a_run_is_started_as_the_benchmark_starts_it() -> None:
    airflow = Airflow(200)
    WEBHOOKS.function("deliver_now")(airflow, "http://airflow")
    runs = "http://airflow/api/v2/dags/deliver_webhooks/dagRuns"
    assert airflow.posted == [(runs, {"logical_date": None})]


def test_whoever_starts_a_run_as_shown_hears_that_there_is_none() -> None:
    with pytest.raises(requests.HTTPError):
        WEBHOOKS.function("deliver_now")(Airflow(403), "http://airflow")


def test_the_outlet_that_is_shown_is_the_asset_that_starts_deliveries() -> None:
    (shown,) = (block for block in WEBHOOKS.blocks("python") if "outlets=" in block)
    assert "from remit.airflow.assets import OUTBOX" in shown
    assert f"asset `{OUTBOX.name}`" in WEBHOOKS.text
