"""Compression of a text format as it is written: one gzip member or one zstd frame.

Slices that were compressed apart and laid end to end are again a gzip or zstd file: both formats
allow several members (RFC 1952, section 2.2) or frames (RFC 8878, section 3.1) one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from remit.exports.render.sink import Sink


@dataclass(frozen=True)
class Encoding:
    """A compression: what it adds to the file's name, and its media type."""

    extension: str
    content_type: str


ENCODINGS: Mapping[str, Encoding] = MappingProxyType(
    {
        "gzip": Encoding("gz", "application/gzip"),
        "zstd": Encoding("zst", "application/zstd"),
    }
)
"""Compression to how its files are called; `none` is none."""


class CompressedSink:
    """Compresses what is written to it into another sink."""

    def __init__(self, sink: Sink, compression: str) -> None:
        self._stream: Any = pa.CompressedOutputStream(
            pa.PythonFile(_Unclosed(sink), mode="w"), compression
        )
        self.closed = False

    def write(self, data: Any, /) -> int:
        """Take bytes."""
        return int(self._stream.write(data) or len(data))

    def flush(self) -> None:
        """Nothing that a renderer depends on."""

    def close(self) -> None:
        """End of writing; not a commit."""

    def finish(self) -> None:
        """Write the end of the member or frame."""
        self._stream.close()


class _Unclosed:
    """A sink that outlives the stream which closes it."""

    closed = False

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, data: Any, /) -> int:
        return self._sink.write(data)

    def flush(self) -> None:
        self._sink.flush()

    def close(self) -> None:
        self.closed = True
