"""Parts against an S3 that refuses them as a test tells it to, through the client, over HTTP."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.retries.standard import ExponentialBackoff

from remit.aws.multipart import part_size
from remit.aws.objects import ObjectRefused, ObjectWriter, StoredObject, Target, UploadGone
from remit.aws.target import crc64, encode_crc64
from remit.errors import StoreUnavailable
from tests.support.aws import aws_at

MIB = 1024**2
SIZE = 5 * part_size(0) // 2  # three parts
KEY = "exports/file.csv"
XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

SLOW_DOWN = (503, "SlowDown")
DENIED = (403, "AccessDenied")
DAMAGED = (400, "BadDigest")
GONE = (404, "NoSuchUpload")
CUT = (0, "")
"""No answer at all: the connection is closed."""

Fault = tuple[int, str]


class Handler(BaseHTTPRequestHandler):
    """What a multipart upload asks of S3."""

    protocol_version = "HTTP/1.1"
    stub: StubS3

    def do_POST(self) -> None:
        query = self.read()
        if "uploads" in query:
            self.answer(200, f"<R {XMLNS}><UploadId>upload-1</UploadId></R>")
        elif not self.failed("complete"):
            numbers = [int(n) for n in re.findall(rb"<PartNumber>(\d+)<", self.body)]
            whole = b"".join(self.stub.parts[n] for n in numbers)
            if self.is_whole(whole):
                self.stub.visible[urlsplit(self.path).path] = whole
                self.answer(200, f"<R {XMLNS}><ETag>e</ETag></R>")

    def do_PUT(self) -> None:
        number = int(self.read()["partNumber"][0])
        if not self.failed(f"part {number}") and self.is_whole(self.body):
            self.stub.parts[number] = self.body
            self.answer(200, "", ETag=f'"{number}"')

    def do_DELETE(self) -> None:
        self.read()
        self.stub.aborted = True
        self.answer(204, "")

    def do_HEAD(self) -> None:
        self.read()
        self.answer(404, "")

    def read(self) -> dict[str, list[str]]:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    def failed(self, step: str) -> bool:
        self.stub.attempts.append(step)
        faults = self.stub.faults.get(step)
        if not faults:
            return False
        self.refuse(*faults.pop(0))
        return True

    def is_whole(self, content: bytes) -> bool:
        if self.headers["x-amz-checksum-crc64nvme"] == encode_crc64(crc64(content)):
            return True
        self.refuse(*DAMAGED)
        return False

    def refuse(self, status: int, code: str) -> None:
        if status:
            self.answer(status, f"<Error><Code>{code}</Code><Message>No.</Message></Error>")
        else:
            self.close_connection = True

    def answer(self, status: int, text: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


class StubS3:
    """Keeps parts in memory; answers the next fault that is set for a part or the completion."""

    def __init__(self) -> None:
        self.faults: dict[str, list[Fault]] = {}
        self.parts: dict[int, bytes] = {}
        self.attempts: list[str] = []
        self.visible: dict[str, bytes] = {}
        self.aborted = False
        handler = type("StubHandler", (Handler,), {"stub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        serve = {"poll_interval": 0.01}
        threading.Thread(target=self._server.serve_forever, kwargs=serve, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubS3]:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0)
    stub = StubS3()
    yield stub
    stub.close()


def write(stub: StubS3) -> StoredObject:
    target = Target("exports", KEY, "text/csv")
    with ObjectWriter(aws_at(stub.url).client("s3"), target) as sink:
        for _ in range(4):
            sink.write(bytes(SIZE // 4))
        return sink.commit()


@pytest.mark.parametrize("step", ["part 1", "part 2", "part 3", "complete"])
@pytest.mark.parametrize("fault", [SLOW_DOWN, (500, "InternalError"), CUT], ids=str)
def test_what_may_pass_is_tried_again_and_nothing_else_is(
    stub: StubS3, step: str, fault: Fault
) -> None:
    stub.faults[step] = [fault, fault]
    stored = write(stub)
    assert stub.attempts.count(step) == 3
    assert len(stub.attempts) == 6, "every other step went once"
    assert stub.visible == {f"/exports/{KEY}": bytes(SIZE)}
    assert stored.crc64nvme == crc64(bytes(SIZE))


def test_a_part_that_was_damaged_on_its_way_is_sent_again(stub: StubS3) -> None:
    stub.faults["part 2"] = [DAMAGED]
    write(stub)
    assert stub.attempts.count("part 2") == 2
    assert stub.visible == {f"/exports/{KEY}": bytes(SIZE)}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (SLOW_DOWN, StoreUnavailable),
        (CUT, StoreUnavailable),
        (DAMAGED, StoreUnavailable),
        (DENIED, ObjectRefused),
        (GONE, UploadGone),
    ],
    ids=str,
)
@pytest.mark.parametrize("step", ["part 1", "part 3", "complete"])
def test_what_stays_refused_is_a_clear_error_and_nothing_is_published(
    stub: StubS3, step: str, fault: Fault, kind: type[Exception]
) -> None:
    stub.faults[step] = [fault] * 6
    with pytest.raises(kind, match=re.escape(KEY)):
        write(stub)
    assert stub.visible == {}
    assert stub.aborted
