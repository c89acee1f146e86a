"""Starting the runs of exports: after the job is stored, and apart from it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from remit.api.answers import Answer
from remit.api.backend import Backend
from remit.api.call import Call
from remit.api.idempotency import Idempotency, Operation
from remit.aws.items import Item
from remit.errors import TriggerUnavailable
from remit.exports.job import summary_of
from remit.ids import export_run_id
from remit.metrics import TRIGGER_FAILED

log = logging.getLogger(__name__)

EXPORT_DAG = "export_payments"

Stored = Callable[[Item], None]
"""Is given the job whose run is to be started, once it is stored."""


class ExportStarts:
    """Does what stores a job once, and starts the job's run."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._idempotency = Idempotency(backend)

    async def once(
        self,
        request: Request,
        call: Call,
        values: Mapping[str, Any],
        do: Callable[[Operation, Stored], Answer],
    ) -> Response:
        """See `Idempotency.once`. What was stored is started whatever becomes of the answer, which
        waits for that a moment and no longer."""
        jobs: list[Item] = []

        def do_one(operation: Operation) -> Answer:
            return do(operation, jobs.append)

        try:
            return await self._idempotency.once(request, call, values, do_one)
        finally:
            for job in jobs[-1:]:
                await self._start(job)

    async def _start(self, job: Item) -> None:
        if not await self._backend.starts.start(partial(self._run, job)):
            self._backend.metrics.count(TRIGGER_FAILED, dag=EXPORT_DAG)
            log.error("export %s waits for the poller: too many starts at once", job["id"])

    def _run(self, job: Item) -> None:
        """Start the run of a job's next generation. The job is stored, and the poller picks it up
        if that comes to nothing: the answer is 202 all the same."""
        export = job["id"]
        try:
            run_id = export_run_id(export, int(job.get("generation", 0)) + 1)
            conf, note = {"export_id": export}, summary_of(job)
            self._backend.trigger.start(EXPORT_DAG, run_id, conf, note)
        except TriggerUnavailable as error:
            log.error("export %s waits for the poller: %s", export, error)  # noqa: TRY400
        except Exception:
            log.exception("export %s waits for the poller", export)
