"""Endpoints as stored: created, read, changed, rotated, disabled, deleted.

How a merchant's endpoints are counted. The record `#roster` beside them holds the set of their ids.
Creating one adds its id in the same transaction, on the condition that the set has fewer than
`MAX_ENDPOINTS`; deleting one takes the id out. DynamoDB serializes the writes of one record, so
however many are created at once, none is too many. A set, unlike a number, cannot drift: an id is
in it or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from remit.audit import Actor
from remit.aws.items import Item
from remit.aws.tables import Tables
from remit.clock import format_instant
from remit.errors import Conflict, InvalidRequest
from remit.ids import ulid
from remit.services import Services
from remit.webhooks.endpoint import (
    DEFAULT_ENDPOINT,
    MAX_ENDPOINTS,
    Endpoint,
    endpoint_in,
    endpoints_in,
)
from remit.webhooks.endpoint_records import (
    Change,
    EndpointRecords,
    check_merchant,
    is_there,
    no_endpoint,
    told,
)
from remit.webhooks.endpoint_request import (
    CheckUrl,
    check_changes,
    check_new,
    check_reason,
    secret_errors,
)
from remit.webhooks.rotation import check_overlap, rotated
from remit.webhooks.signing import new_secret

_ROSTER = "#roster"
_HEALTH = ("failingSince", "breakerOpenUntil", "breakerOpens", "breakerProbeUntil")
"""What one URL has earned: another begins without it."""

_FORGOTTEN = ("disabledReason", "disabledAt", *_HEALTH)
"""What an endpoint that is enabled begins anew without."""


class Seals(Protocol):
    """What the store needs of `remit.vault.Vault`."""

    def seal(self, secret: str) -> str:
        """The secret as it is stored."""

    def open(self, sealed: str) -> str:
        """The secret as the merchant has it."""


@dataclass(frozen=True)
class Created:
    """A new endpoint. Its secret is shown this once."""

    endpoint: Endpoint
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Rotated:
    """An endpoint with a new secret, which is shown this once."""

    endpoint: Endpoint
    secret: str = field(repr=False)


def endpoints_of(tables: Tables, merchant_id: str) -> list[Endpoint]:
    """A merchant's endpoints, disabled ones too; none if it has no `webhookURL` and no record."""
    merchant = tables.merchants.get(merchant_id)
    records = tables.endpoints.query("#merchantID = :merchant", {"merchant": merchant_id})
    return endpoints_in(merchant, records)


class EndpointStore:
    """The endpoints of merchants. `actor` is who wants a change, for the audit log.

    Every method raises `InvalidRequest` for what can be no merchant's id, and `NotFound` where it
    is about one endpoint and the merchant has none of that id.
    """

    def __init__(
        self,
        services: Services,
        vault: Seals,
        check_url: CheckUrl,
        *,
        new_id: Callable[[datetime], str] = ulid,
        new_secret: Callable[[], str] = new_secret,
    ) -> None:
        self._services = services
        self._endpoints = services.tables.endpoints
        self._records = EndpointRecords(services)
        self._vault = vault
        self._check_url = check_url
        self._new_id = new_id
        self._new_secret = new_secret

    @classmethod
    def of(cls, services: Services, new_id: Callable[[datetime], str] = ulid) -> EndpointStore:
        """With the deployment's keys, and its rules of where webhooks may go.

        Raises:
            ConfigurationError: one of these settings is wrong.
        """
        # With it comes aiohttp, which producers of events, who only read endpoints, do not need.
        from remit.webhooks.urls import url_check

        return cls(services, services.vault, url_check(services.settings), new_id=new_id)

    def create(self, merchant_id: str, values: Mapping[str, Any], *, actor: Actor) -> Created:
        """A new endpoint of the fields `NEW_FIELDS`, with the given secret or a fresh one. One that
        is there already, under an id that `new_id` gives a second time, was made by the same
        request, which was broken off: it is returned as it is, and nothing is changed.

        Raises:
            InvalidRequest: fields are wrong; all of them are named, and nothing is stored.
            Conflict: the merchant has as many endpoints as it can have, or the secret of the one
                that is there has ended.
        """
        check_merchant(merchant_id)
        attributes = check_new(values, self._check_url)
        secret = values.get("secret") or self._new_secret()
        now = self._services.clock()
        key = (merchant_id, f"ep-{self._new_id(now)}")
        fresh = self._sealed(secret, now)
        record = {
            "merchantID": merchant_id,
            "id": key[1],
            **attributes,
            "secrets": [fresh],
            "createdAt": format_instant(now),
            "updatedAt": format_instant(now),
        }
        enroll = self._endpoints.update_action(
            (merchant_id, _ROSTER),
            add={"endpoints": frozenset({key[1]})},
            condition="attribute_not_exists(#endpoints) OR size(#endpoints) < :most",
            values={"most": MAX_ENDPOINTS},
        )
        actions = [{"Update": enroll}, {"Put": self._endpoints.create_action(record)}]
        if not self._records.write(key, "created", actor, told(attributes), actions):
            if (made := self._endpoints.get(key)) is not None:
                endpoint = endpoint_in(made)
                return Created(endpoint, self._secret_of(endpoint, fresh["id"]))
            raise Conflict(
                f"there are {MAX_ENDPOINTS} endpoints, the most that a merchant can have: "
                "change one of them, or delete one first"
            )
        return Created(endpoint_in(record), secret)

    def get(self, merchant_id: str, endpoint_id: str) -> Endpoint:
        """One endpoint."""
        return self._records.read((merchant_id, endpoint_id)).endpoint

    def list(self, merchant_id: str) -> Sequence[Endpoint]:
        """A merchant's endpoints, `default` first, the others by their age."""
        check_merchant(merchant_id)
        return endpoints_of(self._services.tables, merchant_id)

    def change(
        self, merchant_id: str, endpoint_id: str, values: Mapping[str, Any], *, actor: Actor
    ) -> Endpoint:
        """Set the given fields; null takes one back to what it is by default. With another URL,
        what the breaker remembers of the last one goes; an endpoint that is disabled stays so.

        Raises:
            InvalidRequest: fields are wrong; all of them are named, and nothing is stored.
        """
        key = (merchant_id, endpoint_id)
        self._records.read(key)
        wanted = check_changes(endpoint_id, values, self._check_url)

        def change(record: Item) -> Change | None:
            differing = {n: value for n, value in wanted.items() if record.get(n) != value}
            before = told({name: record.get(name) for name in differing})
            after = told(differing)
            details = {name: {"old": before[name], "new": after[name]} for name in differing}
            forgotten = [name for name in _HEALTH if name in record] if "url" in differing else []
            return Change(differing | dict.fromkeys(forgotten), details) if differing else None

        return self._records.change(key, "changed", actor, change)

    def delete(self, merchant_id: str, endpoint_id: str, *, actor: Actor) -> None:
        """Delete an endpoint with its secrets. What waits for it is set aside when it comes due.

        Raises:
            Conflict: it is the default endpoint.
        """
        key = (merchant_id, endpoint_id)
        record = self._records.read(key).record
        if endpoint_id == DEFAULT_ENDPOINT:
            raise Conflict(
                "the default endpoint is the merchant's own webhookURL: disable it, or take the "
                "URL out of the merchant's record"
            )
        strike = self._endpoints.update_action(
            (merchant_id, _ROSTER),
            delete={"endpoints": frozenset({endpoint_id})},
            condition="attribute_not_exists(#url)",  # whether or not it was counted
        )
        gone = self._endpoints.delete_action(key, condition=is_there(endpoint_id))
        actions = [{"Update": strike}, {"Delete": gone}]
        if not self._records.write(key, "deleted", actor, told({"url": record["url"]}), actions):
            raise no_endpoint(endpoint_id)

    def rotate_secret(
        self,
        merchant_id: str,
        endpoint_id: str,
        *,
        actor: Actor,
        overlap: timedelta | None = None,
        secret: str | None = None,
    ) -> Rotated:
        """Give an endpoint a new secret, the given one or a fresh one. The old ones sign beside it
        until the overlap ends (by default that of the settings); zero ends them at once.
        One whose id `new_id` gives a second time is there by the same request, which was broken
        off: it is returned as it is.

        Raises:
            InvalidRequest: the overlap or the secret is wrong.
            Conflict: it is the default endpoint, too many secrets are live, or the one that is
                there has ended.
        """
        key = (merchant_id, endpoint_id)
        self._records.read(key)
        if endpoint_id == DEFAULT_ENDPOINT:
            raise Conflict(
                "the default endpoint's secret is the merchant's own webhookSecret, which the "
                "platform keeps: it is changed in the merchant's record"
            )
        if overlap is None:
            overlap = self._services.settings.webhook_secret_overlap
        errors = (*check_overlap(overlap), *(() if secret is None else secret_errors(secret)))
        if errors:
            raise InvalidRequest(*errors)
        shown_once, now = secret or self._new_secret(), self._services.clock()
        fresh = self._sealed(shown_once, now)

        there_before = False

        def change(record: Item) -> Change | None:
            nonlocal there_before
            stored = record.get("secrets", ())
            there_before = any(one.get("id") == fresh["id"] for one in stored)
            if there_before:
                return None
            secrets = rotated(stored, fresh, now, overlap)
            live = [one["id"] for one in secrets]
            details = {"overlapSeconds": int(overlap.total_seconds()), "live": live}
            return Change({"secrets": secrets}, details)

        endpoint = self._records.change(key, "secret_rotated", actor, change)
        if there_before:
            shown_once = self._secret_of(endpoint, fresh["id"])
        return Rotated(endpoint, shown_once)

    def disable(self, merchant_id: str, endpoint_id: str, reason: str, *, actor: Actor) -> Endpoint:
        """Stop sending to an endpoint. One that is disabled already stays as it is.

        Raises:
            InvalidRequest: the reason cannot be shown.
        """
        key = (merchant_id, endpoint_id)
        self._records.read(key)
        check_reason(reason)

        def change(record: Item) -> Change | None:
            if "disabledReason" in record:
                return None
            now = format_instant(self._services.clock())
            return Change({"disabledReason": reason, "disabledAt": now}, {"reason": reason})

        return self._records.change(key, "disabled", actor, change)

    def enable(self, merchant_id: str, endpoint_id: str, *, actor: Actor) -> Endpoint:
        """Send to an endpoint again, whatever its breaker remembers. One that is enabled and well
        stays as it is."""

        def change(record: Item) -> Change | None:
            there = [name for name in _FORGOTTEN if name in record]
            details = {"disabledReason": record.get("disabledReason")}
            return Change(dict.fromkeys(there), details) if there else None

        return self._records.change((merchant_id, endpoint_id), "enabled", actor, change)

    def _secret_of(self, endpoint: Endpoint, secret_id: str) -> str:
        for secret in endpoint.secrets:
            if secret.id == secret_id:
                return self._vault.open(secret.sealed)
        raise Conflict(
            f"endpoint {endpoint.id} has been given another secret since: rotate it to be shown one"
        )

    def _sealed(self, secret: str, now: datetime) -> Item:
        return {
            "id": self._new_id(now),
            "sealed": self._vault.seal(secret),
            "createdAt": format_instant(now),
        }
