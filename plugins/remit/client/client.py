"""The client: what a merchant's program does with the hook, and what a payment service does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import requests

from remit.client.answers import Document
from remit.client.endpoints import Endpoints
from remit.client.events import Events
from remit.client.exports import ExportHandle, When, exports, request_of
from remit.client.retrying import Polling, RetryPolicy, Timing
from remit.client.schedules import Schedules
from remit.client.tokens import Token
from remit.client.transport import Timeouts, Transport, new_key
from remit.client.values import plain_query
from remit.client.webhooks import Webhooks
from remit.webhooks import verify
from remit.webhooks.verification import TOLERANCE


class RemitClient:
    """Calls a hook in the name of the merchant that the token is of. For several threads.

    `base_url` is where the hook is: `https://payments.example/remit`. `token` is a JWT, or a
    function that gives a fresh one: it is called before the first request, and once more when a
    token is refused. `session` brings proxies, certificates and adapters of your own. By http the
    token goes to this host alone, unless `allow_http` lets it go through a network as it is.

    What fails on the way is tried again, within the bounds of `retries`: connections that break,
    429 and 5xx. What changes something has an idempotency key, the same in all of its tries, so
    that it is done once.

    Raises:
        ConfigurationError: the base URL is none, or http to another host, or the token is none.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        *,
        session: requests.Session | None = None,
        timeouts: Timeouts | None = None,
        retries: RetryPolicy | None = None,
        polling: Polling | None = None,
        timing: Timing | None = None,
        keys: Callable[[], str] = new_key,
        allow_http: bool = False,
    ) -> None:
        self._transport = Transport(
            base_url,
            token,
            session=session,
            timeouts=timeouts,
            retries=retries,
            timing=timing,
            keys=keys,
            allow_http=allow_http,
        )
        self._polling = polling or Polling()
        self.endpoints = Endpoints(self._transport)
        self.events = Events(self._transport)
        self.schedules = Schedules(self._transport)
        self.webhooks = Webhooks(self._transport)

    def __repr__(self) -> str:
        return f"RemitClient({self._transport.base_url!r})"

    def __enter__(self) -> RemitClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept. The next request makes new ones."""
        self._transport.close()

    def export(
        self,
        start_date: When,
        end_date: When,
        *,
        format: str = "csv",  # noqa: A002 - the field's name
        report: str = "payments",
        idempotency_key: str | None = None,
        **options: Any,
    ) -> ExportHandle:
        """Ask for an export. Days are whole, the last one too; an instant has its offset, and is
        exclusive as the end. `options` are the other fields: `timezone`, `columns`, `status`,
        `currency`, `customer_id`, `min_amount`, `max_amount`, `compression`, `split_rows`.

        With an `idempotency_key` of your own, a program that begins again after a crash gets the
        export that it has asked for before.

        Raises:
            ValueError: an instant has no offset.
            InvalidRequest: a field is wrong; all of them are named.
            TooManyRequests: so many exports of the merchant are under way that no more are taken.
            NotReached, RemitApiError: it is not known to be taken.
        """
        body = request_of(start_date, end_date, format, report, options)
        answer = self._transport.post("payments", "export", body=body, key=idempotency_key)
        return ExportHandle(self._transport, answer.document, self._polling)

    def get_export(self, export_id: str) -> ExportHandle:
        """An export that was asked for before.

        Raises:
            NotFound: the merchant has none of that id.
            NotReached, RemitApiError: nobody says.
        """
        document = self._transport.get("exports", export_id).document
        return ExportHandle(self._transport, document, self._polling)

    def exports(
        self,
        *,
        status: str | Sequence[str] | None = None,
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
    ) -> Iterator[ExportHandle]:
        """The merchant's exports, the newest first; pages are asked for as they are needed.

        Raises:
            NotReached, RemitApiError: while they are taken.
        """
        query = plain_query(
            status=status, created_after=created_after, created_before=created_before
        )
        return exports(self._transport, self._polling, query)

    def reports(self) -> list[Document]:
        """The reports that the token permits: columns, units, filters, formats.

        Raises:
            NotReached, RemitApiError: nobody says.
        """
        found: list[Document] = self._transport.get("reports").document["reports"]
        return found

    def audit(
        self,
        *,
        action: str | None = None,
        after: datetime | str | None = None,
        before: datetime | str | None = None,
    ) -> Iterator[Document]:
        """Who has changed what of the merchant's, the newest first; it needs the permission
        `audit`. `action` is one, or what several begin with: `exports.*`.

        Raises:
            NotReached, RemitApiError: while the entries are taken.
        """
        query = plain_query(action=action, after=after, before=before)
        return self._transport.pages("audit", query=query)

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        secret: str | Sequence[str] = (),
        *,
        tolerance: timedelta = TOLERANCE,
        public_key: str = "",
    ) -> str:
        """Check a webhook, as it came in, by the client's clock; returns its id. It is
        `remit.client.verify`.

        Raises:
            SignatureInvalid: it is not from a holder of the secret, or too old or too new.
            ConfigurationError: there is no secret, or one that is none.
        """
        now = self._transport.timing.clock()
        return verify(headers, body, secret, now=now, tolerance=tolerance, public_key=public_key)
