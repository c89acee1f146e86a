"""The local AWS looks at one request at a time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from io import BytesIO
from threading import Semaphore, Thread
from typing import Any
from urllib.request import urlopen

from demo.aws import OneAtATime, aws_server


def test_the_second_request_waits_for_the_end_of_the_first() -> None:
    entered, may_leave = Semaphore(0), Semaphore(0)

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        entered.release()
        may_leave.acquire()
        return [environ["wsgi.input"].read()]

    one_at_a_time = OneAtATime(application)
    answers: list[list[bytes]] = []

    def ask() -> None:
        environ = {"wsgi.input": BytesIO(b"hello, and more"), "CONTENT_LENGTH": "5"}
        answers.append(one_at_a_time(environ, print))

    clients = [Thread(target=ask), Thread(target=ask)]
    for client in clients:
        client.start()
    assert entered.acquire(timeout=10)
    assert not entered.acquire(timeout=0.1)
    may_leave.release(2)
    for client in clients:
        client.join()
    assert answers == [[b"hello"], [b"hello"]]


def test_a_client_that_stops_halfway_holds_up_nobody() -> None:
    server = aws_server()
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        with socket.create_connection((server.host, server.port)) as halfway:
            halfway.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
            url = f"http://{server.host}:{server.port}/moto-api/"
            assert urlopen(url, timeout=10).status == 200
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
