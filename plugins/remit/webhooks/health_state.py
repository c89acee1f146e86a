"""What a deliverer knows of the health of one endpoint."""

from __future__ import annotations

from datetime import UTC, datetime

from remit.webhooks.breaker import Breaker
from remit.webhooks.endpoint import EndpointKey
from remit.webhooks.health_record import NOTHING, Wanted
from remit.webhooks.health_writer import HealthWrite

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class HealthState:
    """An endpoint as its record had it, and what became of it since."""

    __slots__ = (
        "breaker", "failing_at", "failing_since", "gone", "key", "last_success", "offered",
        "probe_until", "retry_at", "stored", "success_at", "url", "used", "worn_out",
    )  # fmt: skip

    def __init__(self, key: EndpointKey, breaker: Breaker) -> None:
        self.key = key
        self.breaker = breaker
        self.url = ""
        """What it is the health of; empty: nobody has said."""
        self.stored = NOTHING
        self.failing_since: datetime | None = None
        self.last_success: datetime | None = None
        self.used: dict[str, datetime] = {}
        self.probe_until: datetime | None = None
        self.gone = False
        self.worn_out = False
        """It failed once more, after it has failed for too long."""
        self.offered: HealthWrite | None = None
        """A write that is under way, or was handed out for it."""
        self.retry_at = self.failing_at = self.success_at = _LONG_AGO
        """When the next write may be made: any, that of failures, that of a success."""

    def begin_anew(self, url: str, breaker: Breaker) -> None:
        """Its webhooks go to another URL: what is known of the last one says nothing of it."""
        self.url, self.breaker = url, breaker
        self.failing_since = self.probe_until = None
        self.gone = self.worn_out = False

    @property
    def shut(self) -> bool:
        """Whether nothing is to be sent to it for good."""
        return self.gone or self.stored.disabled

    @property
    def failing_changed(self) -> bool:
        """Whether failures began or ended since its record was seen."""
        return (self.failing_since is None) != (self.stored.failing_since is None)

    def wanted(self, now: datetime) -> Wanted:
        """What its record should say now. That failures ended, and the first success that a secret
        has signed, is said at once; that they began again, and other successes, now and then."""
        recovered = self.failing_changed and self.failing_since is None
        succeeded = recovered or now >= self.success_at or not self.used.keys() <= self.stored.used
        said = recovered or now >= self.failing_at
        return Wanted(
            failing_since=self.failing_since if said else self.stored.failing_since,
            last_success=self.last_success if succeeded else None,
            open_until=self.breaker.until,
            opens=self.breaker.opens,
            used=self.used,
        )
