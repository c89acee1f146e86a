"""A merchant's webhook endpoint: verifies what it gets, keeps it, and shows it at `/received`.

    python -m demo.receiver --port 8090 --secrets secrets.json

`secrets.json` maps a path (`merchant-001`) to that endpoint's secret. A delivery is a POST to that
path; its signatures are checked here by other code than Remit's, as a merchant would write it:
the platform's own `X-Webhook-*` headers and Standard Webhooks' `webhook-*` headers, both.

    204  verified      401  a signature is missing, wrong or old      404  no such endpoint

`?fail=2` on the webhook URL makes the first two attempts of each webhook fail (`&status=` says how,
503 unless given), to see retries at work.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from demo.ports import HOST

TOLERANCE_SECONDS = 300
"""Older or newer timestamps are refused, as Standard Webhooks recommends."""


class BadSignature(Exception):
    """The delivery does not prove who sent it."""


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> str:
    """Check both sets of headers, in whatever case they came; returns the webhook's id.

    Raises:
        BadSignature: says which header is wrong.
    """
    given = {name.lower(): value for name, value in headers.items()}
    _verify_platform(given, body, secret, now)
    _verify_standard(given, body, secret, now)
    if given["x-webhook-id"] != given["webhook-id"]:
        raise BadSignature("X-Webhook-ID and webhook-id differ")
    return given["webhook-id"]


def _verify_platform(given: Mapping[str, str], body: bytes, secret: str, now: float) -> None:
    """`sha256=` and the hex HMAC-SHA256 of `timestamp.body`."""
    timestamp = _timestamp(given, "X-Webhook-Timestamp", now)
    digest = hmac.new(secret.encode(), timestamp + b"." + body, hashlib.sha256).hexdigest()
    if not _same(_value(given, "X-Webhook-Signature"), f"sha256={digest}"):
        raise BadSignature("X-Webhook-Signature does not match")
    _value(given, "X-Webhook-ID")


def _verify_standard(given: Mapping[str, str], body: bytes, secret: str, now: float) -> None:
    """`v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`; several, separated by blanks."""
    timestamp = _timestamp(given, "webhook-timestamp", now)
    encoded = secret.removeprefix("whsec_")
    key = secret.encode() if encoded == secret else base64.b64decode(encoded)
    signed = _value(given, "webhook-id").encode() + b"." + timestamp + b"." + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    signatures = _value(given, "webhook-signature").split(" ")
    if not any(_same(signature, f"v1,{digest}") for signature in signatures):
        raise BadSignature("webhook-signature does not match")


def _timestamp(given: Mapping[str, str], name: str, now: float) -> bytes:
    text = _value(given, name)
    if not (text.isascii() and text.isdigit()):
        raise BadSignature(f"{name} is not a Unix time")
    if abs(now - int(text)) > TOLERANCE_SECONDS:
        raise BadSignature(f"{name} is more than {TOLERANCE_SECONDS} s away")
    return text.encode()


def _value(given: Mapping[str, str], name: str) -> str:
    if name.lower() not in given:
        raise BadSignature(f"{name} is missing")
    return given[name.lower()]


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


class Receiver(ThreadingHTTPServer):
    """The server and what it has received."""

    daemon_threads = True
    request_queue_size = 128  # a burst of deliveries connects at once

    def __init__(self, port: int, secrets: Mapping[str, str]) -> None:
        super().__init__((HOST, port), _Handler)
        self.secrets = dict(secrets)
        self._lock = threading.Lock()
        self._verified: list[dict[str, Any]] = []
        self._refused: list[dict[str, Any]] = []
        self._attempts: Counter[str] = Counter()

    def deliver(self, target: str, headers: Mapping[str, str], body: bytes) -> int:
        """Take one delivery; returns the status to answer."""
        url = urlsplit(target)
        merchant = url.path.strip("/")
        if merchant not in self.secrets:
            return 404
        try:
            webhook = verify(headers, body, self.secrets[merchant], time.time())
        except BadSignature as error:
            with self._lock:
                self._refused.append({"merchant": merchant, "reason": str(error)})
            return 401
        with self._lock:
            self._attempts[webhook] += 1
            attempt = self._attempts[webhook]
            if (status := _wanted_failure(url.query, attempt)) is not None:
                return status
            self._verified.append(
                {
                    "merchant": merchant,
                    "webhook_id": webhook,
                    "attempt": attempt,
                    "received_at": time.time(),
                    "event": json.loads(body),
                }
            )
        return 204

    def received(self) -> dict[str, Any]:
        """Everything so far: what was verified, and what was refused and why."""
        with self._lock:
            return {"verified": list(self._verified), "refused": list(self._refused)}


def _wanted_failure(query: str, attempt: int) -> int | None:
    options = parse_qs(query)
    if attempt <= int(options.get("fail", ["0"])[0]):
        return int(options.get("status", ["503"])[0])
    return None


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"  # keeps connections open between deliveries

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(self.server.deliver(self.path, dict(self.headers), body))

    def do_GET(self) -> None:
        if self.path != "/received":
            self._answer(404)
            return
        self._answer(200, json.dumps(self.server.received()).encode())

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog="demo.receiver")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secrets", type=Path, required=True, help="JSON: path to secret")
    options = parser.parse_args()
    secrets = json.loads(options.secrets.read_text(encoding="utf-8"))
    with Receiver(options.port, secrets) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
