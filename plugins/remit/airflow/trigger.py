"""Starting DAG runs inside the API server's process.

There is no public in-process client yet (https://github.com/apache/airflow/issues/68874). These are
the functions that Airflow's own routes call, with the checks that they make first; a test pins
their signatures. Nothing else in Remit touches them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from remit.errors import TriggerUnavailable
from remit.triggers import OUTBOX_ASSET

log = logging.getLogger(__name__)


class InProcessTrigger:
    """A `remit.triggers.Trigger` through Airflow's models."""

    def start(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> None:
        """See `Trigger`."""
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
                    _check(dag_id)
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
        from airflow.assets.manager import asset_manager
        from airflow.exceptions import AirflowException
        from airflow.models.asset import AssetModel
        from airflow.utils.retries import run_with_db_retries
        from airflow.utils.session import create_session
        from sqlalchemy import select
        from sqlalchemy.exc import SQLAlchemyError

        named = select(AssetModel).where(AssetModel.name == OUTBOX_ASSET, AssetModel.active.has())
        event = None
        try:
            for attempt in run_with_db_retries():
                with attempt, create_session() as session:
                    asset = session.scalar(named)
                    if asset is not None:
                        event = asset_manager.register_asset_change(
                            asset=asset, source_is_api=True, session=session
                        )
        except (AirflowException, SQLAlchemyError, ValueError) as error:
            raise TriggerUnavailable(f"could not update {OUTBOX_ASSET}: {error}") from error
        if event is None:
            raise TriggerUnavailable(f"the asset {OUTBOX_ASSET} is not known to Airflow")

    def check(self, dag_id: str) -> None:
        """See `Trigger`."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            _check(dag_id)
        except SQLAlchemyError as error:
            raise TriggerUnavailable(f"Airflow's database does not answer: {error}") from error


def _check(dag_id: str) -> None:
    from airflow.models.dag import DagModel

    dag = DagModel.get_current(dag_id)
    if dag is None or dag.is_stale:
        raise TriggerUnavailable(f"the DAG {dag_id} is not known to Airflow")
    if dag.has_import_errors:
        raise TriggerUnavailable(f"the DAG {dag_id} has import errors")
    if dag.is_paused:
        raise TriggerUnavailable(f"the DAG {dag_id} is paused")
