"""One run per export: prepare ► render (mapped per slice) ► publish.

The hook starts a run for every export that a merchant asks for; `poll_exports` starts one for a
large export that was missed. A small export is finished by `prepare`, and the rest is skipped: an
Airflow task costs about a second before it does anything.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task

from remit.airflow.assets import OUTBOX

RETRIES = {
    "retries": 4,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
}


@dag(
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=64,
    # A run that is stuck must not hold one of those places for good; its lease ends by itself.
    dagrun_timeout=timedelta(hours=12),
    default_args=RETRIES,
    params={
        "export_id": Param(
            type="string",
            minLength=1,
            title="Export",
            description="The id of an export job in the table ExportJobs.",
        )
    },
    doc_md=__doc__,
    tags=["remit"],
)
def export_payments() -> None:
    """Render one export to S3."""

    # The outlet starts deliver_webhooks as soon as the export is announced.
    @task(outlets=[OUTBOX])
    def prepare(params: dict[str, Any], run_id: str, dag_run: Any) -> list[dict[str, Any]]:
        from remit.airflow.exports import claim_for_run, export_task

        with export_task() as pipeline:
            clears = dag_run.clear_number
            claim = claim_for_run(pipeline, params["export_id"], run_id, clears)
            return [piece.to_json() for piece in pipeline.prepare(claim)]

    # One large export leaves workers for the others.
    @task(max_active_tis_per_dagrun=16)
    def render(piece: dict[str, Any]) -> dict[str, Any]:
        from remit.airflow.exports import export_task
        from remit.exports.slices import Slice

        with export_task() as pipeline:
            return pipeline.render(Slice.from_json(piece)).to_json()

    @task(outlets=[OUTBOX])
    def publish(rendered: list[dict[str, Any]]) -> None:
        from remit.airflow.exports import export_task
        from remit.exports.slices import RenderedSlice

        with export_task() as pipeline:
            pipeline.publish([RenderedSlice.from_json(one) for one in rendered])

    publish(render.expand(piece=prepare()))


export_payments()
