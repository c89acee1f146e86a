"""Fixtures that every test may ask for."""

from __future__ import annotations

from tests.support.aws import aws_server, clock, services

__all__ = ["aws_server", "clock", "services"]
