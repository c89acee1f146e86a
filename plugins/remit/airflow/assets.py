"""Airflow assets by which one DAG starts another. Imported by DAG files: nothing heavy here."""

from __future__ import annotations

from airflow.sdk import Asset

from remit.triggers import OUTBOX_ASSET

# No URI with a scheme: to normalize one, Airflow loads the handlers of every provider, boto3 among
# them, into each process that parses a DAG file.
OUTBOX = Asset(name=OUTBOX_ASSET)
"""Updated by a task that published an event, so that delivery starts at once. Runs coalesce."""
