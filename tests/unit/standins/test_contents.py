from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from awscrt import checksums

from benchmarks.standins.http import Server
from benchmarks.standins.s3.api import FIGURES_PATH, S3
from benchmarks.standins.s3.contents import HEAD, Content, Counting, Keeping, Storage
from benchmarks.standins.s3.errors import S3Error
from tests.unit.standins.raw import Raw, Wire, connected

BOTH = pytest.mark.parametrize("storage", [Keeping(), Counting()], ids=["keeping", "counting"])


def take(storage: Storage, data: bytes, *, first: bool = True) -> Content:
    return storage.take(memoryview(data), checksums.crc64nvme(data), first=first)


def pattern(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@BOTH
def test_the_checksum_of_a_whole_is_that_of_its_parts(storage: Storage) -> None:
    parts = [pattern(HEAD + 7), b"", pattern(3)]
    whole = storage.join([take(storage, part, first=n == 0) for n, part in enumerate(parts)])
    assert whole.size == HEAD + 10
    assert whole.crc64nvme == checksums.crc64nvme(b"".join(parts))


@BOTH
@pytest.mark.parametrize(
    ("start", "end"), [(0, HEAD + 99), (0, 10), (17, 4711), (100, HEAD + 99), (HEAD, HEAD + 99)]
)
def test_a_range_of_a_content_has_its_own_checksum(storage: Storage, start: int, end: int) -> None:
    data = pattern(HEAD + 99)
    cut = take(storage, data).cut(start, end)
    assert (cut.size, cut.crc64nvme) == (end - start, checksums.crc64nvme(data[start:end]))


def test_what_is_counted_is_not_there_beyond_its_head() -> None:
    data = pattern(HEAD + 99)
    content = take(Counting(), data)
    assert b"".join(content.read(5, 50)) == data[5:50]
    for out_of_reach in (lambda: content.read(0, HEAD + 1), lambda: content.cut(1, HEAD + 1)):
        with pytest.raises(S3Error, match="counted"):
            out_of_reach()


def test_small_parts_that_are_counted_are_there() -> None:
    storage = Counting()
    whole = storage.join([take(storage, part, first=False) for part in (b"ab", b"cd")])
    assert b"".join(whole.read(0, 4)) == b"abcd"


def test_a_range_goes_over_the_pieces_of_what_is_kept() -> None:
    storage = Keeping()
    whole = storage.join([take(storage, part) for part in (b"abc", b"", b"def", b"ghi")])
    assert b"".join(whole.read(2, 8)) == b"cdefgh"


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Server(S3(Counting()).handle) as server, connected(server) as connection:
        connection.send(b"PUT /bucket HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        assert connection.answer().status == 200
        yield connection


def put(wire: Wire, checksum: str) -> Raw:
    """Put `abcdef` as botocore does over TLS: in chunks, the checksum behind."""
    inner = b"4\r\nabcd\r\n2\r\nef\r\n0\r\nx-amz-checksum-crc64nvme:%s\r\n\r\n" % checksum.encode()
    wire.send(
        b"PUT /bucket/key HTTP/1.1\r\nContent-Encoding: aws-chunked\r\n"
        b"X-Amz-Trailer: x-amz-checksum-crc64nvme\r\nX-Amz-Decoded-Content-Length: 6\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner),
    )
    return wire.answer()


def test_a_checksum_in_a_trailer_is_compared(wire: Wire) -> None:
    right = base64.b64encode(checksums.crc64nvme(b"abcdef").to_bytes(8, "big")).decode()
    wrong = put(wire, "AAAAAAAAAAA=")
    assert (wrong.status, b"<Code>BadDigest</Code>" in wrong.body) == (400, True)
    answer = put(wire, right)
    assert (answer.status, answer.headers["x-amz-checksum-crc64nvme"]) == (200, right)
    wire.send(b"GET /bucket/key HTTP/1.1\r\n\r\n")
    got = wire.answer()
    assert got.body == b"abcdef"
    assert "content-encoding" not in got.headers


def test_the_figures_are_to_be_had(wire: Wire) -> None:
    put(wire, "AAAAAAAAAAA=")
    wire.send(f"GET {FIGURES_PATH} HTTP/1.1\r\n\r\n".encode())
    assert json.loads(wire.answer().body) == {"put_objects": 1, "upload_parts": 0, "bytes": 6}


def test_what_the_stand_in_does_not_have_is_said(wire: Wire) -> None:
    wire.send(b"GET /bucket?list-type=2&uploads HTTP/1.1\r\n\r\n")
    answer = wire.answer()
    assert (answer.status, b"<Code>NotImplemented</Code>" in answer.body) == (501, True)
