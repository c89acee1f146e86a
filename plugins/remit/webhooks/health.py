"""The health of endpoints: what deliverers share of it, through the endpoints' own records.

Every deliverer has breakers of its own. What changes in one (opened, closed) is written to the
record, which the others read every few seconds; a success is written at most once a minute. So
health costs no write per delivery.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from remit.aws.items import Item
from remit.clock import format_instant, parse_instant
from remit.errors import ConditionFailed, StoreUnavailable
from remit.services import Services
from remit.webhooks.breaker import Breaker, BreakerPolicy, is_failure
from remit.webhooks.endpoint import DEFAULT_ENDPOINT

log = logging.getLogger(__name__)

EndpointKey = tuple[str, str]
"""Merchant and endpoint."""

SUCCESS_EVERY = timedelta(minutes=1)
"""How often a success is written down, at most."""

_JITTER = 0.2
_PROBE_MARGIN = timedelta(seconds=2)
_HEALTH = ("failingSince", "breakerOpenUntil", "breakerOpens", "breakerProbeUntil")


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


ADMIT, PROBE = Admit(), Probe()


class Disable(Protocol):
    """Disables an endpoint, tells the merchant's other endpoints, and writes it down."""

    def __call__(self, key: EndpointKey, reason: str, actor: str) -> None: ...


@dataclass(slots=True)
class _Health:
    """What is known of one endpoint."""

    breaker: Breaker
    record: Item = field(default_factory=dict)
    probing_until: datetime | None = None
    failing_since: datetime | None = None
    succeeded: bool = False
    written_at: datetime | None = None
    secret_ids: tuple[str, ...] = ()
    changed: bool = False
    gone: bool = False
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class HealthWrite:
    """A change of an endpoint's record that is due."""

    key: EndpointKey
    set: dict[str, Any] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    condition: str = ""
    disable: str | None = None


class HealthBook:
    """The health of the endpoints that one deliverer has met. `apply` and `try_probe` write, and
    are called on threads; everything else belongs to the event loop."""

    def __init__(
        self,
        services: Services,
        rand: Callable[[], float],
        *,
        disable: Disable,
        policy: BreakerPolicy = BreakerPolicy(),  # noqa: B008 - immutable
    ) -> None:
        self._table = services.tables.endpoints
        self._settings = services.settings
        self._clock = services.clock
        self._random = rand
        self._disable = disable
        self._policy = policy
        self._known: dict[EndpointKey, _Health] = {}

    def load(self, key: EndpointKey, record: Item) -> None:
        """An endpoint's record as it was read; `{}`: there is none (yet)."""
        health = self._of(key)
        health.record = record
        health.failing_since = _instant(record, "failingSince")
        stored = _instant(record, "breakerOpenUntil")
        own = health.breaker.open_until
        if stored is None:
            # Another deliverer's probe succeeded, unless this one has just opened it.
            if own is not None and not health.changed:
                health.breaker = Breaker(self._policy)
        elif own is None or stored > own:
            health.breaker.open_until = stored
            health.breaker.opens = int(record.get("breakerOpens", 1))

    def admission(self, key: EndpointKey, now: datetime) -> Admit | Probe | Defer:
        """Whether one more may be sent to an endpoint."""
        health = self._of(key)
        until = health.breaker.open_until
        if until is None:
            return ADMIT
        if now >= until:
            probing = health.probing_until
            if probing is None or now >= probing:
                health.probing_until = now + self._probe_time()
                return PROBE
            until = probing
        # Those that wait for an endpoint do not all come back together.
        return Defer(until + (until - now) * _JITTER * self._random())

    def try_probe(self, key: EndpointKey) -> bool:
        """Take the right to the one probe, over all deliverers.

        Raises:
            StoreUnavailable: it is not known who has it.
        """
        now = self._clock()
        try:
            self._table.update(
                key,
                set={"breakerProbeUntil": format_instant(now + self._probe_time())},
                condition=(
                    f"({_is_there(key)}) AND "
                    "(attribute_not_exists(#breakerProbeUntil) OR #breakerProbeUntil <= :now)"
                ),
                values={"now": format_instant(now)},
            )
        except ConditionFailed:
            return False
        return True

    def record(
        self, key: EndpointKey, status: int | None, now: datetime, secret_ids: tuple[str, ...]
    ) -> None:
        """An attempt ended with this HTTP status, or with none, signed with these secrets."""
        health = self._of(key)
        failed = is_failure(status)
        if health.breaker.record(now, failed=failed):
            health.changed = True
            health.probing_until = None
            log.warning("endpoint %s of %s: breaker %s", key[1], key[0], health.breaker.state(now))
        if failed:
            health.failing_since = health.failing_since or now
            health.succeeded = False
        else:
            health.succeeded = True
            health.failing_since = None
            health.secret_ids = secret_ids

    def gone(self, key: EndpointKey) -> None:
        """The endpoint answered that it is gone for good."""
        self._of(key).gone = True

    def writes(self, now: datetime) -> list[HealthWrite]:
        """What is to be written now."""
        due: list[HealthWrite] = []
        for key, health in self._known.items():
            due += self._writes_of(key, health, now)
        return due

    def apply(self, write: HealthWrite) -> None:
        """Write one change. One that another deliverer made first is no error, and neither is one
        that the store does not take: the next success or failure brings it up again."""
        try:
            if write.disable is not None:
                self._disable(write.key, write.disable, "remit")
            else:
                self._table.update(
                    write.key, set=write.set, remove=write.remove, condition=write.condition
                )
        except ConditionFailed:
            log.debug("the record of endpoint %s was changed by another", write.key)
        except StoreUnavailable as error:
            log.warning("the health of endpoint %s is not recorded: %s", write.key, error)

    def _writes_of(self, key: EndpointKey, health: _Health, now: datetime) -> list[HealthWrite]:
        if health.disabled:
            return []
        if (reason := self._reason_to_disable(health, now)) is not None:
            health.disabled = True
            return [HealthWrite(key, disable=reason)]
        changed, health.changed = health.changed, False
        if (until := health.breaker.open_until) is not None:
            return (
                [self._opened(key, health, until), *self._failing(key, health)] if changed else []
            )
        if health.succeeded and (changed or self._success_is_due(health, now)):
            health.written_at = now
            return [self._success(key, health, now)]
        return self._failing(key, health)

    def _reason_to_disable(self, health: _Health, now: datetime) -> str | None:
        if health.gone:
            return "it answered 410 (Gone)"
        since, longest = health.failing_since, self._settings.webhook_disable_after
        if health.succeeded or since is None or now - since < longest:
            return None
        return f"it has failed since {format_instant(since)} without one success"

    def _success_is_due(self, health: _Health, now: datetime) -> bool:
        if any(name in health.record for name in _HEALTH):
            return health.written_at is None or now - health.written_at >= timedelta(seconds=1)
        last = health.written_at or _instant(health.record, "lastSuccessAt")
        return last is None or now - last >= SUCCESS_EVERY

    def _success(self, key: EndpointKey, health: _Health, now: datetime) -> HealthWrite:
        at = format_instant(now)
        used = {**health.record.get("secretsUsed", {}), **dict.fromkeys(health.secret_ids, at)}
        health.record = {k: v for k, v in health.record.items() if k not in _HEALTH}
        health.record |= {"lastSuccessAt": at, "secretsUsed": used}
        return HealthWrite(key, {"lastSuccessAt": at, "secretsUsed": used}, _HEALTH, _is_there(key))

    def _opened(self, key: EndpointKey, health: _Health, until: datetime) -> HealthWrite:
        changes = {
            "breakerOpenUntil": format_instant(until),
            "breakerOpens": health.breaker.opens,
        }
        health.record = {**health.record, **changes}
        return HealthWrite(key, changes, ("breakerProbeUntil",), _is_there(key))

    def _failing(self, key: EndpointKey, health: _Health) -> list[HealthWrite]:
        if health.failing_since is None or "failingSince" in health.record:
            return []
        since = {"failingSince": format_instant(health.failing_since)}
        health.record = {**health.record, **since}
        condition = f"({_is_there(key)}) AND attribute_not_exists(#failingSince)"
        return [HealthWrite(key, since, condition=condition)]

    def _probe_time(self) -> timedelta:
        return self._settings.webhook_timeout + _PROBE_MARGIN

    def _of(self, key: EndpointKey) -> _Health:
        health = self._known.get(key)
        if health is None:
            health = self._known[key] = _Health(Breaker(self._policy))
        return health


def _is_there(key: EndpointKey) -> str:
    """A record of its own has a URL, and is not written again once it is deleted. The default
    endpoint's has none, and comes into being with the first thing that is to be kept there."""
    return "attribute_not_exists(#url)" if key[1] == DEFAULT_ENDPOINT else "attribute_exists(#url)"


def _instant(record: Item, name: str) -> datetime | None:
    value = record.get(name)
    return parse_instant(value) if isinstance(value, str) else None
