"""Dead letters: webhooks that ended without being delivered, and why. They can be replayed until
they are removed at the end of their time."""

from __future__ import annotations

from collections.abc import Iterator

from remit.aws.items import Item
from remit.services import Services
from remit.webhooks.endpoint import DEFAULT_ENDPOINT
from remit.webhooks.endpoint_records import check_merchant
from remit.webhooks.endpoint_request import shown
from remit.webhooks.replay_pages import INDEX

_DEAD = "attribute_not_exists(#dueShard) AND #status IN (:failed, :expired)"


def dead_letters(
    services: Services, merchant_id: str, endpoint_id: str | None = None
) -> Iterator[Item]:
    """A merchant's dead letters, those of one type after another: what is worth knowing of each.

    Raises:
        InvalidRequest: no merchant can have such an id.
    """
    check_merchant(merchant_id)
    values = {"merchant": merchant_id, "failed": "failed", "expired": "expired"}
    found = services.tables.webhooks.query(
        "#merchantID = :merchant", values, index=INDEX, filter=_DEAD
    )
    documents = (_document(record) for record in found)
    return (one for one in documents if endpoint_id in (None, one["endpoint"]))


def _document(record: Item) -> Item:
    found = {
        "id": record["id"],
        "event": record.get("eventID"),
        "type": record.get("eventType"),
        "endpoint": record.get("endpointID", DEFAULT_ENDPOINT),
        "status": record["status"],
        "reasonCode": record.get("reasonCode"),
        "reason": record.get("reason"),
        "attempts": record.get("attempts"),
        "replays": record.get("replays"),
        "createdAt": record.get("createdAt"),
        "endedAt": record.get("updatedAt"),
    }
    # What others wrote may be of any type, and is shown as it can be.
    return {
        name: value if isinstance(value, str | int) else shown(value)
        for name, value in found.items()
        if value is not None
    }
