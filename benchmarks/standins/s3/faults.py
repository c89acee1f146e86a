"""What goes wrong with `UploadPart`, on purpose, after the part has been received.

A plan says what happens to every n-th part, by numbers that count those of all connections from 1.
Where several kinds meet in one part, the first in the order of `KINDS` happens.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from benchmarks.standins.http import Reset
from benchmarks.standins.s3.errors import S3Error

KINDS = ("reset_every", "error_every", "slow_down_every")


@dataclass(frozen=True)
class UploadFaultPlan:
    """How often what happens; 0 is never."""

    reset_every: int = 0
    """The connection is reset instead of an answer."""
    error_every: int = 0
    """500 InternalError."""
    slow_down_every: int = 0
    """503 SlowDown."""


class UploadFaults:
    """A plan being carried out."""

    def __init__(self, plan: UploadFaultPlan | None = None) -> None:
        self.plan = plan or UploadFaultPlan()
        self._numbers = itertools.count(1)

    def before_part(self) -> None:
        """Refuse a part, if it is its turn.

        Raises:
            S3Error: SlowDown or InternalError.
            Reset: the connection is to be reset.
        """
        number = next(self._numbers)
        kind = next((k for k in KINDS if (n := getattr(self.plan, k)) and number % n == 0), None)
        if kind == "reset_every":
            raise Reset
        if kind == "error_every":
            raise S3Error("InternalError", "We encountered an internal error. Please try again.")
        if kind == "slow_down_every":
            raise S3Error("SlowDown", "Please reduce your request rate.")
