"""From claimed records to what can be sent: payloads and secrets, read in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from remit.aws.items import Item
from remit.aws.tables import Tables
from remit.clock import Clock, epoch_seconds
from remit.errors import InvalidRequest
from remit.queue import Claim
from remit.settings import Settings
from remit.webhooks import signing
from remit.webhooks.endpoint import check_url, secret_in
from remit.webhooks.record import Unsendable, Webhook, read_record
from remit.webhooks.sender import Request


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


class Preparer:
    """Reads what the webhooks of one chunk need; a merchant is read once per chunk."""

    def __init__(self, tables: Tables, settings: Settings) -> None:
        self._tables = tables
        self._settings = settings
        self._merchants: dict[str, Item] = {}

    def prepare(self, claims: Sequence[Claim]) -> list[Prepared | SetAside]:
        """One result per claim. A record that cannot be sent never keeps the others from it.

        Raises:
            StoreUnavailable: the events or merchants could not be read.
        """
        results: list[Prepared | SetAside] = []
        readable: list[tuple[Claim, Webhook]] = []
        for claim in claims:
            try:
                readable.append((claim, self._read(claim)))
            except Unsendable as error:
                results.append(SetAside(claim, error.reason))
        webhooks = [webhook for _, webhook in readable]
        events = self._tables.events.get_many(w.event_id for w in webhooks if w.event_id)
        unknown = {w.merchant_id for w in webhooks} - self._merchants.keys()
        self._merchants |= self._tables.merchants.get_many(unknown)
        for claim, webhook in readable:
            try:
                body, secret = self._body(webhook, events), self._secret(webhook)
            except Unsendable as error:
                results.append(SetAside(claim, error.reason))
            else:
                results.append(Prepared(claim, webhook, body, secret))
        return results

    def _read(self, claim: Claim) -> Webhook:
        webhook = read_record(claim.item, self._settings.webhook_lifetime)
        try:
            check_url(webhook.url, allow_http=self._settings.webhook_allow_http)
        except InvalidRequest as error:
            raise Unsendable(str(error)) from None
        return webhook

    def _body(self, webhook: Webhook, events: dict[str, Item]) -> bytes:
        payload = webhook.payload
        if webhook.event_id is not None:
            payload = events.get(webhook.event_id, {}).get("payload")
        if not isinstance(payload, str):
            raise Unsendable(f"the event {webhook.event_id} is not there")
        return payload.encode()

    def _secret(self, webhook: Webhook) -> str:
        secret = secret_in(self._merchants.get(webhook.merchant_id, {}))
        if secret is None:
            raise Unsendable("the endpoint has no secret, and nothing is sent unsigned")
        return secret
