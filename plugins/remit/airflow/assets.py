"""Airflow assets by which one DAG starts another. Imported by DAG files: nothing heavy here."""

from __future__ import annotations

from airflow.sdk import Asset

OUTBOX = Asset(name="remit_outbox", uri="remit://outbox")
"""Updated by a task that published an event, so that delivery starts at once. Runs coalesce."""
