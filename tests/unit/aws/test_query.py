"""Raw query pages against a server that answers, fails and lies as a test tells it to."""

from __future__ import annotations

import json
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import CredentialRetrievalError

from remit.aws.pace import Pace
from remit.aws.query import PATIENCE, QueryRefused, RawQuery, Throttled
from remit.aws.session import Aws
from remit.errors import ConfigurationError, Interrupted, StoreUnavailable
from remit.stop import Stop
from tests.support.aws import aws_at

REQUEST = {"TableName": "Payments"}
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Answer:
    status: int
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)
    cut_off: int = 0
    """Bytes that are promised and never sent."""


CONNECTION_RESET = Answer(0, b"")


def answer(document: dict[str, Any], status: int = 200) -> Answer:
    body = json.dumps(document).encode()
    return Answer(status, body, {"x-amz-crc32": str(zlib.crc32(body))})


def refusal(code: str, status: int = 400) -> Answer:
    return answer({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"}, status)


def page(*ids: str, last: str | None = None) -> Answer:
    document: dict[str, Any] = {
        "Items": [{"id": {"S": one}} for one in ids],
        "Count": len(ids),
        "ConsumedCapacity": {"TableName": "Payments", "CapacityUnits": 0.5},
    }
    if last:
        document["LastEvaluatedKey"] = {"id": {"S": last}}
    return answer(document)


class Server:
    """Gives the answers in turn, and the last one again and again."""

    def __init__(self, answers: list[Answer]) -> None:
        self.requests: list[tuple[dict[str, Any], dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body go out apart

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((body, dict(self.headers)))
                given = answers.pop(0) if len(answers) > 1 else answers[0]
                if given is CONNECTION_RESET:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    self.connection.close()
                    self.close_connection = True
                    return
                self.send_response(given.status)
                for name, value in given.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(given.content) + given.cut_off))
                self.end_headers()
                self.wfile.write(given.content)
                self.close_connection = bool(given.cut_off)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def start_keys(self) -> list[str | None]:
        """The id after which each request has asked to go on."""
        keys = [body.get("ExclusiveStartKey", {}) for body, _ in self.requests]
        return [key.get("id", {}).get("S") for key in keys]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Waits(Stop):
    """Waits take no time: they are noted, and a clock moves on by them. After a page that failed
    they are as long as they may be."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.longest: list[float] = []
        self.now = 0.0

    def wait(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        self.now += seconds
        return self.requested

    def uniform(self, low: float, high: float) -> float:
        self.longest.append(high)
        return high

    def clock(self) -> float:
        return self.now


def query_of(url: str, waits: Waits, aws: Aws | None = None, **options: Any) -> RawQuery:
    """A query whose waits are those."""
    timed: dict[str, Any] = {"uniform": waits.uniform, "monotonic": waits.clock}
    return RawQuery(aws or aws_at(url), url, waits, **{**timed, **options})


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(*answers: Answer) -> Server:
        server = Server(list(answers))
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def waits() -> Waits:
    return Waits()


def test_pages_follow_the_last_key_to_the_end(serve: Serve, waits: Waits) -> None:
    server = serve(page("a", last="a"), page("b", last="b"), page())

    pages = list(query_of(server.url, waits).pages(REQUEST))

    assert [one.count for one in pages] == [1, 1, 0]
    assert [one.capacity_units for one in pages] == [0.5] * 3
    assert json.loads(pages[0].content)["Items"] == [{"id": {"S": "a"}}]
    assert [one.last_key for one in pages] == [{"id": {"S": "a"}}, {"id": {"S": "b"}}, None]
    assert server.start_keys == [None, "a", "b"]
    assert waits.seconds == []


def test_a_query_goes_on_after_a_key(serve: Serve, waits: Waits) -> None:
    server = serve(page())
    list(query_of(server.url, waits).pages(REQUEST, {"id": {"S": "a"}}))
    assert server.start_keys == ["a"]


def test_a_page_is_asked_for_when_it_is_wanted(serve: Serve, waits: Waits) -> None:
    server = serve(page("a", last="a"), page())
    pages = query_of(server.url, waits).pages(REQUEST)
    next(pages)
    assert len(server.requests) == 1


def test_requests_are_signed_queries(serve: Serve, waits: Waits) -> None:
    server = serve(page())
    list(query_of(server.url, waits).pages(REQUEST))

    body, headers = server.requests[0]
    assert body == {"TableName": "Payments", "ReturnConsumedCapacity": "TOTAL"}
    assert headers["x-amz-target"] == "DynamoDB_20120810.Query"
    assert "AWS4-HMAC-SHA256 Credential=testing/" in headers["authorization"]
    assert "/us-east-1/dynamodb/aws4_request" in headers["authorization"]


NOT_JSON = b"not json"
WHOLE = page("a")


@pytest.mark.parametrize(
    "fault",
    [
        refusal("ProvisionedThroughputExceededException"),
        refusal("ThrottlingException"),
        refusal("InternalServerError", 500),
        Answer(503, b"<html>busy</html>"),
        Answer(200, WHOLE.content, {"x-amz-crc32": "12345"}),
        Answer(200, NOT_JSON, {"x-amz-crc32": str(zlib.crc32(NOT_JSON))}),
        answer({"Items": []}),
        CONNECTION_RESET,
        Answer(200, WHOLE.content[:-10], WHOLE.headers, cut_off=10),
        Answer(200, b"", cut_off=10),
    ],
    ids=[
        "capacity", "throttling", "500", "503 html", "crc", "no json", "no count", "reset",
        "cut off", "head only",
    ],
)  # fmt: skip
def test_a_passing_fault_repeats_its_page_only(serve: Serve, waits: Waits, fault: Answer) -> None:
    server = serve(page("a", last="a"), fault, fault, page("b"))

    pages = list(query_of(server.url, waits).pages(REQUEST))

    assert [json.loads(one.content)["Items"][0]["id"]["S"] for one in pages] == ["a", "b"]
    assert server.start_keys == [None, "a", "a", "a"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (refusal("ThrottlingException"), Throttled),
        (refusal("InternalServerError", 500), StoreUnavailable),
        (CONNECTION_RESET, StoreUnavailable),
        (Answer(200, b"{", cut_off=1), StoreUnavailable),
    ],
    ids=["throttling", "500", "reset", "cut off"],
)
def test_what_does_not_pass_is_an_outage_at_last(
    serve: Serve, waits: Waits, fault: Answer, error: type[StoreUnavailable]
) -> None:
    server = serve(fault)
    with pytest.raises(StoreUnavailable) as raised:
        list(query_of(server.url, waits, patience=timedelta(seconds=1)).pages(REQUEST))
    assert type(raised.value) is error
    assert waits.longest == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert waits.now == pytest.approx(1.5)
    assert len(server.requests) == 5


def test_a_page_is_asked_for_as_long_as_the_patience_lasts(serve: Serve, waits: Waits) -> None:
    server = serve(refusal("ThrottlingException"))
    with pytest.raises(Throttled, match="ThrottlingException"):
        list(query_of(server.url, waits).pages(REQUEST))
    assert max(waits.longest) == 5
    assert PATIENCE.total_seconds() <= waits.now < PATIENCE.total_seconds() + 5


def test_every_page_has_patience_of_its_own(serve: Serve, waits: Waits) -> None:
    slow = refusal("ThrottlingException")
    server = serve(slow, slow, slow, page("a", last="a"), slow, slow, slow, page("b"))
    pages = query_of(server.url, waits, patience=timedelta(seconds=1)).pages(REQUEST)
    assert len(list(pages)) == 2


def test_workers_that_were_throttled_together_do_not_come_back_together(
    serve: Serve, waits: Waits
) -> None:
    asked = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return high / 3

    server = serve(*[refusal("ThrottlingException")] * 2, page())
    list(query_of(server.url, waits, uniform=uniform).pages(REQUEST))
    assert asked == [(0, 0.1), (0, 0.2)]
    assert waits.seconds == pytest.approx([0.1 / 3, 0.2 / 3])


def test_the_next_page_waits_for_what_the_last_one_took(serve: Serve, waits: Waits) -> None:
    server = serve(page("a", last="a"), page("b", last="b"), page())
    pace = Pace(0.25, waits.clock)
    list(query_of(server.url, waits, pace=pace).pages(REQUEST))
    assert waits.now == 4


@pytest.mark.parametrize(
    ("fault", "slower"),
    [(refusal("ThrottlingException"), 1), (refusal("InternalServerError", 500), 0)],
    ids=["throttled", "failed"],
)
def test_only_being_throttled_makes_it_slower(
    serve: Serve, waits: Waits, fault: Answer, slower: int
) -> None:
    class Noted(Pace):
        times = 0

        def throttled(self) -> None:
            self.times += 1

    server = serve(fault, page())
    pace = Noted()
    list(query_of(server.url, waits, pace=pace).pages(REQUEST))
    assert pace.times == slower


def test_nobody_listening_is_an_outage(waits: Waits) -> None:
    query = query_of("http://127.0.0.1:9", waits, patience=timedelta())
    with pytest.raises(StoreUnavailable, match="could not query"):
        list(query.pages(REQUEST))


@pytest.mark.parametrize(
    "fault",
    [
        refusal("ResourceNotFoundException"),
        refusal("AccessDeniedException"),
        refusal("ValidationException"),
        Answer(403, b"<html>a proxy says no</html>"),
        Answer(400, b"[]"),
    ],
    ids=["table", "permission", "query", "html", "list"],
)
def test_a_query_that_is_refused_is_not_repeated(serve: Serve, waits: Waits, fault: Answer) -> None:
    server = serve(fault)
    with pytest.raises(QueryRefused, match=str(fault.status)):
        list(query_of(server.url, waits).pages(REQUEST))
    assert len(server.requests) == 1


def test_a_stop_ends_the_wait_for_a_server_that_is_down(serve: Serve, waits: Waits) -> None:
    server = serve(refusal("ThrottlingException"))
    waits.request()
    with pytest.raises(Interrupted):
        list(query_of(server.url, waits).pages(REQUEST))
    assert len(waits.seconds) == 1


def test_a_stop_ends_the_wait_for_the_budget(serve: Serve, waits: Waits) -> None:
    server = serve(page("a", last="a"), page())
    pages = query_of(server.url, waits, pace=Pace(0.25, waits.clock)).pages(REQUEST)
    next(pages)
    waits.request()
    with pytest.raises(Interrupted):
        next(pages)
    assert len(server.requests) == 1


class _Lost(Exception):
    pass


@pytest.mark.parametrize(
    ("answers", "pace"),
    [
        ([refusal("ThrottlingException")], None),
        ([page("a", last="a")], 0.05),
    ],
    ids=["failed", "budget"],
)
def test_a_check_looks_in_twice_a_second_while_a_page_is_waited_for(
    serve: Serve, waits: Waits, answers: list[Answer], pace: float | None
) -> None:
    looks: list[float] = []

    def check() -> None:
        looks.append(waits.now)
        if waits.now >= 7:
            raise _Lost

    server = serve(*answers)
    query = query_of(server.url, waits, pace=Pace(pace, waits.clock))
    with pytest.raises(_Lost):
        list(query.pages(REQUEST, check=check))
    assert max(after - before for before, after in pairwise(looks)) < 0.51
    assert waits.now < 7.5


def test_a_page_that_is_asked_for_again_at_once_is_checked_before(
    serve: Serve, waits: Waits
) -> None:
    def check() -> None:
        raise _Lost

    server = serve(refusal("ThrottlingException"))
    query = query_of(server.url, waits, uniform=lambda low, high: 0)
    with pytest.raises(_Lost):
        list(query.pages(REQUEST, check=check))
    assert len(server.requests) == 1


@dataclass
class _Session:
    """A botocore session with these credentials."""

    credentials: Any

    def get_config_variable(self, name: str) -> None:
        assert name == "ca_bundle"

    def get_credentials(self) -> Any:
        return self.credentials


def test_without_credentials_nothing_can_be_asked(waits: Waits) -> None:
    with pytest.raises(ConfigurationError, match="credentials"):
        query_of("http://x", waits, Aws(_Session(None), "us-east-1"))


def test_credentials_that_cannot_be_fetched_now_are_waited_for(serve: Serve, waits: Waits) -> None:
    class Refreshed:
        failures = 1

        def get_frozen_credentials(self) -> Any:
            if self.failures:
                self.failures -= 1
                raise CredentialRetrievalError(provider="container", error_msg="no answer")
            return aws_at("http://x").session.get_credentials().get_frozen_credentials()

    server = serve(page())
    aws = Aws(_Session(Refreshed()), "us-east-1")
    assert len(list(query_of(server.url, waits, aws).pages(REQUEST))) == 1
    assert len(waits.seconds) == 1
