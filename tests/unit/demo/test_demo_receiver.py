"""The receiver against signatures made here, by hand; and against Remit's own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from demo.loopback import loopback
from demo.receiver import BadSignature, Receiver, verify
from tests.support.signatures import signed_headers

NOW = 1_770_000_000
ENCODED = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
SECRETS = ["plain-secret", "Schlüssel", ENCODED]
BODY = '{"id":"evt-1","type":"export.completed","data":{"text":"Grüße"}}'.encode()


def signed(secret: str, body: bytes = BODY, now: int = NOW) -> dict[str, str]:
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    platform = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    standard = hmac.new(key, f"wh-1.{now}.".encode() + body, hashlib.sha256).digest()
    return {
        "X-Webhook-ID": "wh-1",
        "X-Webhook-Timestamp": str(now),
        "X-Webhook-Signature": f"sha256={platform}",
        "webhook-id": "wh-1",
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(standard).decode()}",
    }


@pytest.mark.parametrize("secret", SECRETS)
def test_right_signatures_pass(secret: str) -> None:
    assert verify(signed(secret), BODY, secret, NOW) == "wh-1"


@pytest.mark.parametrize("secret", SECRETS)
def test_what_remit_signs_passes(secret: str) -> None:
    verify(signed_headers("wh-9", NOW, BODY, secret), BODY, secret, NOW)


def test_header_names_match_in_any_case() -> None:
    headers = {name.upper(): value for name, value in signed("plain-secret").items()}
    assert verify(headers, BODY, "plain-secret", NOW) == "wh-1"


def test_one_of_several_standard_signatures_is_enough() -> None:
    headers = signed("plain-secret")
    headers["webhook-signature"] = f"v1,b2xk v1a,other {headers['webhook-signature']}"
    verify(headers, BODY, "plain-secret", NOW)


@pytest.mark.parametrize("name", list(signed("plain-secret")))
def test_every_header_is_needed(name: str) -> None:
    headers = signed("plain-secret")
    del headers[name]
    with pytest.raises(BadSignature):
        verify(headers, BODY, "plain-secret", NOW)


@pytest.mark.parametrize("name", list(signed("plain-secret")))
def test_every_header_is_checked(name: str) -> None:
    headers = signed("plain-secret")
    headers[name] = headers[name][:-1] + ("0" if headers[name][-1] != "0" else "1")
    with pytest.raises(BadSignature):
        verify(headers, BODY, "plain-secret", NOW)


def test_another_body_fails() -> None:
    with pytest.raises(BadSignature):
        verify(signed("plain-secret"), BODY + b" ", "plain-secret", NOW)


@pytest.mark.parametrize("age", [-301, 301])
def test_an_old_or_future_timestamp_fails(age: int) -> None:
    with pytest.raises(BadSignature, match="more than 300 s away"):
        verify(signed("plain-secret"), BODY, "plain-secret", NOW + age)


class Endpoint:
    """A running receiver and a client to it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.http = loopback()

    def deliver(self, target: str, **headers: str) -> int:
        given = signed("plain-secret", now=int(time.time())) | headers
        return self.http.post(f"{self.url}{target}", BODY, headers=given, timeout=10).status_code

    def received(self) -> dict[str, list[dict[str, object]]]:
        answer: requests.Response = self.http.get(f"{self.url}/received", timeout=10)
        document: dict[str, list[dict[str, object]]] = answer.json()
        return document


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Receiver(0, {"merchant-1": "plain-secret"}) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = Endpoint(server.server_address[1])
        with client.http:
            yield client
        server.shutdown()
        thread.join()


def test_a_verified_delivery_is_kept(endpoint: Endpoint) -> None:
    assert endpoint.deliver("/merchant-1") == 204
    (delivery,) = endpoint.received()["verified"]
    assert delivery["merchant"] == "merchant-1"
    assert delivery["webhook_id"] == "wh-1"
    assert delivery["event"] == json.loads(BODY)


def test_a_bad_signature_is_refused_and_told(endpoint: Endpoint) -> None:
    assert endpoint.deliver("/merchant-1", **{"X-Webhook-Signature": "sha256=00"}) == 401
    assert endpoint.received() == {
        "verified": [],
        "refused": [
            {"merchant": "merchant-1", "reason": "X-Webhook-Signature does not match"},
        ],
    }


def test_another_path_is_not_found(endpoint: Endpoint) -> None:
    assert endpoint.deliver("/merchant-2") == 404


def test_the_first_attempts_fail_if_the_url_says_so(endpoint: Endpoint) -> None:
    answers = [endpoint.deliver("/merchant-1?fail=2&status=500") for _ in range(3)]
    assert answers == [500, 500, 204]
    (delivery,) = endpoint.received()["verified"]
    assert delivery["attempt"] == 3
