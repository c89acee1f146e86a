from __future__ import annotations

from tests.support.standins import standins

__all__ = ["standins"]
