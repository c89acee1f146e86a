"""Exports as Airflow tasks run them: a claim for the run, and errors as Airflow has them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from botocore.exceptions import ClientError

from remit.airflow.services import services
from remit.errors import ExportFailed, LeaseLost, NotFound, Transient
from remit.exports.job import FINISHED, status_of, summary_of
from remit.exports.pipeline import ExportPipeline
from remit.exports.store import IF_FREE_OR_MINE, owner_of
from remit.queue import Claim
from remit.stop import stop_on_sigterm

log = logging.getLogger(__name__)

IsActive = Callable[[str], bool]
"""Whether the run of `export_payments` with that id is queued or running."""

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


def export_chunk(
    pipeline: ExportPipeline, ids: list[str], owner: str, is_active: IsActive
) -> list[dict[str, Any]]:
    """Export the small ones of a chunk; returns the runs to start for the large ones.

    A large one whose slices wait for workers is left to its run, as long as that is active: to
    begin anew would put it at the end of the queue that it waits in.

    One export that fails does not stop the others: its job says why, and it may come due again.
    """
    runs: list[dict[str, Any]] = []
    for export_id in ids:
        if pipeline.stop.requested:
            break  # what is not claimed yet stays due
        try:
            if not _is_left_to_its_run(pipeline, export_id, is_active):
                runs += _export_or_start(pipeline, export_id, owner)
        except (ExportFailed, Transient) as error:
            log.warning("export %s: %s", export_id, error)
        except Exception:
            log.exception("export %s comes due again", export_id)
    return runs


def _is_left_to_its_run(pipeline: ExportPipeline, export_id: str, is_active: IsActive) -> bool:
    run_id = pipeline.store.awaited_run(export_id)
    if run_id is None or not is_active(run_id):
        return False
    if left := pipeline.store.leave_to(run_id, export_id):
        log.info("export %s waits for workers, in the run %s", export_id, run_id)
    return left


def _export_or_start(pipeline: ExportPipeline, export_id: str, owner: str) -> list[dict[str, Any]]:
    """Export a small one; the run to start for a large one."""
    try:
        claim = pipeline.store.claim(export_id, owner)
        if claim is None:  # a run of its own, or another poller, was faster, or nobody ever can
            _drop(pipeline, export_id)
        elif pipeline.prepare(claim):
            run_id = pipeline.store.hand_over(claim)
            note = summary_of(claim.item)
            return [{"trigger_run_id": run_id, "conf": {"export_id": export_id}, "note": note}]
    except LeaseLost as lost:
        log.warning("export %s: %s", export_id, _after_loss(pipeline, export_id, lost))
    return []


def _drop(pipeline: ExportPipeline, export_id: str) -> None:
    """Take what nobody can claim out of the queue; of a canceled export, what a worker has left
    that was killed.

    Raises:
        Transient: S3 is out of reach; the next poll does it again.
    """
    if pipeline.store.canceled(export_id):
        try:
            pipeline.sweep(export_id)
        except ClientError as error:
            log.warning("export %s is left to the lifecycle rules: %s", export_id, error)
    pipeline.store.drop(export_id)
