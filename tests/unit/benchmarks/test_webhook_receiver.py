"""The benchmark's receiver, connection by connection, without a socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from benchmarks.webhooks.inbox import Arrival, inbox
from benchmarks.webhooks.receiver import Connection, Received, fails_first

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Clock:
    """A second later every time."""

    def __init__(self) -> None:
        self.now = 99.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


class Written(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[bytes] = []

    def write(self, data: Any) -> None:
        self.answers.append(bytes(data))


class Loop:
    """An event loop of which only `call_later` is used: it notes the delay and calls at once."""

    def __init__(self) -> None:
        self.delays: list[float] = []

    def call_later(self, delay: float, callback: Any, *arguments: Any) -> None:
        self.delays.append(delay)
        callback(*arguments)


class Client:
    """One connection to a receiver."""

    def __init__(self) -> None:
        self.received, self.loop, self.transport = Received(Clock()), Loop(), Written()
        self.connection = Connection(self.received, self.loop)  # type: ignore[arg-type]
        self.connection.connection_made(self.transport)

    def send(self, *parts: bytes) -> list[bytes]:
        """Let the parts arrive one after the other; what is answered."""
        self.transport.answers.clear()
        for part in parts:
            self.connection.data_received(part)
        return list(self.transport.answers)

    def control(self, what: str, method: str = "GET") -> Any:
        (answer,) = self.send(f"{method} /-/{what} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return json.loads(answer.partition(b"\r\n\r\n")[2])


def request(target: str = "/merchant-001", body: bytes = b'{"a":1}', key: str = "wh-1") -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nwebhook-id: {key}\r\nX-Webhook-ID: {key}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.fixture
def client() -> Client:
    return Client()


def test_a_request_is_answered_and_noted(client: Client) -> None:
    assert client.send(request()) == [OK]
    assert client.control("arrivals") == {
        "paths": ["/merchant-001"],
        "arrivals": [["wh-1", 0, 100.0, 7]],
    }


@pytest.mark.parametrize("size", [1, 3, 50, 100])
def test_a_request_may_come_in_pieces(client: Client, size: int) -> None:
    whole = request(body=b"x" * 200)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert client.send(*pieces) == [OK]
    assert client.control("count") == {"count": 1}


def test_a_request_is_there_when_its_last_byte_is(client: Client) -> None:
    whole = request()
    assert client.send(whole[:-1]) == []
    assert client.received.arrivals == []
    assert client.send(whole[-1:]) == [OK]
    assert client.received.arrivals[0][2] == 100.0


def test_requests_may_come_together(client: Client) -> None:
    together = request(key="wh-1") + request(key="wh-2") + request(key="wh-3")[:40]
    assert client.send(together) == [OK, OK]
    assert client.send(request(key="wh-3")[40:]) == [OK]
    assert [arrival[0] for arrival in client.received.arrivals] == ["wh-1", "wh-2", "wh-3"]


def test_names_of_headers_are_the_same_in_any_case(client: Client) -> None:
    whole = request().replace(b"webhook-id", b"Webhook-Id").replace(b"Content-L", b"CONTENT-L")
    assert client.send(whole) == [OK]
    assert client.received.arrivals[0][0] == "wh-1"


def test_an_endpoint_fails_as_its_url_says(client: Client) -> None:
    (answer,) = client.send(request("/m?status=503"))
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert client.control("arrivals")["paths"] == ["/m"]


def test_an_endpoint_may_tell_when_to_come_back(client: Client) -> None:
    (answer,) = client.send(request("/m?status=429&retry-after=3"))
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nRetry-After: 3\r\n" in answer


def test_an_endpoint_may_fail_the_first_requests_of_some_webhooks(client: Client) -> None:
    some = [f"wh-{number}" for number in range(100)]
    chosen = {key for key in some if fails_first(key, 4)}
    assert 10 < len(chosen) < 50
    for key in some:
        sent = [client.send(request("/m?status=500&first=2&every=4", key=key)) for _ in range(3)]
        failed = [not answer.startswith(b"HTTP/1.1 200 ") for (answer,) in sent]
        assert failed == ([True, True, False] if key in chosen else [False] * 3)


def test_an_endpoint_that_hangs_notes_and_never_answers(client: Client) -> None:
    assert client.send(request("/m?hang=1")) == []
    assert client.control("count") == {"count": 1}


def test_an_endpoint_may_be_slow(client: Client) -> None:
    assert client.send(request("/m?delay=0.2")) == [OK]
    assert client.loop.delays == [0.2]
    client.send(request())
    assert client.loop.delays == [0.2]


def test_a_request_without_an_id_is_noted_too(client: Client) -> None:
    assert client.send(b"POST /m HTTP/1.1\r\nContent-Length: 0\r\n\r\n") == [OK]
    assert client.received.arrivals[0][0] == ""


def test_the_latest_request_of_each_path_is_a_sample(client: Client) -> None:
    client.send(request(key="wh-1"), request("/other", key="wh-2"), request(key="wh-3"))
    first, second = client.control("samples")
    assert (first["path"], first["headers"]["webhook-id"]) == ("/merchant-001", "wh-3")
    assert (second["path"], second["body"]) == ("/other", '{"a":1}')


def test_what_was_received_can_be_forgotten(client: Client) -> None:
    client.send(request())
    client.control("reset", "POST")
    assert client.control("arrivals") == {"paths": [], "arrivals": []}
    client.send(request("/other"))
    assert client.control("arrivals")["paths"] == ["/other"]


def test_there_is_no_other_control(client: Client) -> None:
    (answer,) = client.send(b"GET /-/levitate HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404")


def test_the_receiver_is_a_process_that_tells_what_arrived() -> None:
    import requests

    with inbox() as received, requests.Session() as session:
        headers = {"webhook-id": "wh-1"}
        answer = session.post(f"{received.url}/m", data=b"four", headers=headers, timeout=5)
        assert (answer.status_code, answer.text) == (200, "ok")
        received.await_webhooks({"wh-1"}, 5)
        (arrival,) = received.arrivals()
        assert arrival == Arrival("wh-1", "/m", arrival.at, 4)
        (sample,) = received.samples()
        assert (sample.path, sample.body) == ("/m", b"four")
        received.reset()
        assert received.count() == 0
