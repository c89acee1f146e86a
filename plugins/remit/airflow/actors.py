"""Who the audit log says it was, of what a DAG run asks for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from remit.audit import Actor, Via

_VIA: Mapping[str, Via] = MappingProxyType(
    {"scheduled": Via.SCHEDULE, "backfill": Via.BACKFILL},
)
"""Type of a run to the way that its request came by; every other is `run`: tasks are not told
whether it was the UI, the REST API or the command line."""

NOBODY = "airflow"
"""Who started a run that nobody started."""


def actor_of(dag_run: Any) -> Actor:
    """Who started a run, as far as Airflow tells its tasks, and the run's id."""
    return Actor(
        name=dag_run.triggering_user_name or NOBODY,
        via=_VIA.get(dag_run.run_type, Via.RUN),
        request_id=dag_run.run_id,
    )
