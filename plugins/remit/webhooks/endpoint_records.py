"""Records of endpoints: read, and changed in one transaction with an entry in the audit log.

A change sets and removes the attributes that it is about and no others, so that neither another
change nor the health that deliverers write to the same record is lost. It demands of those
attributes that they are as they were read, so that the audit log tells what really was before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from remit.audit import Actor, AuditLog
from remit.aws.items import Item
from remit.aws.table import Pair
from remit.aws.transactions import transact_if
from remit.clock import format_instant
from remit.errors import FieldError, InvalidRequest, NotFound, StoreUnavailable
from remit.services import Services
from remit.webhooks.endpoint import (
    DEFAULT_ENDPOINT,
    ENDPOINT_ID,
    Endpoint,
    default_endpoint,
    endpoint_in,
)
from remit.webhooks.endpoint_request import shown
from remit.webhooks.event import is_merchant_id

log = logging.getLogger(__name__)

_TRIES = 8  # of a change that meets others of the same attributes


@dataclass(frozen=True)
class Change:
    """Attributes to set, or to remove where they are None; and what the audit log is told."""

    attributes: Mapping[str, Any] = field(repr=False)
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Stored:
    """An endpoint's record as it was read, and for the default one the merchant's own."""

    endpoint: Endpoint
    record: Item = field(repr=False)
    merchant: Item = field(repr=False)

    def changed(self, attributes: Mapping[str, Any]) -> Endpoint:
        """The endpoint with these attributes, and without those that are None."""
        record = {k: v for k, v in {**self.record, **attributes}.items() if v is not None}
        return _endpoint_in(self.endpoint.id, record, self.merchant) or self.endpoint


class EndpointRecords:
    """Reads records of endpoints, and writes each change with its entry in the audit log."""

    def __init__(self, services: Services) -> None:
        self._tables = services.tables
        self._endpoints = services.tables.endpoints
        self._clock = services.clock
        self._audit = AuditLog(services)

    def read(self, key: Pair) -> Stored:
        """One endpoint.

        Raises:
            InvalidRequest: no merchant can have such an id.
            NotFound: the merchant has no such endpoint.
        """
        merchant_id, endpoint_id = key
        check_merchant(merchant_id)
        if ENDPOINT_ID.fullmatch(endpoint_id) is None:
            raise no_endpoint(endpoint_id)
        is_default = endpoint_id == DEFAULT_ENDPOINT
        merchant = self._tables.merchants.get(merchant_id) if is_default else None
        record = self._endpoints.get(key) or {}
        endpoint = _endpoint_in(endpoint_id, record, merchant or {})
        if endpoint is None:
            raise no_endpoint(endpoint_id)
        return Stored(endpoint, record, merchant or {})

    def change(
        self, key: Pair, verb: str, actor: Actor, change: Callable[[Item], Change | None]
    ) -> Endpoint:
        """Read and change, and begin again if another changed the same in between.

        Raises:
            StoreUnavailable: others change the same all the time, or nothing was written.
        """
        for _ in range(_TRIES):
            stored = self.read(key)
            if (wanted := change(stored.record)) is None:
                return stored.endpoint
            attributes = {**wanted.attributes, "updatedAt": format_instant(self._clock())}
            as_read, values = _as_read(stored.record, wanted.attributes)
            update = self._endpoints.update_action(
                key,
                set={name: value for name, value in attributes.items() if value is not None},
                remove=[name for name, value in attributes.items() if value is None],
                condition=f"{is_there(key[1])} AND {as_read}",
                values=values,
            )
            if self.write(key, verb, actor, wanted.details, [{"Update": update}]):
                return stored.changed(attributes)
        raise StoreUnavailable(f"could not change endpoint {key[1]}: others change it all the time")

    def write(
        self,
        key: Pair,
        verb: str,
        actor: Actor,
        details: Mapping[str, Any],
        actions: Sequence[Mapping[str, Any]],
    ) -> bool:
        """Do the actions and write their entry. False: a condition does not hold, and nothing is
        written."""
        merchant_id, endpoint_id = key
        action = f"webhooks.endpoint.{verb}"
        entry = self._audit.entry(
            merchant_id, action, actor=actor, target=endpoint_id, details=details
        )
        if not transact_if(self._tables.client, [*actions, entry]):
            return False
        log.info("%s: endpoint %s of %s, by %r", action, endpoint_id, merchant_id, actor.name)
        return True


def is_there(endpoint_id: str) -> str:
    """The condition that an endpoint was not deleted. The default one's record has no URL, and
    comes into being with the first thing that is to be kept there."""
    is_default = endpoint_id == DEFAULT_ENDPOINT
    return "attribute_not_exists(#url)" if is_default else "attribute_exists(#url)"


def told(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as the audit log tells them: of a URL no more than its host, for the rest of it
    may hold a token."""
    url = attributes.get("url")
    return {**attributes, "url": _origin(url)} if isinstance(url, str) else dict(attributes)


def check_merchant(merchant_id: str) -> None:
    """Refuse what can be no merchant's id.

    Raises:
        InvalidRequest: it is empty, too long or not printable.
    """
    if not is_merchant_id(merchant_id):
        raise InvalidRequest(
            FieldError("merchant", f"{shown(merchant_id)} is no merchant's id", "printable text")
        )


def no_endpoint(endpoint_id: str) -> NotFound:
    """The merchant has no such endpoint."""
    return NotFound(f"there is no endpoint {shown(endpoint_id)}")


def _endpoint_in(endpoint_id: str, record: Item, merchant: Item) -> Endpoint | None:
    if endpoint_id == DEFAULT_ENDPOINT:
        return default_endpoint(merchant, record)
    return endpoint_in(record) if isinstance(record.get("url"), str) else None


def _as_read(record: Item, names: Collection[str]) -> tuple[str, dict[str, Any]]:
    """The condition that these attributes are as in the record, and its values."""
    conditions = [
        f"#{name} = :was_{name}" if name in record else f"attribute_not_exists(#{name})"
        for name in names
    ]
    return " AND ".join(conditions), {f"was_{n}": record[n] for n in names if n in record}


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "…"
    return f"{parts.scheme}://{parts.hostname}{port}/…"
