"""Endpoints as a deliverer knows them: read in batches, and again when what is known is old."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from remit.aws.items import Item
from remit.clock import Clock
from remit.errors import SecretUnreadable, StoreUnavailable
from remit.settings import Settings
from remit.webhooks.backoff import RetrySchedule
from remit.webhooks.endpoint import (
    DEFAULT_ENDPOINT,
    Endpoint,
    EndpointKey,
    default_endpoint,
    endpoint_in,
    has_unreadable_secret,
)
from remit.webhooks.reader import Reader
from remit.webhooks.signing import SigningKey
from remit.webhooks.urls import url_fault

log = logging.getLogger(__name__)

FRESH = timedelta(seconds=10)
"""How long an endpoint is believed to be as it was read: a change counts after that."""

MOMENT = timedelta(seconds=1)
"""How long it is believed that KMS cannot be reached."""

MOST_KNOWN = 5_000
"""Endpoints that are remembered: a few kilobytes each."""


class Opener(Protocol):
    """What a directory needs of `remit.vault.Vault`."""

    def open(self, sealed: str) -> str:
        """The secret as the merchant has it."""


class HealthRecords(Protocol):
    """What a directory tells of an endpoint's record to whoever keeps its health."""

    def load(self, key: EndpointKey, record: Item, url: str) -> None:
        """The record as it was read, and the endpoint's URL, empty if it has none."""


@dataclass(frozen=True, slots=True)
class Known:
    """An endpoint with what its deliveries need.

    `fault` says why none can be made for the time being (a secret that cannot be opened, a record
    that cannot be read), and `passing` that the fault is neither the record's nor the deployment's,
    but an outage. `refused` says why none can be made at all to this URL. `is_there` is false for a
    merchant's default endpoint without a `webhookURL`: only records of the platform's own, with a
    URL each, can go there.
    """

    key: EndpointKey
    endpoint: Endpoint
    signing_keys: tuple[SigningKey, ...]
    schedule: RetrySchedule
    burst: RetrySchedule
    """Remit's own schedule, which says how long a task waits for a next attempt."""
    secret_ids: tuple[str, ...]
    is_there: bool = True
    fault: str | None = None
    passing: bool = False
    refused: str | None = None


class Directory:
    """The endpoints that one deliverer has met lately."""

    def __init__(
        self,
        reader: Reader,
        settings: Settings,
        clock: Clock,
        vault: Opener,
        health: HealthRecords,
    ) -> None:
        self._reader = reader
        self._settings = settings
        self._clock = clock
        self._vault = vault
        self._health = health
        self._known: dict[EndpointKey, Known | None] = {}
        self._read_at: dict[EndpointKey, datetime] = {}
        self._reported: set[EndpointKey] = set()

    async def load(self, keys: Iterable[EndpointKey]) -> None:
        """Read those that are not known, or not freshly. Whatever is wrong with one is a fault of
        that one.

        Raises:
            StoreUnavailable: they could not be read.
        """
        now = self._clock()
        if len(self._known) > MOST_KNOWN:
            # Before it is said which are to be read: one that is forgotten here would be taken for
            # one that was deleted.
            self._known.clear()
            self._read_at.clear()
        old = {key for key in keys if not self._is_fresh(key, now)}
        if not old:
            return
        of_merchants = {merchant for merchant, endpoint in old if endpoint == DEFAULT_ENDPOINT}
        records, merchants = await asyncio.gather(
            self._reader.endpoints(old), self._reader.merchants(of_merchants)
        )
        # On a thread: to open a secret may take a request to KMS.
        known = await asyncio.to_thread(self._all_known, old, records, merchants, now)
        self._known |= known
        for key in old:
            found = known[key]
            passing = found is not None and found.passing
            self._read_at[key] = now - FRESH + MOMENT if passing else now
            url = found.endpoint.url if found is not None and found.is_there else ""
            self._health.load(key, records.get(key, {}), url)

    def find(self, key: EndpointKey) -> Known | None:
        """What was loaded; None: there is no such endpoint."""
        return self._known.get(key)

    def _is_fresh(self, key: EndpointKey, now: datetime) -> bool:
        read_at = self._read_at.get(key)
        return read_at is not None and now - read_at < FRESH

    def _all_known(
        self,
        keys: Iterable[EndpointKey],
        records: Mapping[EndpointKey, Item],
        merchants: Mapping[str, Item],
        now: datetime,
    ) -> dict[EndpointKey, Known | None]:
        known: dict[EndpointKey, Known | None] = {}
        for key in keys:
            record = records.get(key)
            try:
                if key[1] == DEFAULT_ENDPOINT:
                    known[key] = self._of_merchant(key, merchants.get(key[0]), record or {}, now)
                else:
                    known[key] = self._of_record(key, record, now)
            except Exception as error:  # noqa: BLE001 - told without its words: they may quote a secret
                fault = f"it cannot be read: {type(error).__name__}"
                known[key] = self._known_of(key, Endpoint(key[1], key[0], "", ()), fault)
        return known

    def _of_merchant(
        self, key: EndpointKey, merchant: Item | None, settings: Item, now: datetime
    ) -> Known | None:
        if merchant is None:
            return None
        fault = None
        if has_unreadable_secret(merchant):
            kind = type(merchant["webhookSecret"]).__name__
            fault = f"webhookSecret is {kind} and not text, as Remit reads it"
        # Without a URL it is still what signs the platform's own records, which have one each.
        is_there = default_endpoint(merchant, settings) is not None
        url = {} if is_there else {"webhookURL": "nowhere"}
        endpoint = default_endpoint({**merchant, **url}, settings)
        if endpoint is None:
            return None
        return self._opened(key, endpoint, now, fault=fault, is_there=is_there)

    def _of_record(self, key: EndpointKey, record: Item | None, now: datetime) -> Known | None:
        if record is None or not isinstance(record.get("url"), str):
            return None
        return self._opened(key, endpoint_in(record), now)

    def _opened(
        self,
        key: EndpointKey,
        endpoint: Endpoint,
        now: datetime,
        *,
        fault: str | None = None,
        is_there: bool = True,
    ) -> Known:
        signing_keys: tuple[SigningKey, ...] = ()
        fault, passing = endpoint.fault or fault, False
        try:
            if endpoint.fault is None:
                signing_keys = tuple(
                    SigningKey.of(self._vault.open(secret.sealed))
                    for secret in endpoint.live_secrets(now)
                )
        except SecretUnreadable as error:
            fault = str(error)
        except StoreUnavailable as error:
            fault, passing = str(error), True
        known = self._known_of(key, endpoint, fault)
        return replace(
            known,
            signing_keys=signing_keys,
            secret_ids=tuple(secret.id for secret in endpoint.live_secrets(now)),
            passing=passing,
            is_there=is_there,
            refused=url_fault(endpoint.url, self._settings) if is_there else None,
        )

    def _known_of(self, key: EndpointKey, endpoint: Endpoint, fault: str | None) -> Known:
        """An endpoint without what it is signed with. Its fault is told."""
        self._report(key, fault)
        burst = RetrySchedule(first=self._settings.webhook_backoff)
        return Known(
            key,
            endpoint,
            signing_keys=(),
            schedule=replace(burst, waits=endpoint.schedule),
            burst=burst,
            secret_ids=(),
            fault=fault,
        )

    def _report(self, key: EndpointKey, fault: str | None) -> None:
        """Once as long as it lasts: many webhooks wait for the same secret."""
        if fault is None:
            self._reported.discard(key)
        elif key not in self._reported:
            self._reported.add(key)
            log.error(
                "merchant=%s endpoint=%s: %s; its webhooks wait until that is mended", *key, fault
            )
