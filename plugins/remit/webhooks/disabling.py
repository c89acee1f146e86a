"""Remit disables an endpoint by itself: the change, its entry in the audit log, and an event to the
merchant's other endpoints, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from remit.aws.table import Pair
from remit.clock import format_instant
from remit.errors import ConditionFailed
from remit.ids import ulid
from remit.services import Services
from remit.webhooks.drafts import draft_of
from remit.webhooks.endpoint_records import EndpointRecords, is_there
from remit.webhooks.endpoints import endpoints_of
from remit.webhooks.event import Event

EVENT_TYPE = "endpoint.disabled"


def disable_and_tell(
    services: Services,
    key: Pair,
    reason: str,
    actor: str,
    *,
    failing_since: str | None = None,
    new_id: Callable[[datetime], str] = ulid,
) -> None:
    """Stop sending to an endpoint, and tell the merchant's others of it.

    `failing_since`: only if its record says that it has failed since just then.

    Raises:
        ConditionFailed: that is not so, or it is disabled already, or not there any more.
        StoreUnavailable: nothing was written.
    """
    merchant_id, endpoint_id = key
    at = services.clock()
    now = format_instant(at)
    unchanged = "" if failing_since is None else " AND #failingSince = :since"
    update = services.tables.endpoints.update_action(
        key,
        set={"disabledReason": reason, "disabledAt": now, "updatedAt": now},
        condition=f"{is_there(endpoint_id)} AND attribute_not_exists(#disabledReason){unchanged}",
        values={"since": failing_since},
    )
    told = {"endpoint_id": endpoint_id, "reason": reason, "disabled_at": now}
    event = Event(f"evt-{new_id(at)}", EVENT_TYPE, merchant_id, at, told)
    others = [one for one in endpoints_of(services.tables, merchant_id) if one.id != endpoint_id]
    # Whatever the length of their queue: an announcement of Remit itself is never refused.
    actions = [{"Update": update}, *draft_of(event, others, services).actions]
    if not EndpointRecords(services).write(key, "disabled", actor, {"reason": reason}, actions):
        raise ConditionFailed(f"endpoint {endpoint_id} is disabled already, well, or not there")
