"""Writes of endpoints' health, each conditional, made on threads.

What a write finds out goes into a queue, from which the event loop takes it: nothing else is shared
between them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from remit.audit import Actor, Via
from remit.aws.items import Item
from remit.aws.table import Pair
from remit.clock import format_instant
from remit.errors import ConditionFailed, StoreUnavailable
from remit.services import Services
from remit.webhooks.endpoint import DEFAULT_ENDPOINT
from remit.webhooks.endpoint_records import is_there
from remit.webhooks.health_record import HealthUpdate

log = logging.getLogger(__name__)

ACTOR = Actor("remit", Via.REMIT)
"""Who disables endpoints, in the audit log."""

_MAY_PROBE = (
    "attribute_not_exists(#disabledReason) AND #breakerOpenUntil <= :now"
    " AND (attribute_not_exists(#breakerProbeUntil) OR #breakerProbeUntil <= :now)"
)


class Disable(Protocol):
    """Disables an endpoint, tells the merchant's other endpoints, and writes it down."""

    def __call__(
        self, key: Pair, reason: str, actor: Actor, *, url: str | None, failing_since: str | None
    ) -> None:
        """Raises `ConditionFailed` if it is disabled already or not there any more, if `url` is not
        its URL, or, with `failing_since`, if its record does not say just that."""


@dataclass(slots=True)
class HealthDisable:
    """An endpoint that is to be disabled for what was answered at `url`; `failing_since` as its
    record has it, if that is why."""

    key: Pair
    reason: str
    url: str
    failing_since: str | None = None
    begun: bool = field(default=False, compare=False)


HealthWrite = HealthUpdate | HealthDisable


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a write, or (None) of asking for the right to probe.

    `record` is the endpoint's record afterwards; None: nobody knows. `done` tells whether it was
    this write that changed it.
    """

    key: Pair
    write: HealthWrite | None
    record: Item | None = field(repr=False)
    done: bool


class HealthWriter:
    """Writes the health of endpoints; every method but `answers` may be called on any thread."""

    def __init__(self, services: Services, disable: Disable, probe_time: timedelta) -> None:
        self._table = services.tables.endpoints
        self._clock = services.clock
        self._disable = disable
        self._probe_time = probe_time
        self._answers: deque[Answer] = deque()

    def answers(self) -> Iterator[Answer]:
        """What was found out since the last call."""
        while self._answers:
            yield self._answers.popleft()

    def try_probe(self, key: Pair) -> bool:
        """Take the right to the one probe, over all deliverers; whether something may be sent."""
        now = self._clock()
        record: Item | None
        try:
            record = self._table.update(
                key,
                set={"breakerProbeUntil": format_instant(now + self._probe_time)},
                condition=f"{is_there(key[1])} AND {_MAY_PROBE}",
                values={"now": format_instant(now)},
            )
            granted = True
        except ConditionFailed:
            record = self._read(key)
            granted = record is not None and _admits(key, record)
        except StoreUnavailable as error:
            log.warning("merchant=%r endpoint=%r is not probed: %s", *key, error)
            return False
        self._answers.append(Answer(key, None, record, granted))
        return granted

    def apply(self, write: HealthWrite) -> None:
        """Write one change, unless another deliverer was faster; nothing is raised."""
        write.begun = True
        answer = Answer(write.key, write, None, done=False)
        try:
            answer = self._written(write)
        except StoreUnavailable as error:
            log.warning("merchant=%r endpoint=%r health not recorded: %s", *write.key, error)
        except Exception:
            log.exception("merchant=%r endpoint=%r health cannot be recorded", *write.key)
        finally:
            self._answers.append(answer)

    def _written(self, write: HealthWrite) -> Answer:
        key = write.key
        try:
            if isinstance(write, HealthDisable):
                self._disable(
                    key, write.reason, ACTOR, url=write.url, failing_since=write.failing_since
                )
                return Answer(key, write, self._read(key), done=True)
            record = self._table.update(
                key,
                set=write.set,
                remove=write.remove,
                condition=write.condition,
                values=write.values,
            )
        except ConditionFailed:
            log.debug("merchant=%r endpoint=%r health was changed by another", *key)
            return Answer(key, write, self._read(key), done=False)
        return Answer(key, write, record, done=True)

    def _read(self, key: Pair) -> Item | None:
        try:
            return self._table.get(key) or {}
        except StoreUnavailable as error:
            log.warning("merchant=%r endpoint=%r health not read: %s", *key, error)
            return None


def exists(key: Pair, record: Item) -> bool:
    """Whether an endpoint was not deleted, by its record. The default one needs none."""
    return key[1] == DEFAULT_ENDPOINT or "url" in record


def _admits(key: Pair, record: Item) -> bool:
    """Whether anything may be sent by what the record says: another has closed the breaker."""
    return (
        exists(key, record) and "breakerOpenUntil" not in record and "disabledReason" not in record
    )
