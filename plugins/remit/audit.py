"""The audit log: who changed what, and when. Entries are written once and never changed.

An entry is an action of the transaction that makes the change it tells of, so that there is neither
a change without its entry nor an entry without its change.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from remit.aws.items import Item
from remit.clock import format_instant, parse_instant
from remit.services import Services


@dataclass(frozen=True)
class Entry:
    """One entry. `actor` is who did it, `action` what (`webhooks.endpoint.created`), `target` to
    which thing, `details` what is worth knowing of it; nothing in them is secret."""

    merchant_id: str
    id: str
    at: datetime
    action: str
    actor: str
    target: str
    details: Mapping[str, Any]


def new_suffix() -> str:
    """Keeps entries of one instant apart."""
    return secrets.token_hex(8)


class AuditLog:
    """The entries of all merchants, in the table `AuditLog`."""

    def __init__(self, services: Services, suffix: Callable[[], str] = new_suffix) -> None:
        self._table = services.tables.audit_log
        self._clock = services.clock
        self._suffix = suffix

    def entry(
        self,
        merchant_id: str,
        action: str,
        *,
        actor: str,
        target: str,
        details: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """A new entry, as an action of `TransactWriteItems`. It is a conditional create: an entry
        never takes the place of another."""
        item = self._item(merchant_id, action, actor, target, details)
        return {"Put": self._table.create_action(item)}

    def write(
        self,
        merchant_id: str,
        action: str,
        *,
        actor: str,
        target: str,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Write an entry alone, of something that changes no record.

        Raises:
            StoreUnavailable: it is not written.
        """
        self._table.create(self._item(merchant_id, action, actor, target, details))

    def entries_of(
        self, merchant_id: str, *, since: datetime | None = None, limit: int = 100
    ) -> list[Entry]:
        """A merchant's entries, the newest first, those before `since` left out."""
        condition, values = "#merchantID = :merchant", {"merchant": merchant_id}
        if since is not None:
            condition += " AND #id >= :since"
            values["since"] = format_instant(since)  # with which an id begins
        found = self._table.query(condition, values, limit=limit, descending=True)
        return [_entry_in(item) for item in found]

    def _item(
        self,
        merchant_id: str,
        action: str,
        actor: str,
        target: str,
        details: Mapping[str, Any] | None,
    ) -> Item:
        at = format_instant(self._clock())
        return {
            "merchantID": merchant_id,
            "id": f"{at}#{self._suffix()}",
            "at": at,
            "action": action,
            "actor": actor,
            "target": target,
            "details": dict(details or {}),
        }


def _entry_in(item: Item) -> Entry:
    return Entry(
        merchant_id=item["merchantID"],
        id=item["id"],
        at=parse_instant(item["at"]),
        action=item["action"],
        actor=item["actor"],
        target=item["target"],
        details=item["details"],
    )
