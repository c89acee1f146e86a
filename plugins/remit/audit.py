"""The audit log: who changed what, and when. Entries are written once and never changed.

An entry is an action of the transaction that makes the change it tells of, so that there is neither
a change without its entry nor an entry without its change.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from remit.clock import format_instant
from remit.services import Services


def new_suffix() -> str:
    """Keeps entries of one instant apart."""
    return secrets.token_hex(8)


class AuditLog:
    """New entries of any merchant, for the table `AuditLog`. Operators read it there."""

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
        never takes the place of another.

        `actor` is who did it, `action` what (`webhooks.endpoint.created`), `target` to which thing,
        `details` what is worth knowing of it. Nothing in them is secret.
        """
        at = format_instant(self._clock())
        item = {
            "merchantID": merchant_id,
            "id": f"{at}#{self._suffix()}",
            "at": at,
            "action": action,
            "actor": actor,
            "target": target,
            "details": dict(details or {}),
        }
        return {"Put": self._table.create_action(item)}
