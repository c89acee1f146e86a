"""The health of endpoints: what deliverers share of it, through the endpoints' own records.

Every deliverer has a breaker of its own for each endpoint. What changes is written to the
endpoint's record at once (opened, closed, first failure, first success after failures or with a
secret), a success once a minute at most; the others read the record every few seconds. So health
costs no write per delivery.

A deliverer that meets an endpoint whose breaker is half-open asks the record for the right to send
the one probe; the others wait for its end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from remit.aws.items import Item
from remit.clock import format_instant
from remit.services import Services
from remit.webhooks.breaker import Breaker, BreakerPolicy, State, counts_as
from remit.webhooks.endpoint import EndpointKey
from remit.webhooks.health_record import (
    HealthUpdate,
    Stored,
    update_of,
)
from remit.webhooks.health_state import HealthState
from remit.webhooks.health_writer import (
    Disable,
    HealthDisable,
    HealthWrite,
    HealthWriter,
    exists,
)
from remit.webhooks.policy import Action, action_for

log = logging.getLogger(__name__)

WRITE_EVERY = timedelta(minutes=1)
"""How often a success, or new failures of an endpoint that fails now and then, are written down."""

GONE = "it answered 410 (Gone)"

_PROBE_MARGIN = timedelta(seconds=5)  # a probe is claimed before it is sent, and recorded after it
_RETRY = timedelta(seconds=5)  # of a write that the store did not take
_DISABLED_WAIT = timedelta(seconds=15)  # then the endpoint has been read anew
_MOST_KNOWN = 10_000  # endpoints: a kilobyte each
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_DELIVERED = frozenset(s for s in range(100, 600) if action_for(s) is Action.DELIVERED)


class Why(StrEnum):
    """Why nothing is sent to an endpoint now."""

    OPEN = "its breaker is open"
    PROBED = "its breaker is half-open, and a probe is under way"
    DISABLED = "it is being disabled"


@dataclass(frozen=True, slots=True)
class Admit:
    """It may be sent."""


@dataclass(frozen=True, slots=True)
class Probe:
    """It may be sent if `try_probe` says so: the endpoint has failed, and is asked with one."""


@dataclass(frozen=True, slots=True)
class Defer:
    """It may not be sent before that instant."""

    until: datetime
    why: Why


ADMIT, PROBE = Admit(), Probe()


class HealthBook:
    """The health of the endpoints that one deliverer has met.

    `apply` and `try_probe` write, and are called on threads; everything else belongs to the event
    loop.
    """

    def __init__(
        self,
        services: Services,
        rand: Callable[[], float],
        *,
        disable: Disable,
        policy: BreakerPolicy = BreakerPolicy(),  # noqa: B008 - immutable
    ) -> None:
        self._clock = services.clock
        self._disable_after = services.settings.webhook_disable_after
        self._probe_time = services.settings.webhook_timeout + _PROBE_MARGIN
        self._random = rand
        self._writer = HealthWriter(services, disable, self._probe_time)
        self.try_probe = self._writer.try_probe
        self.apply = self._writer.apply
        self._policy = policy
        self._known: dict[EndpointKey, HealthState] = {}
        self._restricted: dict[EndpointKey, HealthState] = {}
        self._dirty: dict[EndpointKey, HealthState] = {}
        self._room = _MOST_KNOWN

    def load(self, key: EndpointKey, record: Item, url: str) -> None:
        """An endpoint's record as it was read, `{}` if there is none (yet), and its URL, empty if
        it has none."""
        health = self._of(key)
        if health.offered is None:  # what comes back from a write is newer
            self._adopt(health, Stored.of(record))
        self._is_at(health, url)

    def admission(self, key: EndpointKey, now: datetime) -> Admit | Probe | Defer:
        """Whether one more may be sent to an endpoint."""
        health = self._restricted.get(key)
        if health is None:
            return ADMIT
        self._take_answers()
        if health.shut:
            return self._defer(now, now + _DISABLED_WAIT, Why.DISABLED)
        state, until = health.breaker.at(now), health.breaker.until
        if state is State.CLOSED or until is None:
            return ADMIT
        if state is State.OPEN:
            return self._defer(now, until, Why.OPEN)
        if health.probe_until is not None and now < health.probe_until:
            return self._defer(now, health.probe_until, Why.PROBED)
        health.probe_until = now + self._probe_time
        return PROBE

    def shut_until(self, key: EndpointKey, now: datetime) -> datetime | None:
        """Until when nothing but a probe is sent to an endpoint; None: it may be sent. For what was
        admitted a moment ago and has not gone out: nobody is given the probe by it."""
        health = self._restricted.get(key)
        if health is None:
            return None
        if health.shut:
            return now + _DISABLED_WAIT
        until = health.breaker.until
        return None if until is None else max(now, until, health.probe_until or until)

    def record(
        self,
        key: EndpointKey,
        url: str,
        status: int | None,
        now: datetime,
        secret_ids: tuple[str, ...],
    ) -> None:
        """An attempt at this URL ended with this HTTP status, or with none, signed with these
        secrets. If the endpoint has moved since it began, it tells nothing."""
        health = self._known.get(key) or self._of(key)
        if health.url != url:
            if health.url:
                return
            health.url = url
        if health.breaker.record(counts_as(status), now):
            self._breaker_changed(health)
        if status in _DELIVERED:
            health.last_success = now
            for secret_id in secret_ids:
                health.used[secret_id] = now
            if health.failing_since is not None:
                health.failing_since, health.worn_out = None, False
                self._dirty[key] = health
            elif now >= health.success_at or not health.stored.used.issuperset(secret_ids):
                self._dirty[key] = health
        elif health.failing_since is None:
            health.failing_since = now
            self._dirty[key] = health
        elif now - health.failing_since >= self._disable_after:
            health.worn_out = True
            self._dirty[key] = health

    def gone(self, key: EndpointKey, url: str) -> None:
        """The endpoint answered at this URL that it is gone for good."""
        health = self._of(key)
        health.url = health.url or url
        if health.url != url:
            return
        health.gone = True
        self._changed(health)

    def writes(self, now: datetime) -> list[HealthWrite]:
        """What is to be written now, each by `apply`."""
        self._take_answers()
        due: list[HealthWrite] = []
        for key, health in list(self._dirty.items()):
            if health.offered is not None:
                if not health.offered.begun:  # whoever had it was interrupted
                    due.append(health.offered)
                continue
            if now < health.retry_at:
                continue
            if (write := self._write_of(health, now)) is not None:
                health.offered = write
                due.append(write)
            elif health.stored.disabled or not health.failing_changed:
                del self._dirty[key]
        return due

    def _write_of(self, health: HealthState, now: datetime) -> HealthWrite | None:
        if health.stored.disabled:
            return None
        if health.gone:
            return HealthDisable(health.key, GONE, health.url)
        since, stored = health.failing_since, health.stored
        if health.worn_out and since is not None and since == stored.failing_since:
            at = format_instant(since)
            reason = f"it has failed since {at} without one success"
            failing_since = stored.attributes["failingSince"]
            return HealthDisable(health.key, reason, health.url, failing_since)
        return update_of(health.key, stored, health.wanted(now))

    def _take_answers(self) -> None:
        """Take in what threads have found out."""
        for answer in self._writer.answers():
            health = self._of(answer.key)
            if answer.write is not None:
                self._written(health, answer.write, done=answer.done)
            if answer.record is not None:
                if isinstance(answer.write, HealthDisable):
                    health.gone = health.worn_out = False
                self._adopt(health, Stored.of(answer.record))
            self._changed(health)
            if answer.record is not None and not exists(answer.key, answer.record):
                self._forget(answer.key)

    def _written(self, health: HealthState, write: HealthWrite, *, done: bool) -> None:
        now = self._clock()
        health.offered = None
        if not done:
            health.retry_at = now + _RETRY
        elif isinstance(write, HealthUpdate):
            health.stored = health.stored.after(write)
            if "failingSince" in write.set:
                health.failing_at = now + WRITE_EVERY
            if "lastSuccessAt" in write.set:
                health.success_at = now + WRITE_EVERY

    def _adopt(self, health: HealthState, stored: Stored) -> None:
        """Take over what others changed in the record; the rest is as this deliverer knows it."""
        before, health.stored = health.stored, stored
        if stored.attributes == before.attributes:
            return
        self._is_at(health, stored.url)
        if stored.open_until != before.open_until:
            self._adopt_breaker(health.breaker, stored)
        if stored.probe_until != before.probe_until:
            health.probe_until = stored.probe_until
        if stored.failing_since != before.failing_since:
            health.failing_since, health.worn_out = stored.failing_since, False
        if (at := stored.last_success) is not None and at != before.last_success:
            health.last_success = max(at, health.last_success or at)
            written_at = min(at, self._clock())
            health.success_at = max(health.success_at, written_at + WRITE_EVERY)
        if health.failing_since and (health.last_success or _LONG_AGO) > health.failing_since:
            health.failing_since = None
        self._changed(health)

    def _is_at(self, health: HealthState, url: str) -> None:
        """An endpoint has this URL, by what was read; empty: that does not say."""
        if not url or url == health.url:
            return
        if health.url:
            log.info("merchant=%r endpoint=%r has moved and begins anew", *health.key)
            health.begin_anew(url, Breaker(self._policy, self._random))
            self._changed(health)
        health.url = url

    def _adopt_breaker(self, breaker: Breaker, stored: Stored) -> None:
        if stored.open_until is None:
            breaker.closed_elsewhere()
        else:
            breaker.opened_elsewhere(stored.open_until, stored.opens)

    def _breaker_changed(self, health: HealthState) -> None:
        state, until = health.breaker.state, health.breaker.until
        if until is None:
            log.info("merchant=%r endpoint=%r breaker=%s", *health.key, state)
        else:
            log.warning("merchant=%r endpoint=%r breaker=%s to %s", *health.key, state, until)
        self._changed(health)

    def _changed(self, health: HealthState) -> None:
        self._dirty[health.key] = health
        if health.shut or health.breaker.state is not State.CLOSED:
            self._restricted[health.key] = health
        else:
            self._restricted.pop(health.key, None)

    def _defer(self, now: datetime, until: datetime, why: Why) -> Defer:
        """Those that wait for an endpoint do not all come back together, and none too early."""
        return Defer(until + (until - now) * self._policy.jitter * self._random(), why)

    def _of(self, key: EndpointKey) -> HealthState:
        health = self._known.get(key)
        if health is None:
            if len(self._known) >= self._room:
                self._make_room()
            health = self._known[key] = HealthState(key, Breaker(self._policy, self._random))
        return health

    def _forget(self, key: EndpointKey) -> None:
        for where in (self._known, self._restricted, self._dirty):
            where.pop(key, None)

    def _make_room(self) -> None:
        """Forget the endpoints of which nothing is known but good."""
        told = {*self._restricted, *self._dirty}
        self._known = {
            key: health
            for key, health in self._known.items()
            if key in told or health.offered is not None or health.failing_since is not None
        }
        self._room = max(_MOST_KNOWN, 2 * len(self._known))
