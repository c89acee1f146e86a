"""Schedules on stand-ins, which are many times as fast as moto."""

from __future__ import annotations

from tests.support.standins import services, standins

__all__ = ["services", "standins"]
