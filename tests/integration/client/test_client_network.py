"""The client on real sockets, where connections fail as they do."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme

from benchmarks.standins.http import Reset, Response, Server
from benchmarks.standins.reading import Request
from demo.loopback import loopback
from remit.client import NotReached, RemitClient, RetryPolicy, Timeouts
from tests.support.ports import free_port

TOKEN = "head.body.signature"
QUICK = RetryPolicy(tries=3, first_wait=0.01)
REPORTS = Response(
    200, {"Content-Type": "application/json"}, [json.dumps({"reports": []}).encode()]
)


@contextmanager
def client_at(url: str, read: float = 5) -> Iterator[RemitClient]:
    with RemitClient(
        f"{url}/remit",
        TOKEN,
        session=loopback(),
        retries=QUICK,
        timeouts=Timeouts(connect=5, read=read),
    ) as client:
        yield client


def test_nobody_listens() -> None:
    with (
        client_at(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(NotReached, match="Connection refused") as caught,
    ):
        client.reports()
    assert TOKEN not in str(caught.value)


def test_a_host_that_is_not_there() -> None:
    with client_at("https://nowhere.invalid") as client, pytest.raises(NotReached):
        client.reports()


def test_a_connection_that_is_reset_is_made_again() -> None:
    asked: list[str] = []

    def handle(request: Request) -> Response:
        asked.append(request.headers["authorization"])
        if len(asked) < 3:
            raise Reset
        return REPORTS

    with Server(handle) as server, client_at(server.url) as client:
        assert client.reports() == []
    assert asked == [f"Bearer {TOKEN}"] * 3


def test_connections_are_kept() -> None:
    with Server(lambda _: REPORTS) as server, client_at(server.url) as client:
        for _ in range(5):
            client.reports()
        assert len(server._connections) == 1


def test_a_server_that_says_nothing_is_waited_for_as_long_as_the_timeout_says() -> None:
    over = threading.Event()
    asked: list[str] = []

    def handle(request: Request) -> Response:
        asked.append(request.target)
        over.wait(30)
        return REPORTS

    with Server(handle) as server, client_at(server.url, read=0.1) as client:
        with pytest.raises(NotReached, match="timed out"):
            client.reports()
        over.set()
    assert len(asked) == 3


def test_an_answer_that_is_cut_off_is_asked_for_again() -> None:
    asked: list[str] = []

    def handle(request: Request) -> Response:
        asked.append(request.target)
        if len(asked) > 1:
            return REPORTS
        # The head of an answer that has no end: the next request is read in its place.
        threading.Timer(0.1, server.stop_one).start()
        return Response(200, {"Content-Length": "1000"}, [b'{"reports"'])

    with _Breaking(handle) as server, client_at(server.url) as client:
        assert client.reports() == []
    assert len(asked) == 2


class _Breaking(Server):
    """Breaks off the connections that there are."""

    def stop_one(self) -> None:
        for connection in list(self._connections):
            connection.shut(2)


def test_a_certificate_that_nobody_vouches_for_is_said_at_once() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with _Tls(context) as server, client_at(server.url) as client:
        with pytest.raises(NotReached, match="certificate verify failed"):
            client.reports()
        assert server.accepted == 1


class _Tls:
    """Shakes hands, as far as it comes."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self.accepted = 0
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                self._context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    def __enter__(self) -> _Tls:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(2)
        self._listener.close()
        self._thread.join()
