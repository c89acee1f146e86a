"""Exports as Airflow tasks run them: a claim for the run, and errors as Airflow has them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from remit.airflow.services import services
from remit.errors import ExportFailed, LeaseLost, NotFound, Transient
from remit.exports.job import FINISHED, status_of, summary_of
from remit.exports.pipeline import ExportPipeline
from remit.exports.store import IF_FREE_OR_MINE, owner_of
from remit.ids import export_run_id
from remit.queue import Claim
from remit.stop import stop_on_sigterm

log = logging.getLogger(__name__)

MAX_CHUNKS = 100
"""Chunks of one poll (Airflow maps a task over at most 1,024); the next poll takes the rest."""


@contextmanager
def export_task(export_id: str | None = None) -> Iterator[ExportPipeline]:
    """The engine for the length of a task, which is about that one export, if it is about one.

    An export that cannot succeed fails the task without retry, one that another worker has taken
    over or that was canceled is skipped, everything else is retried as the task says.
    """
    context = services()
    with stop_on_sigterm(context.settings.grace) as stop:
        pipeline = ExportPipeline(context, stop)
        try:
            yield pipeline
        except ExportFailed as failed:
            raise AirflowFailException(f"{failed.code}: {failed}") from failed
        except NotFound as error:
            raise AirflowFailException(str(error)) from error
        except LeaseLost as lost:
            reason = str(lost) if export_id is None else _after_loss(pipeline, export_id, lost)
            raise AirflowSkipException(reason) from lost


def _after_loss(pipeline: ExportPipeline, export_id: str, lost: LeaseLost) -> str:
    """Why the claim of an export is gone. What a canceled one has left on S3 is removed, by every
    worker that finds it canceled: the last of them leaves nothing.

    Raises:
        Transient: that is not known, or not removed; a retry of the task does it again.
    """
    if not pipeline.store.canceled(export_id):
        return str(lost)
    log.info("export %s was canceled", export_id)
    pipeline.sweep(export_id)
    return f"export {export_id} was canceled"


def claim_for_run(pipeline: ExportPipeline, export_id: str, run_id: str, clears: int) -> Claim:
    """Claim an export for a DAG run that was started for it.

    `clears` counts how often the run was cleared: a cleared run exports again, under the same id;
    a task that is retried after it has finished the export does not.

    Raises:
        LeaseLost: another worker has the export, or has finished it, or it was canceled.
        NotFound: there is no such export, or no longer.
    """
    owner = owner_of(run_id, clears)
    item = pipeline.store.get(export_id)
    status = status_of(item, pipeline.store.queue.now())
    if status == "expired":
        raise NotFound(f"export {export_id} has expired: ask for a new one")
    if status in FINISHED and clears and item.get("owner") != owner:
        log.info("export %s is done again: its run was cleared", export_id)
        pipeline.store.reopen(export_id)
    claim = pipeline.store.claim(export_id, owner, IF_FREE_OR_MINE)
    if claim is None:
        raise LeaseLost(f"export {export_id} is {status}, by {item.get('owner')}")
    return claim


def find_due(pipeline: ExportPipeline) -> list[list[str]]:
    """Adopt what the platform's own service wrote; the ids of all due exports, in chunks."""
    chunk = pipeline.settings.poll_chunk
    limit = MAX_CHUNKS * chunk
    adopted = pipeline.store.adopt(limit, pipeline.stop)
    due = pipeline.store.queue.due(limit)
    log.info("%d exports adopted, %d due", len(adopted), len(due))
    return [due[at : at + chunk] for at in range(0, len(due), chunk)]


def export_chunk(pipeline: ExportPipeline, ids: list[str], owner: str) -> list[dict[str, Any]]:
    """Export the small ones of a chunk; returns the runs to start for the large ones.

    One export that fails does not stop the others: its job says why, or it comes due again.
    """
    runs: list[dict[str, Any]] = []
    for export_id in ids:
        if pipeline.stop.requested:
            break  # what is not claimed yet stays due
        try:
            runs += _export_or_start(pipeline, export_id, owner)
        except (ExportFailed, Transient) as error:
            log.warning("export %s: %s", export_id, error)
        except Exception:
            log.exception("export %s comes due again when its lease is over", export_id)
    return runs


def _export_or_start(pipeline: ExportPipeline, export_id: str, owner: str) -> list[dict[str, Any]]:
    """Export a small one; the run to start for a large one."""
    try:
        claim = pipeline.store.claim(export_id, owner)
        if claim is None:  # a run of its own, or another poller, was faster, or nobody ever can
            pipeline.store.drop(export_id)
        elif pipeline.prepare(claim):
            generation = pipeline.store.hand_over(claim)
            run_id = export_run_id(export_id, generation)
            note = summary_of(claim.item)
            return [{"trigger_run_id": run_id, "conf": {"export_id": export_id}, "note": note}]
    except LeaseLost as lost:
        log.warning("export %s: %s", export_id, _after_loss(pipeline, export_id, lost))
    return []
