"""From claimed records to what can be sent: payloads and secrets, read in batches."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from remit.aws.items import Item
from remit.aws.tables import Tables
from remit.clock import Clock, epoch_seconds
from remit.errors import InvalidRequest
from remit.queue import Claim
from remit.settings import Settings
from remit.webhooks import signing
from remit.webhooks.endpoint import default_endpoint, has_unreadable_secret
from remit.webhooks.record import Unsendable, Webhook, read_record
from remit.webhooks.sender import Request
from remit.webhooks.urls import check_url

log = logging.getLogger(__name__)

MAX_KEY_BYTES = 2048
"""DynamoDB's limit of a hash key. A key beyond it makes DynamoDB refuse the whole batch."""


@dataclass(frozen=True)
class Prepared:
    """A claimed webhook with all that its attempt needs."""

    claim: Claim
    webhook: Webhook
    body: bytes = field(repr=False)
    secret: str = field(repr=False)

    def request(self, clock: Clock) -> Request:
        """The request, signed with the present time."""
        timestamp = epoch_seconds(clock())
        headers = signing.headers(self.webhook.id, timestamp, self.body, self.secret)
        return Request(self.webhook.url, headers, self.body)


@dataclass(frozen=True)
class SetAside:
    """A claimed webhook that no attempt can help, and why."""

    claim: Claim
    reason: str


@dataclass(frozen=True)
class Postponed:
    """A claimed webhook that can be sent once the deployment is mended."""

    claim: Claim
    webhook: Webhook


class Preparer:
    """Reads what the webhooks of one chunk need; a merchant is read once per chunk."""

    def __init__(self, tables: Tables, settings: Settings) -> None:
        self._tables = tables
        self._settings = settings
        self._merchants: dict[str, Item] = {}
        self._reported: set[str] = set()

    def prepare(self, claims: Sequence[Claim]) -> list[Prepared | SetAside | Postponed]:
        """One result per claim. A record that cannot be sent never keeps the others from it.

        Raises:
            StoreUnavailable: the events or merchants could not be read.
        """
        results: list[Prepared | SetAside | Postponed] = []
        readable: list[tuple[Claim, Webhook]] = []
        for claim in claims:
            try:
                readable.append((claim, self._read(claim)))
            except Unsendable as error:
                results.append(SetAside(claim, error.reason))
            except Exception as error:
                log.exception("webhook=%r cannot be read", claim.key)
                results.append(SetAside(claim, f"it cannot be read: {type(error).__name__}"))
        webhooks = [webhook for _, webhook in readable]
        events = self._tables.events.get_many(w.event_id for w in webhooks if w.event_id)
        unknown = {w.merchant_id for w in webhooks} - self._merchants.keys()
        self._merchants |= self._tables.merchants.get_many(unknown)
        return results + [self._complete(claim, webhook, events) for claim, webhook in readable]

    def _read(self, claim: Claim) -> Webhook:
        webhook = read_record(claim.item, self._settings.webhook_lifetime)
        try:
            check_url(webhook.url, allow_http=bool(self._settings.webhook_networks))
        except InvalidRequest as error:
            raise Unsendable(str(error)) from None
        if webhook.event_id is not None and len(webhook.event_id.encode()) > MAX_KEY_BYTES:
            raise Unsendable("eventID is longer than a key can be")
        return webhook

    def _complete(
        self, claim: Claim, webhook: Webhook, events: Mapping[str, Item]
    ) -> Prepared | SetAside | Postponed:
        merchant = self._merchants.get(webhook.merchant_id, {})
        if has_unreadable_secret(merchant):
            self._report_secret(merchant)
            return Postponed(claim, webhook)
        try:
            return Prepared(claim, webhook, self._body(webhook, events), self._secret(merchant))
        except Unsendable as error:
            return SetAside(claim, error.reason)

    def _body(self, webhook: Webhook, events: Mapping[str, Item]) -> bytes:
        payload = webhook.payload
        if webhook.event_id is not None:
            payload = events.get(webhook.event_id, {}).get("payload")
        if not isinstance(payload, str):
            raise Unsendable(f"the event {webhook.event_id} is not there")
        return payload.encode()

    def _secret(self, merchant: Item) -> str:
        endpoint = default_endpoint({"id": "", "webhookURL": "-", **merchant}, {})
        if endpoint is None or not endpoint.secrets:
            raise Unsendable("the endpoint has no secret, and nothing is sent unsigned")
        return endpoint.secrets[-1].sealed

    def _report_secret(self, merchant: Item) -> None:
        """Once per merchant and chunk: many webhooks wait for the same secret."""
        if merchant["id"] in self._reported:
            return
        self._reported.add(merchant["id"])
        log.error(
            "merchant=%s: webhookSecret is %s and not text, as Remit reads it; "
            "the merchant's webhooks wait until it is",
            merchant["id"],
            type(merchant["webhookSecret"]).__name__,
        )
