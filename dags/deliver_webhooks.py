"""Delivers webhooks: every minute, and at once when something was put into the outbox.

One task, which claims and sends until nothing is due any more: a first attempt waits for it and for
no other. What is to be seen to once a minute is the work of `survey_webhooks`.

Airflow's retries are the backoff: what failed and is to be tried again soon is held until then, and
the next try of the task is the next attempt.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, dag, get_current_context, task

from remit.airflow.assets import OUTBOX
from remit.airflow.attempts import FIVE_ATTEMPTS


@dag(
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("* * * * *", timezone="UTC"), assets=[OUTBOX]
    ),
    catchup=False,
    is_paused_upon_creation=False,
    # A run that waits for its next try counts as running, though it occupies no worker. Five tries
    # take half a minute of waiting and, against endpoints that hang, five timeouts of 15 s: two
    # minutes, and up to a minute of claiming each while there is a backlog. So the schedule alone
    # has 2 to 6 runs open; the rest is room for runs that events start, before they coalesce.
    max_active_runs=32,
    # A run that is stuck must not hold one of those places for good; its leases end by themselves.
    dagrun_timeout=timedelta(minutes=15),
    tags=["remit", "webhooks"],
    doc_md=__doc__,
)
def deliver_webhooks() -> None:
    """Claim, sign, send, record; retry."""

    @task(**FIVE_ATTEMPTS)
    def deliver() -> dict[str, int]:
        from remit.airflow.deliveries import deliver_chunk
        from remit.queue import SHARDS

        return deliver_chunk(get_current_context(), range(SHARDS))

    deliver()


deliver_webhooks()
