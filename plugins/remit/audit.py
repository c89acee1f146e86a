"""The audit log: who changed what, and when. Entries are written once and never changed.

An entry is an action of the transaction that makes the change it tells of, so that there is neither
a change without its entry nor an entry without its change.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from remit.aws.items import Item

from remit.clock import format_instant
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
        actor: Actor,
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
            **actor.attributes(),
            "target": target,
            "details": dict(details or {}),
        }
        return {"Put": self._table.create_action(item)}
