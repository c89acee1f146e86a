"""One run per export: prepare ► render (mapped per slice) ► publish.

The hook starts a run for every export that a merchant asks for; `poll_exports` starts one for a
large export that was missed. Both name a job that is stored (`export_id`). A run that is started by
hand or by a REST call may also say what to export: a merchant, two dates, and any option that the
hook takes. Its job is stored first, and is an export like any other.

A small export is finished by `prepare`, and the rest is skipped: an Airflow task costs about a
second before it does anything.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from remit.airflow.assets import OUTBOX
from remit.airflow.requests import form

RETRIES = {
    "retries": 4,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
}

# What the UI calls a mapped render task: the slice, and its range of the index.
SLICE_NAME = (
    "{% set piece = task.op_kwargs['piece'] %}"
    "slice {{ piece['number'] + 1 }}: {{ piece['keys']['first'] }} to {{ piece['keys']['last'] }}"
)


@dag(
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=64,
    # A run that is stuck must not hold one of those places for good; its lease ends by itself.
    dagrun_timeout=timedelta(hours=12),
    default_args=RETRIES,
    params=form(),
    doc_md=__doc__,
    tags=["remit"],
)
def export_payments() -> None:
    """Render one export to S3."""

    # The outlet starts deliver_webhooks as soon as the export is announced.
    @task(outlets=[OUTBOX])
    def prepare(params: dict[str, Any], dag_run: Any, ti: Any) -> list[dict[str, Any]]:
        from remit.airflow.exports import claim_for_run, export_task
        from remit.airflow.requests import export_of_run

        export_id = export_of_run(params, dag_run)
        ti.xcom_push(key="export_id", value=export_id)
        with export_task(export_id) as pipeline:
            claim = claim_for_run(pipeline, export_id, dag_run.run_id, dag_run.clear_number)
            return [piece.to_json() for piece in pipeline.prepare(claim)]

    # One large export leaves workers for the others.
    @task(max_active_tis_per_dagrun=16, map_index_template=SLICE_NAME)
    def render(piece: dict[str, Any]) -> dict[str, Any]:
        from remit.airflow.exports import export_task
        from remit.exports.slices import Slice

        with export_task(piece["export_id"]) as pipeline:
            return pipeline.render(Slice.from_json(piece)).to_json()

    @task(outlets=[OUTBOX])
    def publish(rendered: list[dict[str, Any]]) -> None:
        from remit.airflow.exports import export_task
        from remit.exports.slices import RenderedSlice

        with export_task(rendered[0]["slice"]["export_id"]) as pipeline:
            pipeline.publish([RenderedSlice.from_json(one) for one in rendered])

    publish(render.expand(piece=prepare()))


export_payments()
