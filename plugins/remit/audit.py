"""The audit log: who changed what, and when. Entries are written once and never changed; DynamoDB
removes them when their time is up.

An entry is an action of the transaction that makes the change it tells of, so that there is neither
a change without its entry nor an entry without its change. What changes nothing, a link that is
minted for one, is told before it is given away; and what was refused, once that is answered.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from remit.aws.items import Item
from remit.clock import epoch_seconds, format_instant

if TYPE_CHECKING:  # a command names an actor before it needs AWS, if it does at all
    from remit.services import Services


class Via(StrEnum):
    """By which way something was asked for."""

    HOOK = "hook"
    """A request with a token."""
    COMMAND = "command"
    """`python -m remit`, or a program that imports Remit."""
    RUN = "run"
    """A DAG run that somebody started in Airflow: the UI, the REST API, the command line."""
    SCHEDULE = "schedule"
    BACKFILL = "backfill"
    REMIT = "remit"
    """Remit itself: an endpoint that it disables, for one."""


@dataclass(frozen=True)
class Actor:
    """Who asks for something, and how it came here. What is not known is None."""

    name: str
    """A person's address, a merchant's id, an operator: whoever the entry says it was."""
    via: Via = Via.COMMAND
    address: str | None = None
    """The IP address that a request came from."""
    token_id: str | None = None
    """`jti` of the token that proved it."""
    request_id: str | None = None

    def attributes(self) -> Item:
        """What an entry has of it."""
        known = {
            "actor": self.name,
            "via": self.via.value,
            "address": self.address,
            "tokenID": self.token_id,
            "requestID": self.request_id,
        }
        return {name: value for name, value in known.items() if value is not None}


def new_suffix() -> str:
    """Keeps entries of one instant apart."""
    return secrets.token_hex(8)


DONE = "done"
"""The result of what was done."""
REFUSED = "refused"
"""The result of what was asked for and not done. It changes nothing."""

_FIRST, _LAST = "0", "~"
"""Before and after every id: it begins with an instant."""

_LOOKED_AT = 500
"""Entries that one page is looked for in: a filter that matches little makes it shorter."""


@dataclass(frozen=True)
class Wanted:
    """Which entries of a merchant: from `after` to before `before`, and of which action, a name
    (`exports.link.minted`) or what names begin with, and a star (`exports.*`). None is any."""

    action: str | None = None
    after: datetime | None = None
    before: datetime | None = None

    def bounds(self) -> tuple[str, str]:
        """The ids between which they lie."""
        first = _FIRST if self.after is None else format_instant(self.after)
        return first, _LAST if self.before is None else format_instant(self.before)

    def lets_through(self, item: Item) -> bool:
        """Whether an entry of the right time is of the action."""
        if self.action is None:
            return True
        action = str(item.get("action"))
        if self.action.endswith("*"):
            return action.startswith(self.action[:-1])
        return action == self.action


class AuditLog:
    """The entries of any merchant, in the table `AuditLog`."""

    def __init__(self, services: Services, suffix: Callable[[], str] = new_suffix) -> None:
        self._table = services.tables.audit_log
        self._clock = services.clock
        self._retention = services.settings.audit_retention
        self._suffix = suffix

    def entry(self, merchant_id: str, action: str, **what: Any) -> dict[str, Any]:
        """A new entry, as an action of `TransactWriteItems`; see `_item` for what it says. It is a
        conditional create: an entry never takes the place of another."""
        return {"Put": self._table.create_action(self._item(merchant_id, action, **what))}

    def write(self, merchant_id: str, action: str, **what: Any) -> None:
        """Write a new entry of what changes nothing that is stored; see `_item`.

        Raises:
            StoreUnavailable: it is not known to be written: do not do what it tells of.
        """
        self._table.create(self._item(merchant_id, action, **what))

    def page(
        self, merchant_id: str, wanted: Wanted, *, limit: int, after: str | None
    ) -> tuple[list[Item], str | None]:
        """Up to `limit` of a merchant's entries, the newest first, which come after the one with
        the id `after`, and the id that the next page comes after; None: there are no more. A page
        may be shorter, or empty, though there are more.

        Raises:
            StoreUnavailable: they could not be read.
        """
        first, last = wanted.bounds()
        if not first <= last:
            return [], None
        key = None if after is None else {"merchantID": merchant_id, "id": after}
        # One who filters looks at more than is wanted, in one query of at most a megabyte.
        items, end = self._table.query_page(
            "#merchantID = :merchant AND #id BETWEEN :first AND :last",
            {"merchant": merchant_id, "first": first, "last": last},
            limit=limit if wanted.action is None else _LOOKED_AT,
            start=key,
            descending=True,
        )
        found = [item for item in items if wanted.lets_through(item)]
        if len(found) > limit:
            found = found[:limit]
            return found, found[-1]["id"]
        return found, None if end is None else str(end["id"])

    def _item(
        self,
        merchant_id: str,
        action: str,
        *,
        actor: Actor,
        target: str,
        details: Mapping[str, Any] | None = None,
        result: str = DONE,
    ) -> Item:
        """An entry's record.

        `actor` is who did it, `action` what (`webhooks.endpoint.created`), `target` to which thing,
        `details` what is worth knowing of it. Nothing in them is secret.
        """
        now = self._clock()
        at = format_instant(now)
        return {
            "merchantID": merchant_id,
            "id": f"{at}#{self._suffix()}",
            "at": at,
            "action": action,
            **actor.attributes(),
            "target": target,
            "result": result,
            "details": dict(details or {}),
            "expiresAt": epoch_seconds(now + self._retention),
        }
