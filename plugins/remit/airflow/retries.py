"""Airflow's retries as the backoff of webhooks. Imported by DAG files: nothing heavy here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from remit.clock import Clock, system_clock
from remit.errors import Interrupted
from remit.webhooks.chunk import DeliveryPending


class AtNextAttempt(RetryPolicy):
    """Retries a delivery task at the earliest next attempt of the webhooks that it holds.

    It runs in the worker. A worker that is killed never asks it, and Airflow falls back to the
    task's own exponential backoff.
    """

    def __init__(self, clock: Clock = system_clock) -> None:
        self._clock = clock

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002 - Airflow's signature
        max_tries: int,  # noqa: ARG002
        context: Any = None,  # noqa: ARG002
    ) -> RetryDecision:
        """The delay from the exception; anything unforeseen keeps the task's own backoff."""
        match exception:
            case DeliveryPending(next_attempt=next_attempt):
                delay = max(next_attempt - self._clock(), timedelta())
                return RetryDecision.retry(delay, str(exception))
            case Interrupted():
                return RetryDecision.retry(timedelta(), "the worker was asked to stop")
            case _:
                return RetryDecision.default()
