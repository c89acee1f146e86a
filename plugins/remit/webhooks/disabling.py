"""Remit disables an endpoint by itself: the change, its entry in the audit log, and an event to the
merchant's other endpoints, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from remit.audit import Actor
from remit.aws.table import Pair
from remit.aws.transactions import TRANSACTION_LIMIT
from remit.clock import format_instant
from remit.errors import ConditionFailed
from remit.ids import ulid
from remit.services import Services
from remit.webhooks.drafts import draft_of
from remit.webhooks.endpoint import DEFAULT_ENDPOINT, Endpoint
from remit.webhooks.endpoint_records import EndpointRecords, is_there
from remit.webhooks.endpoints import endpoints_of
from remit.webhooks.event import Event

log = logging.getLogger(__name__)

EVENT_TYPE = "endpoint.disabled"

MOST_TOLD = TRANSACTION_LIMIT - 3
"""The endpoint's record, the entry and the event are in the same transaction."""


def disable_and_tell(
    services: Services,
    key: Pair,
    reason: str,
    actor: Actor,
    *,
    url: str | None = None,
    failing_since: str | None = None,
    new_id: Callable[[datetime], str] = ulid,
) -> None:
    """Stop sending to an endpoint, and tell the merchant's others of it. Where there is no other
    that hears of it, the event is kept for the endpoint itself, which a replay sends it to when it
    is enabled again.

    `url`: only if that is where its webhooks go; what is to be said of one URL is not said of the
    one that took its place. `failing_since`: only if its record says that it has failed since just
    then.

    Raises:
        ConditionFailed: one of these is not so, or it is disabled already, or not there any more.
        StoreUnavailable: nothing was written.
    """
    merchant_id, endpoint_id = key
    at = services.clock()
    now = format_instant(at)
    endpoints = endpoints_of(services.tables, merchant_id)
    if endpoint_id == DEFAULT_ENDPOINT and url is not None and url != _url_of_default(endpoints):
        raise ConditionFailed(f"webhooks of {merchant_id} do not go where they went any more")
    update = services.tables.endpoints.update_action(
        key,
        set={"disabledReason": reason, "disabledAt": now, "updatedAt": now},
        condition=f"{is_there(endpoint_id)} AND attribute_not_exists(#disabledReason)"
        + ("" if failing_since is None else " AND #failingSince = :since")
        + ("" if url is None or endpoint_id == DEFAULT_ENDPOINT else " AND #url = :asked"),
        values={"since": failing_since, "asked": url},
    )
    data = {"endpoint_id": endpoint_id, "reason": reason, "disabled_at": now}
    event = Event(f"evt-{new_id(at)}", EVENT_TYPE, merchant_id, at, data)
    receivers = _receivers(endpoints, endpoint_id, reason)
    told, left = receivers[:MOST_TOLD], receivers[MOST_TOLD:]
    # Whatever the length of their queue: an announcement of Remit itself is never refused.
    draft = draft_of(event, told, services)
    actions = [{"Update": update}, *draft.actions]
    if not EndpointRecords(services).write(key, "disabled", actor, {"reason": reason}, actions):
        raise ConditionFailed(
            f"endpoint {endpoint_id} is disabled already, well, elsewhere, or not there"
        )
    log.warning(
        "endpoint %s of %s gets nothing until it is enabled again: %s; told of it: %d others, "
        "not told for want of room in a transaction: %d",
        endpoint_id,
        merchant_id,
        reason,
        draft.waiting,
        len(left),
    )


def _url_of_default(endpoints: Sequence[Endpoint]) -> str | None:
    """Where a merchant's own `webhookURL` leads. It is in the merchant's record, not in that of the
    endpoint, whose condition cannot name it."""
    return next((one.url for one in endpoints if one.id == DEFAULT_ENDPOINT), None)


def _receivers(endpoints: Sequence[Endpoint], disabled: str, reason: str) -> list[Endpoint]:
    """Who wants the event, those that are enabled first: it is they who can do something."""
    others = [one for one in endpoints if one.id != disabled and one.wants(EVENT_TYPE)]
    if any(one.enabled for one in others):
        return sorted(others, key=lambda one: not one.enabled)
    itself = [
        replace(one, disabled_reason=reason)
        for one in endpoints
        if one.id == disabled and one.wants(EVENT_TYPE)
    ]
    return [*itself, *others]
