"""Starting DAG runs inside the API server's process.

There is no public in-process client yet (https://github.com/apache/airflow/issues/68874). This is
the function that Airflow's own task API calls, with the checks that it makes first; a test pins its
signature. Nothing else in Remit touches it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from remit.errors import TriggerUnavailable

log = logging.getLogger(__name__)


class InProcessTrigger:
    """A `remit.triggers.Trigger` through Airflow's models."""

    def start(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> None:
        """Start a run; a run that exists already under the id is the same run, and fine.

        Raises:
            TriggerUnavailable: Airflow cannot take it: its database is out of reach, or the DAG is
                not there, broken or paused.
        """
        # Airflow's models take seconds to import; the plugin is loaded by every component.
        from airflow.api.common.trigger_dag import trigger_dag
        from airflow.exceptions import AirflowException, DagRunAlreadyExists
        from airflow.utils.retries import run_with_db_retries
        from airflow.utils.types import DagRunTriggeredByType
        from sqlalchemy.exc import IntegrityError, SQLAlchemyError

        try:
            # A deadlock or a lock that is held passes, and the run id makes the call idempotent.
            for attempt in run_with_db_retries():
                with attempt:
                    self.check(dag_id)
                    trigger_dag(
                        dag_id=dag_id,
                        run_id=run_id,
                        conf=dict(conf),
                        note=note,
                        triggered_by=DagRunTriggeredByType.REST_API,
                    )
        except (DagRunAlreadyExists, IntegrityError):
            log.info("%s %s exists already", dag_id, run_id)
        except (AirflowException, SQLAlchemyError, ValueError) as error:
            raise TriggerUnavailable(f"could not start {dag_id} {run_id}: {error}") from error

    def wake_delivery(self) -> None:
        """See `Trigger`."""
        raise TriggerUnavailable("not yet")

    def check(self, dag_id: str) -> None:
        """Let a DAG pass whose runs can be started.

        Raises:
            TriggerUnavailable: it is not there, broken or paused.
        """
        from airflow.models.dag import DagModel

        dag = DagModel.get_current(dag_id)
        if dag is None or dag.is_stale:
            raise TriggerUnavailable(f"the DAG {dag_id} is not known to Airflow")
        if dag.has_import_errors:
            raise TriggerUnavailable(f"the DAG {dag_id} has import errors")
        if dag.is_paused:
            raise TriggerUnavailable(f"the DAG {dag_id} is paused")
