"""An endpoint's health as its record has it, and the conditional write that brings it up to date.

Several deliverers write to the same record. Each compares what it knows with what it last saw
there, and writes the difference on the condition that nobody else changed the same meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from remit.aws.items import Item
from remit.aws.table import Pair
from remit.clock import format_instant, parse_instant
from remit.webhooks.endpoint_records import is_there

_ATTRIBUTES = (
    "url",
    "failingSince",
    "lastSuccessAt",
    "secretsUsed",
    "breakerOpenUntil",
    "breakerOpens",
    "breakerProbeUntil",
    "disabledReason",
)
_MOST_OPENS = 1_000  # no policy tells more of them apart
_MOST_SECRETS = 20  # of all that were ever used, those used last
_BREAKER = ("breakerOpenUntil", "breakerOpens", "breakerProbeUntil")


@dataclass(frozen=True, slots=True)
class Stored:
    """What an endpoint's record says. What cannot be read counts as not there, and is written over.

    `attributes` are those of the record as they are: conditions compare with them.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    failing_since: datetime | None = None
    last_success: datetime | None = None
    open_until: datetime | None = None
    opens: int = 0
    probe_until: datetime | None = None
    disabled: bool = False
    used: frozenset[str] = frozenset()
    """The secrets of which it says when they signed a success last."""
    url: str = ""
    """Where its webhooks go; of the default endpoint that is not in its record."""

    @classmethod
    def of(cls, record: Item) -> Stored:
        """From the record; `{}`: there is none."""
        attributes = {name: record[name] for name in _ATTRIBUTES if name in record}
        if not attributes:
            return NOTHING
        opens = attributes.get("breakerOpens")
        return cls(
            attributes,
            _instant(attributes, "failingSince"),
            _instant(attributes, "lastSuccessAt"),
            _instant(attributes, "breakerOpenUntil"),
            min(max(opens, 0), _MOST_OPENS) if isinstance(opens, int) else 0,
            _instant(attributes, "breakerProbeUntil"),
            attributes.get("disabledReason") is not None,
            frozenset(_last_uses(attributes)),
            str(attributes.get("url", "")),
        )

    def after(self, write: HealthUpdate) -> Stored:
        """What it says once a write is done, if nothing else was changed."""
        written = {**self.attributes, **write.set}
        return Stored.of({n: v for n, v in written.items() if n not in write.remove})


NOTHING = Stored()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an endpoint's record should say. Without `last_success`, what it says of that may stay.

    `used` are the secrets of successes, and when they signed one last.
    """

    failing_since: datetime | None
    last_success: datetime | None
    open_until: datetime | None
    opens: int
    used: Mapping[str, datetime]


@dataclass(slots=True)
class HealthUpdate:
    """A change of an endpoint's health that is due; `begun` once somebody writes it."""

    key: Pair
    set: Mapping[str, Any]
    remove: tuple[str, ...]
    condition: str
    values: Mapping[str, Any]
    begun: bool = field(default=False, compare=False)


def update_of(key: Pair, stored: Stored, wanted: Wanted) -> HealthUpdate | None:
    """The write of what differs; None: nothing does."""
    change = _Change(key, stored)
    if stored.open_until != wanted.open_until:
        change.breaker(wanted)
    if (stored.failing_since is None) != (wanted.failing_since is None):
        change.failing(wanted.failing_since)
    if wanted.last_success is not None:
        change.success(wanted.last_success, wanted.used)
    return change.update()


class _Change:
    """A write that grows by what differs."""

    def __init__(self, key: Pair, stored: Stored) -> None:
        self._key = key
        self._stored = stored
        self._set: dict[str, Any] = {}
        self._remove: list[str] = []
        # What still comes in for an endpoint that is disabled changes nothing of its health.
        self._conditions = [f"{is_there(key[1])} AND attribute_not_exists(#disabledReason)"]
        self._values: dict[str, Any] = {}
        if stored.url:  # another one has a health of its own
            self._unchanged("url")

    def breaker(self, wanted: Wanted) -> None:
        self._unchanged("breakerOpenUntil")  # every opening has an instant of its own
        if wanted.open_until is None:
            self._remove += _BREAKER
            return
        self._set["breakerOpenUntil"] = format_instant(wanted.open_until)
        self._set["breakerOpens"] = wanted.opens
        self._remove.append("breakerProbeUntil")

    def failing(self, since: datetime | None) -> None:
        self._unchanged("failingSince")
        if since is None:
            self._remove.append("failingSince")
        else:
            self._set["failingSince"] = format_instant(since)

    def success(self, at: datetime, used: Mapping[str, datetime]) -> None:
        """A success that is later than what is known, or the first that a secret has signed."""
        before, secrets_used = self._stored.last_success, self._secrets_used(used)
        if before is not None and at <= before and secrets_used.keys() <= self._stored.used:
            return
        self._unchanged("lastSuccessAt")
        self._set["lastSuccessAt"] = format_instant(at if before is None else max(at, before))
        if used:
            self._unchanged("secretsUsed")
            self._set["secretsUsed"] = secrets_used

    def _secrets_used(self, used: Mapping[str, datetime]) -> dict[str, Any]:
        own = {secret_id: format_instant(at) for secret_id, at in used.items()}
        together = {**_last_uses(self._stored.attributes), **own}
        latest = sorted(together, key=lambda secret_id: str(together[secret_id]))
        return {secret_id: together[secret_id] for secret_id in latest[-_MOST_SECRETS:]}

    def _unchanged(self, name: str) -> None:
        """Demand that an attribute is as it was seen."""
        if name in self._stored.attributes:
            self._conditions.append(f"#{name} = :was_{name}")
            self._values[f"was_{name}"] = self._stored.attributes[name]
        else:
            self._conditions.append(f"attribute_not_exists(#{name})")

    def update(self) -> HealthUpdate | None:
        if not (self._set or self._remove):
            return None
        return HealthUpdate(
            self._key,
            self._set,
            tuple(self._remove),
            " AND ".join(self._conditions),
            self._values,
        )


def _last_uses(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """When secrets signed a success last, as it is written."""
    uses = attributes.get("secretsUsed")
    return uses if isinstance(uses, Mapping) else {}


def _instant(attributes: Mapping[str, Any], name: str) -> datetime | None:
    try:
        return parse_instant(attributes[name])
    except (KeyError, TypeError, ValueError):
        return None
