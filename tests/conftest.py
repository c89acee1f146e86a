"""Fixtures that every test may ask for."""

from __future__ import annotations

from tests.support.airflow import airflow, airflow_services, run_dag  # first: sets AIRFLOW_HOME
from tests.support.aws import aws_server, clock, services

__all__ = ["airflow", "airflow_services", "aws_server", "clock", "run_dag", "services"]
