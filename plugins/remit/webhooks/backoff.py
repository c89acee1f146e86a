"""When a webhook is tried again: the schedule, its jitter, and `Retry-After`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

RETRY_AFTER_CAP = timedelta(hours=6)
"""An endpoint may ask for this much patience; beyond it, it is asked again all the same."""

LEAST_REPEATED = timedelta(minutes=1)
"""Of an endpoint's own waits, the one that is repeated until a webhook expires: in a day that is
1,440 attempts at the most, where a second would be 86,400."""


@dataclass(frozen=True)
class RetrySchedule:
    """Waits between attempts: a burst of doubling waits, then a tail of doubling waits with a cap,
    or an endpoint's own `waits`, of which the last one is repeated, and is a minute at least then.

    Every wait is lengthened by up to `jitter` of itself, never shortened, so that webhooks that
    failed together do not come back together.
    """

    waits: tuple[timedelta, ...] = ()

    first: timedelta = timedelta(seconds=2)
    burst_attempts: int = 5
    tail: timedelta = timedelta(minutes=1)
    tail_cap: timedelta = timedelta(hours=1)
    jitter: float = 0.2

    def wait(self, attempts: int, random: float) -> timedelta:
        """The wait after so many attempts (at least 1); `random` is in [0, 1)."""
        return self.lengthened(self._base(attempts), random)

    def lengthened(self, wait: timedelta, random: float) -> timedelta:
        """A wait with its jitter."""
        return wait * (1 + self.jitter * random)

    @property
    def longest_burst_wait(self) -> timedelta:
        """The upper bound of every wait inside the burst."""
        return self._base(self.burst_attempts - 1) * (1 + self.jitter)

    def _base(self, attempts: int) -> timedelta:
        if attempts <= len(self.waits):
            return self.waits[attempts - 1]
        if self.waits:
            return max(self.waits[-1], LEAST_REPEATED)
        if attempts < self.burst_attempts:
            return self.first * (1 << (attempts - 1))
        # The exponent is bounded, because a foreign record may claim any number of attempts.
        doublings = min(attempts - self.burst_attempts, 32)
        return min(self.tail * (1 << doublings), self.tail_cap)


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The wait that a `Retry-After` header asks for (RFC 9110, 10.2.3: seconds or an HTTP date).

    None: there is no header, or it says nothing that can be understood. Capped.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        # Any number of digits: only so many are looked at, once the zeros before them are gone.
        seconds = min(int(text.lstrip("0")[:12] or "0"), int(RETRY_AFTER_CAP.total_seconds()))
        return timedelta(seconds=seconds)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000" and the obsolete asctime form: UTC, by RFC 9110
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta()), RETRY_AFTER_CAP)
