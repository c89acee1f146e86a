"""Export jobs in DynamoDB: every move of a job is one conditional write.

Moves. The condition of each is made of the table `MOVES` by `moving_to`, beside what else it
demands: the claim's token, the merchant, that the time is not up.

Generations. Each claim raises `generation`; staging and final keys carry it. The move to
`completed` is conditional on the claim's token and selects the one result, so that a worker that
lost its lease can finish its upload and still changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from remit.aws.items import Item
from remit.aws.limits import MAX_KEY_BYTES
from remit.aws.transactions import FAILED_CONDITION, TransactionCanceled, transact
from remit.clock import Clock, epoch_seconds, format_instant
from remit.errors import (
    AlreadyExists,
    ConditionFailed,
    Conflict,
    LeaseLost,
    NotFound,
    RecordRefused,
    RemitError,
)
from remit.exports.active import ATTRIBUTE as ACTIVE_FOR
from remit.exports.job import ExportJob, new_item, sources_of, status_of
from remit.exports.last_error import ATTRIBUTE as LAST_ERROR
from remit.exports.last_error import LastError
from remit.exports.progress import SliceProgress
from remit.exports.slices import Slice
from remit.ids import export_run_id
from remit.queue import IF_DUE, Claim, DueQueue, queued
from remit.settings import Settings
from remit.stop import Stop

log = logging.getLogger(__name__)

IF_FREE_OR_MINE = f"attribute_not_exists(#claim) OR begins_with(#owner, :run) OR {IF_DUE}"
"""Claim condition of a run that was started for the job: it need not wait until the job is due,
and a task of the same run that is retried or cleared takes the run's own claim up again."""

NOT_EXPIRED = "attribute_not_exists(#expiresAt) OR #expiresAt > :seconds"

EXPIRED = "#expiresAt <= :seconds"

HELD = "#claim = :held"
_QUEUE = ("claim", "dueShard", "dueAt", ACTIVE_FOR)
_SLICES = ("slices", "slicesDone")

RETRIED = ("canceled", "failed")
"""Statuses from which a merchant has an export made again."""

_RESULTS = (
    "asOf", "bytes", "canceledAt", "canceledBy", "checksum", "completedAt", "error", "errorCode",
    "files", LAST_ERROR, "manifestKey", "progress", "range", "rejects", "rejectsKey", "resultKey",
    "resultURL", "rows", "totals", *_SLICES,
)  # fmt: skip
"""What an earlier generation may have left in the record."""


def moving_to(status: str) -> tuple[str, dict[str, Any]]:
    """The condition that a job may move to `status`, from the table of moves, and its values."""
    before = {f"from_{source}": source for source in sources_of(status)}
    return f"#status IN ({', '.join(f':{name}' for name in before)})", before


def is_key(export_id: str) -> bool:
    """Whether a job can have such an id."""
    return len(export_id.encode(errors="replace")) <= MAX_KEY_BYTES


def owned(item: Item | None, export_id: str, merchant_id: str) -> Item:
    """The record, if it is that of a merchant's own job.

    Raises:
        NotFound: it is not, or there is none.
    """
    if item is None or item.get("merchantID") != merchant_id:
        raise NotFound(f"there is no export {export_id!r}")
    return item


def owner_of(run_id: str, clears: int) -> str:
    """Who a claim belongs to: a DAG run, as often as it was cleared."""
    return f"{run_id}#{clears}"


def run_of(owner: str) -> str:
    """The part of an owner that all clears of a run share."""
    return owner.rpartition("#")[0] + "#" if "#" in owner else owner


class ExportStore:
    """The jobs and their queue."""

    def __init__(self, queue: DueQueue, settings: Settings, clock: Clock) -> None:
        self.queue = queue
        self._table = queue.table
        self._settings = settings
        self._clock = clock

    def create(self, job: ExportJob, entries: Sequence[Mapping[str, Any]] = ()) -> None:
        """Store a new job and the audit log's entries of it, both or neither. It comes due for the
        poller after the hand-over time, so that the run that is started for it is first.

        Raises:
            AlreadyExists: the id is taken; nothing was stored.
            StoreUnavailable: nothing is known to be stored.
        """
        due_at = job.created_at + self._settings.export_handover
        item = {**new_item(job), **queued(job.id, due_at), ACTIVE_FOR: job.merchant_id}
        put = {"Put": self._table.create_action(item)}
        try:
            transact(self._table.client, [put, *entries])
        except TransactionCanceled as canceled:
            if canceled.reasons[0] != FAILED_CONDITION:
                raise
            raise AlreadyExists(f"{self._table.name} {job.id}") from None

    def get(self, export_id: str) -> Item:
        """A job's record, while DynamoDB holds it; `status_of` says whether its time is up.

        Raises:
            NotFound: there is no such job.
        """
        item = self._table.get(export_id) if is_key(export_id) else None
        if item is None:
            raise NotFound(f"there is no export {export_id!r}")
        return item

    def get_own(self, export_id: str, merchant_id: str) -> Item:
        """The record of a merchant's own job.

        Raises:
            NotFound: the merchant has no such job.
        """
        return owned(self.get(export_id), export_id, merchant_id)

    def adopt(self, limit: int, stop: Stop) -> list[str]:
        """Put pending jobs that the platform's own service wrote into the queue, due now; at most
        so many, and no more once the stop is requested."""
        adopted: list[str] = []
        for item in self._foreign():
            if len(adopted) >= limit or stop.requested:
                break
            now = self._clock()
            changes = {**queued(item["id"], now), "generation": 0, "attempts": 0}
            if "createdAt" not in item:
                changes["createdAt"] = format_instant(now)
            try:
                self._table.update(
                    item["id"],
                    set=changes,
                    condition="attribute_not_exists(#dueShard) AND #status = :pending",
                    values={"pending": "pending"},
                )
            except ConditionFailed:
                continue  # another poller was faster, or its writer has canceled it
            except RecordRefused as error:
                log.warning("left where it is: %s", error)
                continue
            adopted.append(item["id"])
        return adopted

    def _foreign(self) -> Iterator[Item]:
        return self._table.query(
            "#status = :pending",
            {"pending": "pending", "seconds": epoch_seconds(self._clock())},
            index="gsi-status",
            filter=f"attribute_not_exists(#dueShard) AND ({NOT_EXPIRED})",
        )

    def claim(self, export_id: str, owner: str, condition: str = IF_DUE) -> Claim | None:
        """Claim a job for rendering and raise its generation; None if it is not to be had."""
        allowed, values = moving_to("processing")
        return self.queue.claim(
            export_id,
            self._settings.export_lease,
            condition=f"({condition}) AND {allowed} AND ({NOT_EXPIRED})",
            values={**values, "seconds": self._seconds(), "run": run_of(owner)},
            set={"status": "processing", "owner": owner, "progress": {}, "updatedAt": self._now()},
            remove=_SLICES,
            add={"generation": 1, "attempts": 1},
        )

    def await_workers(self, claim: Claim, slices: int) -> None:
        """Keep a claim while slices wait for workers. The attempt counts once one of them begins.

        Raises:
            LeaseLost: another worker has claimed the job since, or it was canceled.
        """
        due_at = self._clock() + self._settings.export_queue_lease
        changes = {"slices": slices, "attempts": _attempts_before(claim)}
        self.queue.write(
            claim, set={**changes, "dueAt": format_instant(due_at)}, remove=[LAST_ERROR]
        )

    def resume(self, piece: Slice) -> Claim:
        """Take the claim of a slice up again; the wait for a worker may have outlasted the lease.

        Raises:
            LeaseLost: another worker has claimed the job since, or it was canceled.
        """
        held = Claim(piece.export_id, piece.token, {})
        lease = self._settings.export_queue_lease
        item = self.queue.extend(held, lease, {"attempts": piece.attempt})
        return Claim(piece.export_id, piece.token, item)

    def awaited_run(self, export_id: str) -> str | None:
        """The DAG run whose slices of a large export wait for workers, or that is started for it
        and has not begun."""
        item = self._table.get(export_id) or {}
        run_id, _, clears = str(item.get("owner")).rpartition("#")
        return run_id if "slices" in item and clears.isdigit() else None

    def leave_to(self, run_id: str, export_id: str) -> bool:
        """Let a large export that is due wait longer for its run. False: the run does not have it
        any more, or its time is up."""
        allowed, values = moving_to("processing")
        due_at = self._clock() + self._settings.export_queue_lease
        condition = f"{IF_DUE} AND begins_with(#owner, :run) AND {allowed} AND ({NOT_EXPIRED})"
        try:
            self._table.update(
                export_id,
                set={"dueAt": format_instant(due_at)},
                condition=condition,
                values={
                    **values,
                    "run": f"{run_id}#",
                    "now": self._now(),
                    "seconds": self._seconds(),
                },
            )
        except ConditionFailed:
            return False
        return True

    def drop(self, export_id: str) -> bool:
        """Take a job that can never be claimed out of the queue, where it would stand before all
        others: a due one whose time is up, which is expired from now on, or one that someone else
        has moved to another status, which it keeps. False: it is claimable, or another has it."""
        return self._expire(export_id) or self._leave_alone(export_id)

    def _expire(self, export_id: str) -> bool:
        try:
            self._move(
                export_id,
                "expired",
                condition=f"{IF_DUE} AND {EXPIRED}",
                values={"now": self._now(), "seconds": self._seconds()},
                remove=_QUEUE,
            )
        except ConditionFailed:
            return False
        log.warning("export %s has expired before anyone has finished it", export_id)
        return True

    def _leave_alone(self, export_id: str) -> bool:
        allowed, values = moving_to("processing")
        # An `expiresAt` that is no number is neither past nor ahead.
        never = f"NOT {allowed} OR ({IF_DUE} AND NOT ({NOT_EXPIRED}))"
        try:
            self._table.update(
                export_id,
                remove=_QUEUE,
                condition=f"attribute_exists(#dueShard) AND ({never})",
                values={**values, "now": self._now(), "seconds": self._seconds()},
            )
        except ConditionFailed:
            return False
        log.info("export %s leaves the queue, as nobody can claim it", export_id)
        return True

    def slice_done(self, claim: Claim, number: int, rows: int, size: int) -> None:
        """Count a rendered slice. One that is rendered twice counts once.

        Raises:
            LeaseLost: another worker has claimed the job since, or it was canceled.
        """
        progress = SliceProgress(rows, size, 100)
        done = frozenset({number})
        self.queue.write(claim, set=progress.entry(number), add={"slicesDone": done})

    def cancel(
        self,
        export_id: str,
        merchant_id: str,
        by: str,
        announcement: Sequence[Mapping[str, Any]] = (),
        entries: Sequence[Mapping[str, Any]] = (),
    ) -> Item:
        """Cancel a merchant's job, as asked for by `by`; returns its record. A job that is canceled
        already stays as it is, and has no more of the audit log's `entries`.

        The claim goes with it: whoever renders the export finds the lease lost at the next beat.
        Its place in the queue stays: it comes due when the lease would have ended, for the poller
        to remove what a worker has left that was killed.

        Raises:
            NotFound: the merchant has no such job.
            Conflict: the job is finished; the message says how.
        """
        try:
            self._move(
                export_id,
                "canceled",
                condition=f"#merchantID = :merchant AND ({NOT_EXPIRED})",
                values={"merchant": merchant_id, "seconds": self._seconds()},
                set={"canceledAt": self._now(), "canceledBy": by},
                remove=["claim", ACTIVE_FOR, LAST_ERROR],
                announcement=announcement,
                entries=entries,
            )
        except ConditionFailed:
            log.info("export %s is not to be canceled", export_id)
        else:
            log.info("export %s is canceled, by %r", export_id, by)
        item = self.get_own(export_id, merchant_id)
        if (status := status_of(item, self._clock())) != "canceled":
            allowed = " or ".join(sources_of("canceled"))
            raise Conflict(f"the export is {status}: only one that is {allowed} can be canceled")
        return item

    def canceled(self, export_id: str) -> bool:
        """Whether a job is canceled: why a worker may find its lease lost."""
        item = self._table.get(export_id)
        return item is not None and item.get("status") == "canceled"

    def hand_over(self, claim: Claim) -> str:
        """Give a claimed large job to the run that is to be started for it; returns that run's id.

        The poller finds the job again if that run never starts.
        """
        run_id = export_run_id(claim.key, int(claim.item["generation"]) + 1)
        changes = {"attempts": _attempts_before(claim), "owner": owner_of(run_id, clears=0)}
        due_at = self._clock() + self._settings.export_queue_lease
        self._give_back(claim, due_at, changes, remove=["claim"])
        return run_id

    def release(self, claim: Claim) -> None:
        """Give a claimed job back, due now: the worker was asked to stop."""
        self._give_back(claim, self._clock(), {"attempts": _attempts_before(claim)})

    def put_off(self, claim: Claim, error: LastError) -> None:
        """Give a claimed job back after a round that failed, due after a wait. The attempt counts
        only if the error may be the export's own fault.

        If the store is out of reach itself, the lease runs out instead, and the attempt counts.
        """
        changes: dict[str, Any] = {LAST_ERROR: error.record()}
        if not error.kind.counts:
            changes["attempts"] = _attempts_before(claim)
        try:
            self._give_back(claim, error.due_at(self._clock()), changes)
        except (RemitError, ClientError) as failed:
            log.warning("export %s stays claimed until its lease ends: %s", claim.key, failed)

    def note(self, claim: Claim, error: LastError) -> None:
        """Write down why a slice failed. The claim stays: the task is tried again."""
        try:
            self.queue.write(claim, set={LAST_ERROR: error.record()})
        except (RemitError, ClientError) as failed:
            log.warning("export %s: the error is not written down: %s", claim.key, failed)

    def _give_back(
        self,
        claim: Claim,
        due_at: datetime,
        changes: Mapping[str, Any],
        remove: Collection[str] = ("claim", *_SLICES),
    ) -> None:
        changes = {**changes, "dueAt": format_instant(due_at)}
        self._move_held(claim, "pending", set=changes, remove=remove)

    def reopen(self, export_id: str) -> None:
        """Put a finished job back into the queue: its run was cleared.

        Raises:
            ConditionFailed: it is not finished, or its time is up.
        """
        self._reopen(export_id, "", {})

    def retry(
        self,
        export_id: str,
        merchant_id: str,
        operation_id: str,
        entries: Sequence[Mapping[str, Any]] = (),
    ) -> Item:
        """Put a merchant's job that has failed or was canceled back into the queue, and write the
        audit log's entries of it; returns its record. The same operation again changes nothing.

        The generation rises, as by a claim: the id of the run that is started for it is made of the
        next one, and none has had that.

        Raises:
            NotFound: the merchant has no such job.
            Conflict: it has not failed and is not canceled, or its time is up; the message says so.
        """
        sources = {f"retry_{status}": status for status in RETRIED}
        own = (
            f"#merchantID = :merchant AND #status IN ({', '.join(f':{name}' for name in sources)})"
        )
        try:
            self._reopen(
                export_id,
                f"{own} AND ",
                {**sources, "merchant": merchant_id},
                set={"retryID": operation_id, ACTIVE_FOR: merchant_id},
                add={"generation": 1},
                entries=entries,
            )
        except ConditionFailed:
            item = self.get_own(export_id, merchant_id)
            if item.get("retryID") == operation_id:
                return item
            allowed, status = " or ".join(RETRIED), status_of(item, self._clock())
            raise Conflict(
                f"the export is {status}: only one that is {allowed} can be tried again"
            ) from None
        log.info("export %s is to be tried again", export_id)
        return self.get_own(export_id, merchant_id)

    def _reopen(
        self,
        export_id: str,
        only_if: str,
        values: Mapping[str, Any],
        *,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - DynamoDB's word
        add: Mapping[str, int] | None = None,
        entries: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        due_at = self._clock() + self._settings.export_handover
        self._move(
            export_id,
            "pending",
            condition=f"{only_if}attribute_not_exists(#claim) AND ({NOT_EXPIRED})",
            values={**values, "seconds": self._seconds()},
            set={**(set or {}), "attempts": 0, **queued(export_id, due_at)},
            add=add,
            remove=_RESULTS,
            entries=entries,
        )

    def complete(
        self, claim: Claim, result: Mapping[str, Any], announcement: Sequence[Mapping[str, Any]]
    ) -> None:
        """Move to `completed` and write the announcement (the outbox) in one transaction.

        Raises:
            LeaseLost: another worker has claimed the job since, or it was canceled; nothing was
                written.
        """
        self._move_held(
            claim,
            "completed",
            set={**result, "completedAt": self._now()},
            remove=[*_QUEUE, "error", "errorCode", LAST_ERROR],
            announcement=announcement,
        )

    def fail(
        self, claim: Claim, code: str, message: str, announcement: Sequence[Mapping[str, Any]]
    ) -> None:
        """Move to `failed` with a code and a message that the merchant may read.

        Raises:
            LeaseLost: another worker has claimed the job since, or it was canceled; nothing was
                written.
        """
        reason = {"errorCode": code, "error": message}
        remove = [*_QUEUE, LAST_ERROR]
        self._move_held(claim, "failed", set=reason, remove=remove, announcement=announcement)

    def _move_held(self, claim: Claim, status: str, **changes: Any) -> None:
        """Move a job that is claimed; see `_move` for the changes.

        Raises:
            LeaseLost: the claim is gone; nothing was written.
        """
        try:
            self._move(claim.key, status, condition=HELD, values={"held": claim.token}, **changes)
        except ConditionFailed:
            raise LeaseLost(f"export {claim.key} was claimed by another, or canceled") from None

    def _move(
        self,
        export_id: str,
        status: str,
        *,
        condition: str,
        values: Mapping[str, Any],
        set: Mapping[str, Any] | None = None,  # noqa: A002 - DynamoDB's word
        add: Mapping[str, int] | None = None,
        remove: Collection[str] = (),
        announcement: Sequence[Mapping[str, Any]] = (),
        entries: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Move a job to `status` and write the announcement and the audit log's entries, all or
        nothing. A claim, which is the queue's write, is the only move that is not made here.

        Even one write alone is a transaction: it can be sent again when its answer is lost, and
        the condition that it has made untrue itself does not count against it.

        Raises:
            ConditionFailed: the table of moves has no such move from where the job is, or the
                condition does not hold. Nothing was written.
        """
        allowed, sources = moving_to(status)
        update = self._table.update_action(
            export_id,
            set={**(set or {}), "status": status, "updatedAt": self._now()},
            add=add,
            remove=remove,
            condition=f"{allowed} AND {condition}",
            values={**values, **sources},
        )
        moved = [{"Update": update}, *entries]
        try:
            self._write(export_id, [*moved, *announcement])
        except TransactionCanceled as canceled:
            if not announcement or not {*canceled.reasons} <= {None, FAILED_CONDITION}:
                raise
            # Announced before: an export that is made again under the same id tells nobody twice.
            log.info("export %s was announced before: %s", export_id, canceled)
            self._write(export_id, moved)

    def _write(self, export_id: str, actions: Sequence[Mapping[str, Any]]) -> None:
        try:
            transact(self._table.client, actions)
        except TransactionCanceled as canceled:
            if canceled.reasons[0] != FAILED_CONDITION:
                raise
            raise ConditionFailed(f"export {export_id} is in another state") from None

    def _seconds(self) -> int:
        return epoch_seconds(self._clock())

    def _now(self) -> str:
        return format_instant(self._clock())


def _attempts_before(claim: Claim) -> int:
    return max(int(claim.item["attempts"]) - 1, 0)
