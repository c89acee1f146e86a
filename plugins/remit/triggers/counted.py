"""A trigger whose failures are counted, for whoever watches the deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remit.metrics import TRIGGER_FAILED, Metrics
from remit.triggers import Trigger

DELIVERY_DAG = "deliver_webhooks"
"""The DAG that updates of the outbox start."""


class CountedTrigger:
    """Counts what could not be started, whatever the reason, and lets the error through."""

    def __init__(self, trigger: Trigger, metrics: Metrics) -> None:
        self._trigger = trigger
        self._metrics = metrics

    def start(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> None:
        """See `Trigger`."""
        try:
            self._trigger.start(dag_id, run_id, conf, note)
        except Exception:
            self._metrics.count(TRIGGER_FAILED, dag=dag_id)
            raise

    def wake_delivery(self) -> None:
        """See `Trigger`."""
        try:
            self._trigger.wake_delivery()
        except Exception:
            self._metrics.count(TRIGGER_FAILED, dag=DELIVERY_DAG)
            raise

    def check(self, dag_id: str) -> None:
        """See `Trigger`. Whoever checks is told; nothing was to be started."""
        self._trigger.check(dag_id)
