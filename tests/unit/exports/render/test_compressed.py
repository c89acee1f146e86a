from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable, Mapping

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.exports.render import ENCODINGS, CompressedSink
from remit.exports.request import COMPRESSIONS
from tests.unit.exports.building import frame, rendered, row


def from_zstd(content: bytes) -> bytes:
    """All frames of a file, one after the other."""
    reader = zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True)
    return bytes(reader.read())


READERS: Mapping[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "zstd": from_zstd}
MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


class Sink(io.BytesIO):
    """Notes whether it was closed, which is not the compressor's to do."""

    def close(self) -> None:
        raise AssertionError("closed")


def compressed(compression: str, *pieces: bytes) -> bytes:
    sink = Sink()
    stream = CompressedSink(sink, compression)
    for piece in pieces:
        assert stream.write(piece) == len(piece)
    stream.finish()
    return sink.getvalue()


def test_every_compression_that_can_be_asked_for_has_an_encoding_and_a_reader() -> None:
    assert {"none", *ENCODINGS} == set(COMPRESSIONS)
    assert set(ENCODINGS) == set(READERS)


@pytest.mark.parametrize("compression", ENCODINGS)
@settings(max_examples=25, deadline=None)
@given(slices=st.lists(st.lists(st.binary(max_size=200), max_size=4), max_size=4))
def test_slices_end_to_end_decompress_to_the_whole(
    compression: str, slices: list[list[bytes]]
) -> None:
    content = b"".join(compressed(compression, *pieces) for pieces in slices)
    whole = b"".join(piece for pieces in slices for piece in pieces)
    assert READERS[compression](content) == whole


@pytest.mark.parametrize("compression", ENCODINGS)
def test_a_slice_is_one_member_however_much_is_written(compression: str) -> None:
    pieces = [os.urandom(300_000) for _ in range(5)]
    content = compressed(compression, *pieces)
    if compression == "gzip":
        one = zlib.decompressobj(wbits=31)
    else:
        one = zstandard.ZstdDecompressor().decompressobj(read_across_frames=False)
    assert one.decompress(content) == b"".join(pieces)
    assert one.unused_data == b""


@pytest.mark.parametrize("compression", ENCODINGS)
def test_nothing_written_is_a_valid_empty_member(compression: str) -> None:
    content = compressed(compression)
    assert content.startswith(MAGIC[compression])
    assert READERS[compression](content) == b""


@pytest.mark.parametrize("compression", ENCODINGS)
def test_it_does_compress(compression: str) -> None:
    assert len(compressed(compression, b"order 1\r\n" * 100_000)) < 20_000


@pytest.mark.parametrize("compression", ENCODINGS)
def test_the_same_bytes_compress_to_the_same(compression: str) -> None:
    """No time, no file name: an export that is done again has the same checksum."""
    assert compressed(compression, b"a" * 99) == compressed(compression, b"a" * 99)


@pytest.mark.parametrize("compression", ENCODINGS)
def test_what_is_written_may_be_any_buffer(compression: str) -> None:
    sink = Sink()
    stream = CompressedSink(sink, compression)
    for piece in (b"ab", bytearray(b"cd"), memoryview(b"efgh")[::1]):
        stream.write(piece)
    stream.finish()
    assert READERS[compression](sink.getvalue()) == b"abcdefgh"


@pytest.mark.parametrize("compression", ENCODINGS)
@pytest.mark.parametrize("format", ["csv", "json"])
def test_an_empty_result_is_a_valid_file_with_its_head(compression: str, format: str) -> None:
    whole = rendered(format)
    slices = [compressed(compression, whole), compressed(compression)]
    assert READERS[compression](b"".join(slices)) == whole


@pytest.mark.parametrize("compression", ENCODINGS)
@pytest.mark.parametrize("format", ["csv", "json"])
def test_slices_that_were_rendered_and_compressed_apart_are_the_file(
    compression: str, format: str
) -> None:
    first = rendered(format, frame([row(name="a")]))
    second = rendered(format, frame([row(name="b")]), first=False)
    content = compressed(compression, first) + compressed(compression, second)
    assert READERS[compression](content) == rendered(format, frame([row(name="a"), row(name="b")]))
