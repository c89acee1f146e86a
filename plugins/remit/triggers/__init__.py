"""Starting DAG runs, from inside Airflow's API server or from beside it.

| form                                     | where the app runs                                   |
|------------------------------------------|------------------------------------------------------|
| `remit.airflow.trigger.InProcessTrigger` | mounted in Airflow's API server                      |
| `remit.triggers.rest.RestTrigger`        | a service of its own, which calls Airflow's REST API |

Both behave alike: one conformance suite holds them to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

OUTBOX_ASSET = "remit_outbox"
"""Name of the asset that starts the delivery."""


class Trigger(Protocol):
    """Starts DAG runs. For threads that may block, not for the event loop."""

    def start(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> None:
        """Start a run; a run that exists already under the id is the same run, and fine.

        Raises:
            TriggerUnavailable: Airflow cannot take it: it is out of reach, or the DAG is not there,
                broken or paused.
        """

    def wake_delivery(self) -> None:
        """Have what is in the outbox delivered now: updates the asset `remit_outbox`. Updates that
        come close together are one run.

        Raises:
            TriggerUnavailable: Airflow did not take it. The next minute's run finds the webhooks.
        """

    def check(self, dag_id: str) -> None:
        """Let a DAG pass whose runs can be started.

        Raises:
            TriggerUnavailable: Airflow is out of reach, or the DAG is not there, broken or paused.
        """
