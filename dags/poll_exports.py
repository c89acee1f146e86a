"""The safety net of exports, every minute: the missed, the abandoned and the adopted ones.

Due are jobs that no run took up in time, jobs whose worker died, and jobs that another service
wrote into the table. The small ones are exported right here, many in one task; a large one gets a
run of `export_payments`, under an id that can exist only once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import CronTriggerTimetable, dag, task

from remit.airflow.assets import OUTBOX


@dag(
    schedule=CronTriggerTimetable("* * * * *", timezone="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    # A chunk may take minutes; the next polls see what it holds as claimed.
    max_active_runs=4,
    dagrun_timeout=timedelta(hours=1),
    # The next poll is the retry: what a task leaves behind comes due again.
    default_args={"retries": 0},
    doc_md=__doc__,
    tags=["remit"],
)
def poll_exports() -> None:
    """Export what is due."""

    @task
    def find_due() -> list[list[str]]:
        from remit.airflow.exports import export_task, find_due

        with export_task() as pipeline:
            return find_due(pipeline)

    # Of all workers, polling takes a few at most: the runs that merchants wait for come first.
    @task(outlets=[OUTBOX], max_active_tis_per_dag=4)
    def export_chunk(ids: list[str], run_id: str, ti: Any) -> list[dict[str, Any]]:
        from remit.airflow.exports import export_chunk, export_task

        def is_active(run: str) -> bool:
            states = ["queued", "running"]
            return ti.get_dr_count("export_payments", run_ids=[run], states=states) > 0

        with export_task() as pipeline:
            owner = f"poll_exports/{run_id}/{ti.map_index}"
            return export_chunk(pipeline, ids, owner, is_active)

    # A chunk that failed must not keep the runs of the others from being started.
    @task(trigger_rule="all_done_min_one_success")
    def large_ones(chunks: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
        return [run for chunk in chunks for run in chunk]

    # These exports wait for their runs for as long as a queue may take: starting one is repeated.
    TriggerDagRunOperator.partial(
        task_id="start_runs",
        trigger_dag_id="export_payments",
        skip_when_already_exists=True,
        retries=4,
        retry_delay=timedelta(seconds=5),
    ).expand_kwargs(large_ones(export_chunk.expand(ids=find_due())))


poll_exports()
