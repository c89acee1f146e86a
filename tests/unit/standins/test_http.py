from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from benchmarks.standins.http import Reset, Response, Server
from benchmarks.standins.reading import MalformedRequest, Request, unwrap_aws_chunks
from tests.unit.standins.raw import Wire, connected

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"


def echo(request: Request) -> Response:
    headers = {"X-Target": request.target, "X-Trailers": repr(request.trailers)}
    return Response(200, headers, [bytes(request.body), b"!"])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(echo) as started:
        yield started


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with connected(server) as connection:
        yield connection


def test_a_connection_serves_many_requests(wire: Wire) -> None:
    for _ in range(3):
        wire.send(GET)
        answer = wire.answer()
        assert (answer.status, answer.headers["x-target"], answer.body) == (200, "/a?b=c", b"!")


def test_requests_that_arrive_together_are_answered_in_turn(wire: Wire) -> None:
    wire.send(GET + b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" + GET)
    assert [wire.answer().body for _ in range(3)] == [b"!", b"abc!", b"!"]


@pytest.mark.parametrize("size", [1, 64 * 1024, 3_000_000])
def test_a_body_of_any_size_arrives_whole(wire: Wire, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    for _ in range(2):  # the second time in a buffer that was used before
        wire.send(b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size, content)
        assert wire.answer().body == content + b"!"


def test_a_client_that_waits_is_told_to_go_on(wire: Wire) -> None:
    wire.send(b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert wire.answer().status == 100
    wire.send(b"abc")
    assert wire.answer().body == b"abc!"


CHUNKED = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"


def test_a_chunked_body_is_joined(wire: Wire) -> None:
    large = b"y" * 200_000
    wire.send(CHUNKED + b"\r\n3\r\nabc\r\n2;extension=1\r\nde\r\n")
    wire.send(b"%x\r\n" % len(large), large, b"\r\n0\r\nTrailer: t\r\n\r\n")
    assert wire.answer().body == b"abcde" + large + b"!"


def test_an_aws_chunked_body_has_trailers(wire: Wire) -> None:
    inner = b"3\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    head = b"Content-Encoding: gzip,aws-chunked\r\nX-Amz-Decoded-Content-Length: 5\r\n\r\n"
    wire.send(CHUNKED + head, b"%x\r\n" % len(inner), inner, b"\r\n0\r\n\r\n")
    answer = wire.answer()
    assert answer.body == b"abcde!"
    assert answer.headers["x-trailers"] == "{'x-amz-checksum-crc32': 'AAAAAA=='}"


@pytest.mark.parametrize("body", [b"", b"zz\r\n", b"5\r\nabc", b"3\r\nabc\r\n"])
def test_aws_chunks_that_are_cut_off_are_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        unwrap_aws_chunks(memoryview(bytearray(body)))


def test_an_answer_to_head_has_no_body(wire: Wire) -> None:
    wire.send(GET.replace(b"GET", b"HEAD") + GET)
    assert wire.answer(head=True).headers["content-length"] == "1"
    assert wire.answer().body == b"!"


def test_a_connection_is_closed_if_asked(wire: Wire) -> None:
    wire.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert wire.answer().headers["connection"] == "close"
    assert wire.is_closed()


def test_what_is_not_http_ends_the_connection(server: Server) -> None:
    with connected(server) as first:
        first.send(b"hello\r\n\r\n")
        assert first.is_closed()
    with connected(server) as second:
        second.send(GET)
        assert second.answer().status == 200


@pytest.mark.parametrize("count", [3, 5_000])
def test_parts_leave_end_to_end(count: int) -> None:
    parts = [bytes([number % 256]) * 700 for number in range(count)]
    with Server(lambda _: Response(200, {}, parts)) as server, connected(server) as wire:
        wire.send(GET)
        assert wire.answer().body == b"".join(parts)


def test_a_handler_that_fails_is_a_500_and_a_logged_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_: Request) -> Response:
        raise RuntimeError("the handler is broken")

    with Server(fail) as server, connected(server) as wire:
        for _ in range(2):
            wire.send(GET)
            assert wire.answer().status == 500
    assert "the handler is broken" in caplog.text


def test_a_reset_is_a_reset() -> None:
    def reset(_: Request) -> Response:
        raise Reset

    with Server(reset) as server, connected(server) as wire:
        wire.send(GET)
        with pytest.raises(ConnectionResetError):
            wire.is_closed()


def test_a_stop_waits_for_the_answer_that_is_under_way() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(_: Request) -> Response:
        entered.set()
        leave.wait(10)
        return Response(200, {}, [b"done"])

    server = Server(slow).start()
    with connected(server) as idle, connected(server) as busy:
        busy.send(GET)
        entered.wait(10)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert idle.is_closed()
        leave.set()
        answer = busy.answer()
        stopping.join(10)
        assert (answer.body, answer.headers["connection"]) == (b"done", "close")
        assert not stopping.is_alive()


def test_a_stop_is_quiet(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with connected(server) as wire, caplog.at_level(logging.INFO):
        wire.send(GET)
        wire.answer()
        server.stop()
        assert wire.is_closed()
    assert caplog.records == []
