"""The delivery tasks: what lies between Airflow's task context and `remit.webhooks`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from remit.airflow.services import services
from remit.errors import Interrupted, StoreUnavailable
from remit.queue import SHARDS
from remit.services import Services
from remit.stop import stop_on_sigterm
from remit.webhooks.adoption import adopt
from remit.webhooks.chunk import Chunk, DeliveryPending
from remit.webhooks.delivery import deliver
from remit.webhooks.fanout import fan_out
from remit.webhooks.replays import run_replays

log = logging.getLogger(__name__)

FAN_OUT_SECONDS = 30
"""So long of every minute the survey makes webhooks of events that were written alone."""

BACKLOG = 5_000
"""Webhooks that are due, per task. One task delivers thousands a minute; a backlog that it would
need longer for is shared out."""

REPLAY_SECONDS = 20
"""So long of every minute the survey goes on with replays."""

_STATE_KEY = "chunk"


def deliver_chunk(context: Mapping[str, Any], shards: Sequence[int]) -> dict[str, int]:
    """One try: go on with the chunk of the try before, or claim what is due; returns the counts.

    Raises:
        DeliveryPending: some are to be tried again, by the next try of this task.
        Interrupted: the worker was asked to stop, and everything is released.
    """
    state, task_instance = context["task_state_store"], context["ti"]
    last_try = task_instance.try_number > task_instance.max_tries
    resources = services()
    with stop_on_sigterm(resources.settings.grace) as stop:
        saved = state.get(_STATE_KEY)
        report = deliver(
            resources,
            stop,
            Chunk() if saved is None else Chunk.from_json(saved),
            shards=shards,
            save=lambda held: state.set(_STATE_KEY, held.to_json()),
            last_try=last_try,
        )
    if report.chunk.held:
        raise DeliveryPending(report.chunk)
    # Nothing is held: a try that follows, of a cleared task too, begins with what is due then.
    state.delete(_STATE_KEY)
    if stop.requested and not last_try:
        raise Interrupted("asked to stop; every webhook is released")
    return report.counts


def survey_backlog(context: Mapping[str, Any], adoption_minutes: int) -> list[list[int]]:
    """Groups of shards, as many as there are backlogs due beyond the one that `deliver` is at.

    Events that were written alone get their webhooks first. `deliver` may have ended by then, so
    there is one group at least if there were any: their first attempts wait for no other run.

    Every so many minutes of the schedule, webhooks that the platform's own service left are
    adopted; in a run that somebody has triggered, too. While there is no backlog to share out, it
    goes on with replays, which would only add to one.

    What cannot be read keeps nothing else from being done: the next run comes in a minute.
    """
    resources = services()
    logical_date = context["dag_run"].logical_date
    with stop_on_sigterm() as stop:
        fanned_out = _known("events wait", lambda: fan_out(resources, stop, FAN_OUT_SECONDS))
        if logical_date is None or logical_date.minute % adoption_minutes == 0:
            _known("what the platform left waits", lambda: adopt(resources, stop))
        due = _known("a backlog is not shared out", lambda: _due(resources))
        backlogs = -(-(due - BACKLOG) // BACKLOG)
        if backlogs < 1:
            run_replays(resources, stop, seconds=REPLAY_SECONDS)
    return shard_groups(max(backlogs, 1 if fanned_out else 0))


def shard_groups(count: int) -> list[list[int]]:
    """All shards, dealt out to so many groups; none for a count below one."""
    groups = min(count, SHARDS)
    return [list(range(group, SHARDS, groups)) for group in range(max(groups, 0))]


def _known(otherwise: str, count: Callable[[], int]) -> int:
    """What was counted; none if the store does not answer, and a line of the log."""
    try:
        return count()
    except StoreUnavailable as error:
        log.warning("%s: %s", otherwise, error)
        return 0


def _due(resources: Services) -> int:
    """How many webhooks are due, counted as far as tasks can be for them."""
    most = BACKLOG * (SHARDS + 1) // SHARDS  # of each shard: keys are spread evenly
    return sum(resources.webhook_queue.count_due(shard, most) for shard in range(SHARDS))
