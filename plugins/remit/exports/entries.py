"""What the audit log says of exports.

| action | when |
|---|---|
| `exports.export.requested` | a job is stored, by the hook, a run of Airflow or a schedule |
| `exports.export.canceled` | its merchant cancels it |
| `exports.export.retried` | its merchant has it made again |
| `exports.link.minted` | links to its files are given away |
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from remit.audit import Actor, AuditLog
from remit.clock import format_instant
from remit.exports.job import ExportJob, new_item, options_of, report_of
from remit.services import Services

REQUESTED = "exports.export.requested"
CANCELED = "exports.export.canceled"
RETRIED = "exports.export.retried"
LINKED = "exports.link.minted"


def requested(services: Services, job: ExportJob, actor: Actor) -> dict[str, Any]:
    """The entry of a new job, as an action of the transaction that stores it."""
    item = new_item(job)
    details = {"report": report_of(item), **options_of(item)}
    return AuditLog(services).entry(
        job.merchant_id, REQUESTED, actor=actor, target=job.id, details=details
    )


def changed(
    services: Services, merchant_id: str, export_id: str, action: str, actor: Actor
) -> dict[str, Any]:
    """The entry of a job that is canceled or made again, as an action of that transaction."""
    return AuditLog(services).entry(merchant_id, action, actor=actor, target=export_id)


def linked(
    services: Services,
    merchant_id: str,
    export_id: str,
    actor: Actor,
    *,
    files: Sequence[str],
    expires_at: datetime,
) -> None:
    """Write the entry of links, before they are given away.

    Raises:
        StoreUnavailable: it is not known to be written: give them to nobody.
    """
    details = {"files": list(files), "expires_at": format_instant(expires_at)}
    AuditLog(services).write(merchant_id, LINKED, actor=actor, target=export_id, details=details)
