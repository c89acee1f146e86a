"""Sees to webhooks once a minute: beside `deliver_webhooks`, so that no first attempt waits for it.

`survey` makes the webhooks of events that were written alone, takes over those that the platform's
own service has left, goes on with replays, and looks whether thousands are due; if so,
`deliver_backlog` is mapped over groups of shards.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, task

from remit.airflow.attempts import FIVE_ATTEMPTS

ADOPTION_MINUTES = 10


@dag(
    schedule=CronTriggerTimetable("* * * * *", timezone="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
    # A backlog takes minutes, and the next minute's survey must not wait for its end.
    max_active_runs=16,
    # A run that is stuck must not hold one of those places for good; its leases end by themselves.
    dagrun_timeout=timedelta(minutes=15),
    tags=["remit", "webhooks"],
    doc_md=__doc__,
)
def survey_webhooks() -> None:
    """Fan out, adopt, replay, and share out what one task would need long for."""

    @task(retries=1, retry_delay=timedelta(seconds=2))
    def survey() -> list[list[int]]:
        from remit.airflow.deliveries import survey_backlog

        return survey_backlog(get_current_context(), ADOPTION_MINUTES)

    # Over all runs: a large backlog leaves workers for the first attempts of what is new.
    @task(max_active_tis_per_dag=8, **FIVE_ATTEMPTS)
    def deliver_backlog(shards: list[int]) -> dict[str, int]:
        from remit.airflow.deliveries import deliver_chunk

        return deliver_chunk(get_current_context(), shards)

    deliver_backlog.expand(shards=survey())


survey_webhooks()
