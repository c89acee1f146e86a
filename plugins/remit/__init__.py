"""Remit: payment exports and signed webhooks as a batch data pipeline on Apache Airflow."""

from __future__ import annotations

__version__ = "0.1.0"
