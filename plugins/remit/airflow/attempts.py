"""How Airflow's own retries are the backoff of webhooks: for every task that delivers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from remit.airflow.retries import AtNextAttempt

# Five tries. The policy takes the delay from the chunk; the backoff is for a worker that is killed.
FIVE_ATTEMPTS: dict[str, Any] = {
    "retries": 4,
    "retry_delay": timedelta(seconds=2),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(seconds=30),
    "retry_policy": AtNextAttempt(),
}
"""Arguments of a task."""
