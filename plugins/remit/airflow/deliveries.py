"""The delivery tasks: what lies between Airflow's task context and `remit.webhooks`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from remit.airflow.services import services
from remit.errors import Interrupted, StoreUnavailable
from remit.queue import SHARDS
from remit.services import Services
from remit.stop import Stop, stop_on_sigterm
from remit.webhooks.adoption import adopt
from remit.webhooks.chunk import Chunk, DeliveryPending
from remit.webhooks.delivery import deliver
from remit.webhooks.fanout import fan_out
from remit.webhooks.replays import run_replays

log = logging.getLogger(__name__)

FAN_OUT = 500
"""Events that were written alone, and that one try makes webhooks of before it delivers."""

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
        _fan_out(resources, stop)
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

    Every so many minutes of the schedule, webhooks that the platform's own service left are
    adopted first. Runs without a logical date were started by an event, not by the schedule. While
    there is no backlog to share out, it goes on with replays, which would only add to one.
    """
    resources = services()
    logical_date = context["dag_run"].logical_date
    with stop_on_sigterm() as stop:
        if logical_date is not None and logical_date.minute % adoption_minutes == 0:
            adopt(resources, stop)
        groups = shard_groups(-(-(_due(resources) - BACKLOG) // BACKLOG))
        if not groups:
            run_replays(resources, stop, seconds=REPLAY_SECONDS)
    return groups


def shard_groups(count: int) -> list[list[int]]:
    """All shards, dealt out to so many groups; none for a count below one."""
    groups = min(count, SHARDS)
    return [list(range(group, SHARDS, groups)) for group in range(max(groups, 0))]


def _fan_out(resources: Services, stop: Stop) -> None:
    """Whatever keeps events waiting, the webhooks that there are, and that this task holds, go
    on."""
    try:
        fan_out(resources, stop, FAN_OUT)
    except StoreUnavailable as error:
        log.warning("events wait: %s", error)


def _due(resources: Services) -> int:
    """How many webhooks are due, counted as far as tasks can be for them."""
    most = BACKLOG * (SHARDS + 1) // SHARDS  # of each shard: keys are spread evenly
    return sum(resources.webhook_queue.count_due(shard, most) for shard in range(SHARDS))
