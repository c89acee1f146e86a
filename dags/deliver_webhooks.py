"""Delivers webhooks: every minute, and at once when something was put into the outbox.

`deliver` claims and sends until nothing is due any more, so that a first attempt waits for one
task and no other. Beside it, `survey` makes the webhooks of events that were written alone, and
looks whether thousands are due; if so, `deliver_backlog` is mapped over groups of shards. `survey`
is a task of its own, although a task costs about a second of CPU, since `deliver` may need minutes
for its five tries, and the rest must not wait for that.

Airflow's retries are the backoff: what failed and is to be tried again soon is held until then, and
the next try of the task is the next attempt.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, dag, get_current_context, task

from remit.airflow.assets import OUTBOX
from remit.airflow.retries import AtNextAttempt

ADOPTION_MINUTES = 10

# Five tries. The policy takes the delay from the chunk; the backoff is for a worker that is killed.
FIVE_ATTEMPTS: dict[str, Any] = {
    "retries": 4,
    "retry_delay": timedelta(seconds=2),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(seconds=30),
    "retry_policy": AtNextAttempt(),
}


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
    """Claim, sign, send, record; retry; fan out when there is a backlog."""

    @task(**FIVE_ATTEMPTS)
    def deliver() -> dict[str, int]:
        from remit.airflow.deliveries import deliver_chunk
        from remit.queue import SHARDS

        return deliver_chunk(get_current_context(), range(SHARDS))

    @task(retries=1, retry_delay=timedelta(seconds=2))
    def survey() -> list[list[int]]:
        from remit.airflow.deliveries import survey_backlog

        return survey_backlog(get_current_context(), ADOPTION_MINUTES)

    # Over all runs: a large backlog leaves workers for the first attempts of what is new.
    @task(max_active_tis_per_dag=8, **FIVE_ATTEMPTS)
    def deliver_backlog(shards: list[int]) -> dict[str, int]:
        from remit.airflow.deliveries import deliver_chunk

        return deliver_chunk(get_current_context(), shards)

    deliver()
    deliver_backlog.expand(shards=survey())


deliver_webhooks()
