from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from benchmarks.standins.http import Reset, Response, Server
from benchmarks.standins.reading import Request
from remit.errors import TriggerUnavailable
from remit.triggers import transport as module
from remit.triggers.transport import MOST_BYTES, PAUSE_SECONDS, REST_SECONDS, Answer, Transport
from tests.support.fake_airflow import FakeAirflow, said
from tests.support.ports import free_port


def to(url: str, seconds: Any) -> Transport:
    return Transport(url, monotonic=seconds, pause=seconds.pause)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_tried_once_more(
    transport: Transport, fake: FakeAirflow, seconds: Any, status: int
) -> None:
    fake.instead = [said(status, detail="locked"), said(200, fine=True)]
    assert transport.call("GET", "/x").document() == {"fine": True}
    assert seconds.pauses == [PAUSE_SECONDS]


@pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 404, 409, 422])
def test_every_other_answer_is_the_callers(
    transport: Transport, fake: FakeAirflow, status: int
) -> None:
    fake.instead = [said(status, detail="so it is")]
    assert transport.call("GET", "/x").status == status
    assert fake.calls() == ["GET /x"]


def test_what_does_not_pass_after_all_is_told_and_airflow_is_asked_again_at_once(
    transport: Transport, fake: FakeAirflow
) -> None:
    fake.instead = [said(500, detail="oh"), said(500, detail="oh no"), said(200)]
    with pytest.raises(TriggerUnavailable, match=r"Airflow fails \(GET /x: 500 oh no\)"):
        transport.call("GET", "/x")
    assert transport.call("GET", "/x").ok


def test_a_connection_that_breaks_is_made_anew(seconds: Any) -> None:
    answers: list[Callable[[], Response]] = [reset, lambda: said(200, there=1)]
    with Server(lambda _: answers.pop(0)()) as server:
        assert to(server.url, seconds).call("GET", "/x").ok
    assert answers == []


def reset() -> Response:
    raise Reset


def test_out_of_reach_it_is_left_alone_for_a_while(seconds: Any) -> None:
    port = free_port()
    transport = to(f"http://127.0.0.1:{port}", seconds)
    with pytest.raises(TriggerUnavailable) as refused:
        transport.call("GET", "/x")
    assert str(refused.value) == (
        f"Airflow is out of reach at http://127.0.0.1:{port}: [Errno 111] Connection refused"
    )
    with Server(lambda _: said(200), port=port) as server:
        assert server.port == port
        with pytest.raises(TriggerUnavailable, match="out of reach"):
            transport.call("GET", "/x")
        seconds.now += REST_SECONDS
        assert transport.call("GET", "/x").ok


def test_one_that_never_answers_is_given_up_and_not_tried_again(
    seconds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(TriggerUnavailable, match="does not answer in time"):
            to(f"http://127.0.0.1:{port}", seconds).call("POST", "/x", {})
    assert seconds.pauses == []


def test_an_answer_that_drips_is_given_up(seconds: Any) -> None:
    def drip(_: Request) -> Response:
        seconds.now += module.CALL_SECONDS
        return said(200)

    with (
        Server(drip) as server,
        pytest.raises(TriggerUnavailable, match="does not answer in time"),
    ):
        to(server.url, seconds).call("GET", "/x")


def test_an_answer_without_end_is_given_up(seconds: Any) -> None:
    huge = Response(200, {}, [bytes(MOST_BYTES + 1)])
    with (
        Server(lambda _: huge) as server,
        pytest.raises(TriggerUnavailable, match=f"more than {MOST_BYTES} bytes"),
    ):
        to(server.url, seconds).call("GET", "/x")


def test_a_redirect_is_not_followed(transport: Transport, fake: FakeAirflow, seconds: Any) -> None:
    fake.instead = [Response(307, {"Location": "http://127.0.0.1:1/elsewhere"})]
    with pytest.raises(TriggerUnavailable, match=r"redirect \(307\); REMIT_AIRFLOW_URL"):
        transport.call("GET", "/x", token="secret")
    assert len(fake.seen) == 1


def test_the_path_of_the_base_url_comes_first(seconds: Any) -> None:
    seen: list[str] = []

    def note(request: Request) -> Response:
        seen.append(request.target)
        return said(200)

    with Server(note) as server:
        to(f"{server.url}/airflow/", seconds).call("GET", "/api/v2/version")
    assert seen == ["/airflow/api/v2/version"]


def test_neither_a_netrc_nor_a_proxy_of_the_environment_comes_in_between(
    transport: Transport,
    fake: FakeAirflow,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    fake.instead = [said(200)]
    transport.call("GET", "/x", token="mine")
    assert fake.seen[0].token == "mine"


def test_no_more_than_a_few_calls_are_under_way_at_once(seconds: Any) -> None:
    together = threading.Barrier(module.AT_ONCE)
    under_way: list[int] = []
    lock = threading.Lock()

    def count(_: Request) -> Response:
        with lock:
            under_way.append(1)
            most.append(len(under_way))
        together.wait(5)  # that many are
        with lock:
            under_way.pop()
        return said(200)

    most: list[int] = []
    with Server(count) as server, ThreadPoolExecutor(16) as threads:
        transport = to(server.url, seconds)
        answers = list(threads.map(lambda _: transport.call("GET", "/x"), range(16)))
    assert all(answer.ok for answer in answers)
    assert max(most) == module.AT_ONCE


def test_connections_are_kept(seconds: Any) -> None:
    with Server(lambda _: said(200)) as server:
        transport = to(server.url, seconds)
        for _ in range(5):
            transport.call("GET", "/x")
        assert len(server._connections) == 1


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """An Airflow behind TLS, and the file of the authority that vouches for it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"https://localhost:{server.server_port}", path
        server.shutdown()
        thread.join()


def test_the_authority_that_is_named_vouches_for_airflow(
    tls: tuple[str, Path], seconds: Any
) -> None:
    url, path = tls
    transport = Transport(url, ca_file=str(path), monotonic=seconds, pause=seconds.pause)
    assert transport.call("GET", "/x").document() == {}


def test_one_that_nobody_vouches_for_is_not_told_the_token(
    tls: tuple[str, Path], seconds: Any
) -> None:
    with pytest.raises(TriggerUnavailable, match="certificate verify failed"):
        to(tls[0], seconds).call("GET", "/x", token="secret")
    assert seconds.pauses == [], "trying again would not help"


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", b"", b"\xff"])
def test_what_is_no_json_object_is_not_airflow(body: bytes) -> None:
    with pytest.raises(TriggerUnavailable, match="not Airflow"):
        Answer(200, body).document()


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"detail": "a\\nb"}', "400 a b"),
        (b'{"detail": [{"loc": 1}]}', "400 [{'loc': 1}]"),
        (b"<html>", "400"),
        (b"[]", "400"),
        (b'{"detail": "' + b"x" * 1000 + b'"}', "400 " + "x" * 300),
    ],
)
def test_the_reason_is_one_short_line(body: bytes, detail: str) -> None:
    assert Answer(400, body).detail() == detail


def test_the_body_of_an_answer_is_not_shown() -> None:
    assert "secret" not in repr(Answer(201, b'{"access_token": "secret"}'))
