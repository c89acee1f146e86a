"""Metrics where Airflow's own go, from the API server's process."""

from __future__ import annotations


class AirflowMetrics:
    """`remit.metrics.Metrics` through Airflow's statistics.

    Of the two doors that Airflow has to them, `airflow.sdk.observability.stats` is the one for
    tasks. The API server sets up the other one, as a test holds.
    """

    def count(self, name: str, **tags: str) -> None:
        """See `Metrics`."""
        from airflow.observability import stats  # every component loads the plugin

        stats.incr(name, tags=tags)

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        """See `Metrics`. Airflow's timings are in milliseconds."""
        from airflow.observability import stats

        stats.timing(name, seconds * 1000, tags=tags)
