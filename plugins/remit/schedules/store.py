"""Schedules as stored: created, read, changed, paused, resumed, deleted, each change in one
transaction with its entry in the audit log.

How a merchant's schedules are counted is how its endpoints are: the record `#roster` beside them
holds the set of their ids, and to create one adds its id on the condition that the set has fewer
than `MAX_SCHEDULES`.

Every record carries `version`, which each write demands to be as it was read and raises by one, so
that of two changes made from the same version one is refused, or made again from the new one.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from remit.audit import Actor, AuditLog
from remit.aws.items import Item
from remit.aws.table import Pair
from remit.aws.transactions import transact_if
from remit.errors import Conflict, NotFound, StoreUnavailable
from remit.schedules.beats import PLACE, place_of
from remit.schedules.schedule import (
    MAX_SCHEDULES,
    SCHEDULE_ID,
    Schedule,
    record_of,
    schedule_id,
    schedule_in,
)
from remit.schedules.schedule_request import Rules, fields_of
from remit.services import Services
from remit.webhooks.endpoint_records import check_merchant
from remit.webhooks.endpoint_request import shown

log = logging.getLogger(__name__)

_ROSTER = "#roster"
_TRIES = 8  # of a change that meets others of the same schedule
_BOOKKEEPING = frozenset({"updatedAt", "version", *PLACE})
"""Attributes that the audit log is not told of: they follow from the change."""

Update = Callable[[Schedule, datetime], Schedule]
"""From a schedule and the time to what it becomes; the same one: nothing is to be written."""


class ScheduleStore:
    """The schedules of merchants. `actor` is who wants a change, for the audit log.

    Every method raises `InvalidRequest` for what can be no merchant's id, and `NotFound` where it
    is about one schedule and the merchant has none of that id.
    """

    def __init__(self, services: Services) -> None:
        self._clock = services.clock
        self._client = services.tables.client
        self._schedules = services.tables.schedules
        self._audit = AuditLog(services)

    def create(
        self,
        merchant_id: str,
        values: Mapping[str, Any],
        rules: Rules,
        *,
        actor: Actor,
        id: str | None = None,  # noqa: A002 - the field's name
        at: datetime | None = None,
    ) -> Schedule:
        """A new schedule of the fields `FIELDS`. With an `id` that the merchant has already, a
        creation whose answer was lost is taken up again: that schedule is returned.

        Raises:
            InvalidRequest: fields are wrong; all of them are named, and nothing is stored.
            Conflict: the merchant has as many schedules as it can have.
            NotPermitted: the caller of the rules lacks the report's permission.
        """
        check_merchant(merchant_id)
        now = at or self._clock()
        schedule = rules.new(id or schedule_id(now, secrets.randbits), merchant_id, values, now)
        key = (merchant_id, schedule.id)
        enroll = self._schedules.update_action(
            (merchant_id, _ROSTER),
            add={"schedules": frozenset({schedule.id})},
            condition="attribute_not_exists(#schedules) OR size(#schedules) < :most",
            values={"most": MAX_SCHEDULES},
        )
        put = self._schedules.create_action(_record(schedule))
        actions = [{"Update": enroll}, {"Put": put}]
        if self._write(key, "created", actor, fields_of(schedule), actions):
            return schedule
        if (record := self._schedules.get(key)) is not None:
            return schedule_in(record)
        raise Conflict(
            f"there are {MAX_SCHEDULES} schedules, the most that a merchant can have: change one "
            "of them, or delete one first"
        )

    def get(self, merchant_id: str, schedule: str) -> Schedule:
        """One schedule."""
        return schedule_in(self._read((merchant_id, schedule)))

    def list(self, merchant_id: str) -> Sequence[Schedule]:
        """A merchant's schedules, the oldest first."""
        check_merchant(merchant_id)
        records = self._schedules.query(
            "#merchantID = :merchant AND #id > :roster",
            {"merchant": merchant_id, "roster": _ROSTER},
        )
        return [schedule_in(record) for record in records]

    def change(
        self,
        merchant_id: str,
        schedule: str,
        values: Mapping[str, Any],
        rules: Rules,
        *,
        actor: Actor,
        version: int | None = None,
    ) -> Schedule:
        """Set the given fields; null takes one back to what it is by default. With a `version`,
        only if the schedule is still of that one.

        Raises:
            InvalidRequest: fields are wrong; all of them are named, and nothing is stored.
            Conflict: the schedule is of another version.
            NotPermitted: the caller of the rules lacks the permission of a report.
        """

        def update(before: Schedule, now: datetime) -> Schedule:
            if version not in {None, before.version}:
                raise Conflict(
                    f"the schedule is of version {before.version}, and no longer of {version}: "
                    "read it again, and change what it is now"
                )
            return rules.changed(before, values, now)

        return self._change((merchant_id, schedule), "changed", actor, update)

    def pause(self, merchant_id: str, schedule: str, *, actor: Actor) -> Schedule:
        """Make no exports until it is resumed. One that is paused already stays as it is."""

        def update(before: Schedule, now: datetime) -> Schedule:
            return before if before.paused_at else replace(before, paused_at=now)

        return self._change((merchant_id, schedule), "paused", actor, update)

    def resume(self, merchant_id: str, schedule: str, *, actor: Actor) -> Schedule:
        """Make exports again, beginning with the period that ends next. One that is not paused
        stays as it is."""

        def update(before: Schedule, now: datetime) -> Schedule:  # noqa: ARG001
            return replace(before, paused_at=None) if before.paused_at else before

        return self._change((merchant_id, schedule), "resumed", actor, update)

    def delete(self, merchant_id: str, schedule: str, *, actor: Actor) -> None:
        """Delete a schedule. The exports that it made stay."""
        key = (merchant_id, schedule)
        found = schedule_in(self._read(key))
        strike = self._schedules.update_action(
            (merchant_id, _ROSTER),
            delete={"schedules": frozenset({schedule})},
            condition="attribute_not_exists(#cadence)",  # whatever the roster holds
        )
        gone = self._schedules.delete_action(key, condition="attribute_exists(#cadence)")
        actions = [{"Update": strike}, {"Delete": gone}]
        if not self._write(key, "deleted", actor, fields_of(found), actions):
            raise _no_schedule(schedule)

    def _read(self, key: Pair) -> Item:
        merchant_id, schedule = key
        check_merchant(merchant_id)
        known = SCHEDULE_ID.fullmatch(schedule) is not None
        record = self._schedules.get(key) if known else None
        if record is None:
            raise _no_schedule(schedule)
        return record

    def _change(self, key: Pair, verb: str, actor: Actor, update: Update) -> Schedule:
        """Read and change, and begin again if another changed the same schedule in between.

        Raises:
            StoreUnavailable: others change it all the time, or nothing was written.
        """
        for _ in range(_TRIES):
            record, now = self._read(key), self._clock()
            before = schedule_in(record)
            after = update(before, now)
            if fields_of(after) == fields_of(before) and after.paused_at == before.paused_at:
                return before
            after = replace(after, version=before.version + 1, updated_at=now)
            wanted = _record(after)
            changed = [n for n in {**record, **wanted} if record.get(n) != wanted.get(n)]
            write = self._schedules.update_action(
                key,
                set={name: wanted[name] for name in changed if name in wanted},
                remove=[name for name in changed if name not in wanted],
                condition="#version = :read",
                values={"read": before.version},
            )
            details = {
                name: {"old": record.get(name), "new": wanted.get(name)}
                for name in changed
                if name not in _BOOKKEEPING
            }
            if self._write(key, verb, actor, details, [{"Update": write}]):
                return after
        raise StoreUnavailable(f"could not change {key[1]}: others change it all the time")

    def _write(
        self,
        key: Pair,
        verb: str,
        actor: Actor,
        details: Mapping[str, Any],
        actions: Sequence[Mapping[str, Any]],
    ) -> bool:
        """Do the actions and write their entry. False: a condition does not hold, and nothing is
        written."""
        merchant_id, schedule = key
        action = f"schedules.{verb}"
        entry = self._audit.entry(
            merchant_id, action, actor=actor, target=schedule, details=details
        )
        if not transact_if(self._client, [*actions, entry]):
            return False
        log.info("%s: %s of %s, by %r", action, schedule, merchant_id, actor.name)
        return True


def _record(schedule: Schedule) -> Item:
    return {**record_of(schedule), **place_of(schedule)}


def _no_schedule(schedule: str) -> NotFound:
    return NotFound(f"there is no schedule {shown(schedule)}")
