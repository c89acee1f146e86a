"""Fixtures that every test may ask for."""

from __future__ import annotations

from tests.support.airflow import airflow, airflow_services, run_dag  # first: sets AIRFLOW_HOME
from tests.support.airflow_server import airflow_server, parsed_dags
from tests.support.aws import aws_server, clock, services

__all__ = [
    "airflow",
    "airflow_server",
    "airflow_services",
    "aws_server",
    "clock",
    "parsed_dags",
    "run_dag",
    "services",
]
