"""One task that does nothing: what Airflow itself takes for any run."""

from __future__ import annotations

from airflow.sdk import dag, task


@dag(schedule=None, catchup=False, is_paused_upon_creation=False, tags=["benchmark"])
def bare() -> None:
    """Do nothing."""

    @task
    def nothing() -> None:
        pass

    nothing()


bare()
