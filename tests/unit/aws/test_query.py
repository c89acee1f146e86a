"""Raw query pages against a server that answers, fails and lies as a test tells it to."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from remit.aws.query import QueryRefused, RawQuery
from remit.errors import Interrupted, StoreUnavailable
from remit.stop import Stop
from tests.support.aws import aws_at

Answer = tuple[int, bytes, dict[str, str]]


def answer(document: dict[str, Any], status: int = 200) -> Answer:
    body = json.dumps(document).encode()
    return status, body, {"x-amz-crc32": str(zlib.crc32(body))}


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
    def __init__(self, answers: list[Answer]) -> None:
        self.requests: list[tuple[dict[str, Any], dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(length))
                outer.requests.append((body, dict(self.headers)))
                status, content, headers = answers.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


Serve = Callable[..., tuple[Server, RawQuery]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(*answers: Answer, stop: Stop | None = None) -> tuple[Server, RawQuery]:
        server = Server(list(answers))
        servers.append(server)
        # No wait between attempts: the uniform distribution is replaced by its lower bound.
        query = RawQuery(aws_at(server.url), server.url, stop or Stop(), lambda low, high: low)
        return server, query

    yield start
    for server in servers:
        server.close()


def test_pages_follow_the_last_key_to_the_end(serve: Serve) -> None:
    server, query = serve(page("a", last="a"), page("b", last="b"), page())

    pages = list(query.pages({"TableName": "Payments"}))

    assert [one.count for one in pages] == [1, 1, 0]
    assert [one.capacity_units for one in pages] == [0.5] * 3
    assert json.loads(pages[0].text)["Items"] == [{"id": {"S": "a"}}]
    sent = [body.get("ExclusiveStartKey") for body, _ in server.requests]
    assert sent == [None, {"id": {"S": "a"}}, {"id": {"S": "b"}}]


def test_requests_are_signed_queries(serve: Serve) -> None:
    server, query = serve(page())
    list(query.pages({"TableName": "Payments"}))

    body, headers = server.requests[0]
    assert body == {"TableName": "Payments", "ReturnConsumedCapacity": "TOTAL"}
    assert headers["X-Amz-Target"] == "DynamoDB_20120810.Query"
    assert "AWS4-HMAC-SHA256 Credential=testing/" in headers["Authorization"]
    assert "/us-east-1/dynamodb/aws4_request" in headers["Authorization"]


@pytest.mark.parametrize(
    "fault",
    [
        refusal("ProvisionedThroughputExceededException"),
        refusal("ThrottlingException"),
        refusal("InternalServerError", 500),
        (503, b"<html>busy</html>", {}),
        (200, page("a")[1], {"x-amz-crc32": "12345"}),
        (200, b"not json", {"x-amz-crc32": str(zlib.crc32(b"not json"))}),
        answer({"Items": []}),
    ],
    ids=["capacity", "throttling", "500", "503 html", "crc", "no json", "no count"],
)
def test_a_passing_fault_repeats_its_page_only(serve: Serve, fault: Answer) -> None:
    server, query = serve(page("a", last="a"), fault, fault, page("b"))

    texts = [json.loads(one.text)["Items"][0]["id"]["S"] for one in query.pages({"T": "x"})]

    assert texts == ["a", "b"]
    starts = [
        body.get("ExclusiveStartKey", {}).get("id", {}).get("S") for body, _ in server.requests
    ]
    assert starts == [None, "a", "a", "a"]


def test_a_fault_that_stays_is_an_outage(serve: Serve) -> None:
    server, query = serve(*[refusal("ThrottlingException")] * 8)
    with pytest.raises(StoreUnavailable, match="ThrottlingException"):
        list(query.pages({"TableName": "Payments"}))
    assert len(server.requests) == 8


def test_nobody_listening_is_an_outage() -> None:
    query = RawQuery(aws_at("http://x"), "http://127.0.0.1:9", Stop(), lambda low, high: low)
    with pytest.raises(StoreUnavailable, match="could not query"):
        list(query.pages({"TableName": "Payments"}))


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
def test_a_query_that_is_refused_is_not_repeated(serve: Serve, code: str) -> None:
    server, query = serve(refusal(code))
    with pytest.raises(QueryRefused, match=code):
        list(query.pages({"TableName": "Payments"}))
    assert len(server.requests) == 1


def test_a_stop_ends_the_wait_for_a_server_that_is_down(serve: Serve) -> None:
    stop = Stop()
    stop.request()
    _, query = serve(refusal("ThrottlingException"), stop=stop)
    with pytest.raises(Interrupted):
        list(query.pages({"TableName": "Payments"}))
