"""Builders for webhook tests, and a receiver on a port of its own that records what it gets."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from remit.queue import queued
from remit.services import Services
from remit.webhooks import Event
from remit.webhooks.outbox import Outbox

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Received:
    """One request as the receiver saw it."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass(frozen=True)
class Answer:
    """What the receiver answers."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)


Behaviour = Callable[[Received, int], Answer]
"""From the request and how often its webhook id has come by now (1 at first) to the answer."""


class Receiver:
    """Records requests and answers as told. `url(path)` is where it listens."""

    def __init__(self, behaviour: Behaviour = lambda _, __: Answer()) -> None:
        self.behaviour = behaviour
        self.received: list[Received] = []
        self._times: defaultdict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def ids(self) -> list[str]:
        """The webhook ids in the order of their arrival, repetitions included."""
        return [received.id for received in self.received]

    def take(self, received: Received) -> Answer:
        with self._lock:
            self.received.append(received)
            self._times[received.id] += 1
            times = self._times[received.id]
        return self.behaviour(received, times)

    @contextmanager
    def running(self) -> Iterator[Receiver]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = receiver.take(Received(self.path, dict(self.headers.items()), body))
            try:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    return Handler


def event(number: int = 1, merchant: str = "merchant-1", **data: Any) -> Event:
    """A `payment.succeeded` of 19.99."""
    return Event(
        id=f"evt-{number}",
        type="payment.succeeded",
        merchant_id=merchant,
        created_at=NOW,
        data={"payment_id": f"pay-{number}", "amount": 1999, "currency": "EUR", **data},
    )


def with_settings(services: Services, **changes: Any) -> Services:
    """The same services, on the same client, with other settings."""
    changed = replace(services, settings=replace(services.settings, **changes))
    vars(changed)["tables"] = services.tables  # a cached property
    return changed


def add_merchant(services: Services, url: str, id: str = "merchant-1", **changes: Any) -> None:
    """A merchant whose webhooks go to that URL."""
    merchant = {"id": id, "name": id, "webhookURL": url, "webhookSecret": SECRET, **changes}
    services.tables.merchants.put({k: v for k, v in merchant.items() if v is not None})


def add_endpoint(services: Services, id: str, merchant: str = "merchant-1", **changes: Any) -> None:
    """An endpoint of its own, for all events unless told otherwise."""
    record = {"url": f"https://{id}.example/hook", "events": ["*"], "secrets": [], **changes}
    services.tables.endpoints.put({"merchantID": merchant, "id": id, **record})


def publish(services: Services, number: int = 1, merchant: str = "merchant-1") -> str:
    """Publish an event to a merchant with one endpoint; returns the id of its webhook."""
    published = Outbox(services).publish(event(number, merchant))
    assert not published.duplicate
    (key,) = published.webhook_ids
    return key


def foreign_webhook(key: str, address: str, **changes: Any) -> dict[str, Any]:
    """A record as the platform's own service writes it: payload inside, local offset, no queue."""
    record = {
        "id": key,
        "merchantID": "merchant-1",
        "eventType": "payment.succeeded",
        "paymentID": "pay-9",
        "url": address,
        "payload": json.dumps({"payment_id": "pay-9"}),
        "status": "failed",
        "attempts": 5,
        "createdAt": "2026-11-23T13:30:00.123456789+02:00",
        "updatedAt": "2026-11-23T13:31:00.5+02:00",
        "expiresAt": int(NOW.timestamp()) + 80_000,
        **changes,
    }
    return {k: v for k, v in record.items() if v is not None}


def queued_webhook(
    key: str, address: str, due_at: datetime = NOW, **changes: Any
) -> dict[str, Any]:
    """A record with a payload of its own that is in the queue."""
    record = foreign_webhook(key, address, **{"status": "pending", "attempts": 0, **changes})
    return record | queued(key, due_at)
