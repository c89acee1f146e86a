"""The audit log as tests read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from remit.audit import DONE, Actor, Via
from remit.clock import parse_instant
from remit.services import Services


@dataclass(frozen=True)
class Entry:
    """One entry."""

    merchant_id: str
    id: str
    at: datetime
    action: str
    actor: Actor
    target: str
    details: Mapping[str, Any]
    result: str = DONE


def entries_of(services: Services, merchant_id: str, result: str = DONE) -> list[Entry]:
    """A merchant's entries of what was done, or of what was refused, the newest first."""
    found = services.tables.audit_log.query(
        "#merchantID = :merchant", {"merchant": merchant_id}, descending=True
    )
    return [
        Entry(
            merchant_id=item["merchantID"],
            id=item["id"],
            at=parse_instant(item["at"]),
            action=item["action"],
            actor=Actor(
                item["actor"],
                Via(item["via"]),
                item.get("address"),
                item.get("tokenID"),
                item.get("requestID"),
            ),
            target=item["target"],
            details=item["details"],
            result=item.get("result", DONE),
        )
        for item in found
        if item.get("result", DONE) == result
    ]
