"""Updates of the outbox that come close together are one call to Airflow, on nobody's time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from remit.errors import TriggerUnavailable
from remit.triggers import Trigger

log = logging.getLogger(__name__)

GAP_SECONDS = 1.0
"""Between two updates: a run takes longer than that to start and to claim."""

Wait = Callable[[float], object]

_wait = threading.Event().wait  # of an event that never comes


class CoalescingTrigger:
    """Has the outbox updated at once, and once more `GAP_SECONDS` later if it was asked for in
    between: so what is put into the outbox after a run has claimed is not forgotten.

    Each update is a write to Airflow's database, and thousands of events a second may come. Whoever
    publishes one does not wait for it and is not told that it failed: the event is stored, and the
    next minute's run finds it.
    """

    def __init__(self, trigger: Trigger, wait: Wait = _wait) -> None:
        self._trigger = trigger
        self._wait = wait
        self._lock = threading.Lock()
        self._asked = False
        self._thread: threading.Thread | None = None

    def start(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> None:
        """See `Trigger`."""
        self._trigger.start(dag_id, run_id, conf, note)

    def wake_delivery(self) -> None:
        """See `Trigger`; returns at once and raises nothing."""
        with self._lock:
            self._asked = True
            # A thread that a fork has left behind in the parent is not alive.
            if self._thread is None or not self._thread.is_alive():
                # A daemon: a process that stops does not wait for the gap.
                self._thread = threading.Thread(target=self._run, name="wake-delivery", daemon=True)
                self._thread.start()

    def check(self, dag_id: str) -> None:
        """See `Trigger`."""
        self._trigger.check(dag_id)

    def _run(self) -> None:
        """Until it was not asked for during a gap."""
        while self._taken():
            try:
                self._trigger.wake_delivery()
            except TriggerUnavailable as error:
                log.warning("the outbox waits for the next minute's run: %s", error)
            except Exception:
                log.exception("the outbox waits for the next minute's run")
            self._wait(GAP_SECONDS)

    def _taken(self) -> bool:
        with self._lock:
            if not self._asked:
                self._thread = None
            asked, self._asked = self._asked, False
            return asked
