"""Export jobs in DynamoDB: every move of a job is one conditional write.

Generations. Each claim raises `generation`; staging and final keys carry it. The move to
`completed` is conditional on the claim's token and selects the one result, so that a worker that
lost its lease can finish its upload and still changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from remit.aws.items import Item
from remit.aws.table import FAILED_CONDITION, TransactionCanceled, transact
from remit.clock import Clock, epoch_seconds, format_instant
from remit.errors import ConditionFailed, LeaseLost, NotFound, RecordRefused, Transient
from remit.exports.job import ExportJob, expiry_of, new_item, sources_of
from remit.queue import IF_DUE, Claim, DueQueue, queued
from remit.settings import Settings
from remit.stop import Stop

log = logging.getLogger(__name__)

IF_FREE_OR_MINE = f"attribute_not_exists(#claim) OR begins_with(#owner, :run) OR {IF_DUE}"
"""Claim condition of a run that was started for the job: it need not wait until the job is due,
and a task of the same run that is retried or cleared takes the run's own claim up again."""

NOT_EXPIRED = "attribute_not_exists(#expiresAt) OR #expiresAt > :seconds"

_FROM = ", ".join(f":from_{status}" for status in sources_of("processing"))
CLAIMABLE = f"#status IN ({_FROM}) AND ({NOT_EXPIRED})"

_RESULTS = (
    "bytes", "checksum", "completedAt", "error", "errorCode", "manifestKey", "progressBytes",
    "progressRows", "resultKey", "resultURL", "rows", "slices", "slicesDone",
)  # fmt: skip
"""What an earlier generation may have left in the record."""


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

    def create(self, job: ExportJob) -> None:
        """Store a new job. It comes due for the poller after the hand-over time, so that the run
        that the hook starts for it is first.

        Raises:
            StoreUnavailable: nothing was stored.
        """
        due_at = job.created_at + self._settings.export_handover
        self._table.create({**new_item(job), **queued(job.id, due_at)})

    def get(self, export_id: str) -> Item:
        """A job's record; one whose time is up counts as gone, though DynamoDB may still hold it.

        Raises:
            NotFound: there is no such job.
        """
        item = self._table.get(export_id)
        if item is None or _expired(item, self._clock()):
            raise NotFound(f"there is no export {export_id!r}")
        return item

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
        return self.queue.claim(
            export_id,
            self._settings.export_lease,
            condition=f"({condition}) AND ({CLAIMABLE})",
            values={**self._claimable(), "run": run_of(owner)},
            set={"status": "processing", "owner": owner, "updatedAt": self._now()},
            remove=["progressRows", "progressBytes", "slices", "slicesDone"],
            add={"generation": 1, "attempts": 1},
        )

    def _claimable(self) -> dict[str, Any]:
        before = {f"from_{status}": status for status in sources_of("processing")}
        return {**before, "seconds": epoch_seconds(self._clock())}

    def drop(self, export_id: str) -> bool:
        """Take a job that can never be claimed (expired, or moved to another status by someone
        else) out of the queue, where it would stand before all others; False: it is claimable."""
        try:
            self._table.update(
                export_id,
                remove=["claim", "dueShard", "dueAt"],
                condition=f"attribute_exists(#dueShard) AND NOT ({CLAIMABLE})",
                values=self._claimable(),
            )
        except ConditionFailed:
            return False
        log.warning("export %s is expired or of another's status: left alone", export_id)
        return True

    def slice_done(self, claim: Claim, number: int, rows: int, size: int) -> None:
        """Count a rendered slice. One that is rendered twice counts once.

        Raises:
            LeaseLost: another worker has claimed the job since.
        """
        try:
            self._table.update(
                claim.key,
                add={
                    "slicesDone": frozenset({number}),
                    "progressRows": rows,
                    "progressBytes": size,
                },
                condition="#claim = :held AND NOT contains(#slicesDone, :number)",
                values={"held": claim.token, "number": number},
            )
        except ConditionFailed:
            self.queue.extend(claim, self._settings.export_queue_lease)

    def hand_over(self, claim: Claim) -> int:
        """Give a claimed job to the run that is started for it; returns that run's generation.

        The poller finds it again if that run never starts.
        """
        due_at = self._clock() + self._settings.export_queue_lease
        self._give_back(claim, due_at)
        return int(claim.item["generation"]) + 1

    def release(self, claim: Claim) -> None:
        """Give a claimed job back, due now: the worker was asked to stop."""
        self._give_back(claim, self._clock())

    def uncount(self, claim: Claim) -> None:
        """Take back the attempt that the claim counted, and keep the claim: an outage is no fault
        of the export. If the store is out of reach itself, the attempt stays counted."""
        try:
            self.queue.write(claim, set={"attempts": _attempts_before(claim)})
        except (LeaseLost, Transient) as error:
            log.warning("export %s: the attempt stays counted: %s", claim.key, error)

    def _give_back(self, claim: Claim, due_at: datetime) -> None:
        attempts = _attempts_before(claim)
        changes = {"status": "pending", "attempts": attempts, "updatedAt": self._now()}
        self.queue.release(claim, due_at, changes)

    def reopen(self, export_id: str) -> None:
        """Put a finished job back into the queue: its run was cleared."""
        moves = {f"from_{status}": status for status in ("completed", "failed")}
        states = ", ".join(f":{name}" for name in moves)
        self._table.update(
            export_id,
            set={
                "status": "pending",
                "attempts": 0,
                "updatedAt": self._now(),
                **queued(export_id, self._clock() + self._settings.export_handover),
            },
            remove=_RESULTS,
            condition=f"#status IN ({states})",
            values=moves,
        )

    def complete(
        self, claim: Claim, result: Mapping[str, Any], announcement: Sequence[Mapping[str, Any]]
    ) -> None:
        """Move to `completed` and write the announcement (the outbox) in one transaction.

        Raises:
            LeaseLost: another worker has claimed the job since; nothing was written.
        """
        changes = {**result, "status": "completed", "completedAt": self._now()}
        self._finish(claim, changes, ["error", "errorCode"], announcement)

    def fail(
        self, claim: Claim, code: str, message: str, announcement: Sequence[Mapping[str, Any]]
    ) -> None:
        """Move to `failed` with a code and a message that the merchant may read.

        Raises:
            LeaseLost: another worker has claimed the job since; nothing was written.
        """
        changes = {"status": "failed", "errorCode": code, "error": message}
        self._finish(claim, changes, [], announcement)

    def _finish(
        self,
        claim: Claim,
        changes: Mapping[str, Any],
        remove: Collection[str],
        announcement: Sequence[Mapping[str, Any]],
    ) -> None:
        update = self._table.update_action(
            claim.key,
            set={**changes, "updatedAt": self._now()},
            remove=["claim", "dueShard", "dueAt", *remove],
            condition="#claim = :held",
            values={"held": claim.token},
        )
        try:
            transact(self._table.client, [{"Update": update}, *announcement])
        except TransactionCanceled as canceled:
            if canceled.reasons[0] == FAILED_CONDITION:
                raise LeaseLost(f"export {claim.key} was claimed by another") from None
            if not set(canceled.reasons) <= {None, FAILED_CONDITION}:
                raise
            # Announced before: a cleared run exports again under the same id, and
            # tells nobody twice.
            log.info("export %s was announced before: %s", claim.key, canceled)
            transact(self._table.client, [{"Update": update}])

    def _now(self) -> str:
        return format_instant(self._clock())


def _attempts_before(claim: Claim) -> int:
    return max(int(claim.item["attempts"]) - 1, 0)


def _expired(item: Item, now: datetime) -> bool:
    expires_at = expiry_of(item)
    return expires_at is not None and expires_at <= epoch_seconds(now)
