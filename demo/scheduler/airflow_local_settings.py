"""Airflow's hook for local settings: here, what the scheduler imports before it forks its workers.

https://airflow.apache.org/docs/apache-airflow/stable/howto/set-config.html#configuring-local-settings

The LocalExecutor forks its workers from the scheduler, and they fork the tasks. What the scheduler
has imported, no task needs to import again: that is about a second of CPU less for each task that
exports or delivers. Only the scheduler has this folder on its path.
"""

from __future__ import annotations

import importlib

__all__: list[str] = []  # Airflow would take every other name here as a setting

_SLOW_TO_IMPORT = (
    "aiohttp",
    "boto3",
    "duckdb",
    "pandas",
    "pyarrow.compute",
    "pyarrow.csv",
    "pyarrow.parquet",
    "remit.exports.engine",
    "remit.exports.pipeline",
    "remit.exports.render",
    "remit.webhooks.delivery",
)

for _name in _SLOW_TO_IMPORT:
    importlib.import_module(_name)
