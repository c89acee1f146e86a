"""Bytes of objects and parts: kept, or counted and forgotten.

A benchmark that writes gigabytes wants them received and checksummed, not kept. Of what is counted
its first 5 MiB stay, so that small objects are whole, and so that objects can be composed: the
CRC64NVME of a tail follows from those of the whole and of what is before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

from awscrt import checksums

from benchmarks.standins.s3.errors import S3Error

HEAD = 5 * 1024**2


class Content(Protocol):
    """Bytes by number, with their CRC64NVME."""

    @property
    def size(self) -> int:
        """How many bytes."""

    @property
    def crc64nvme(self) -> int:
        """Of all of them."""

    def read(self, start: int, end: int) -> list[memoryview]:
        """The bytes from `start` (inclusive) to `end` (exclusive)."""

    def cut(self, start: int, end: int) -> Content:
        """The same range as a content of its own."""


class Storage(Protocol):
    """What becomes of an upload's bytes."""

    def take(self, data: memoryview, crc64nvme: int, *, first: bool) -> Content:
        """An upload's content; `data` is valid only now. `first`: an object begins with it."""

    def join(self, contents: Sequence[Content]) -> Content:
        """One content from several, end to end."""


def etag(content: Content) -> str:
    """An entity tag: as with SSE-KMS not the MD5, which would cost more than all the rest."""
    return f'"{content.crc64nvme:016x}{content.size:016x}"'


def _combined(contents: Sequence[Content]) -> int:
    def append(crc: int, content: Content) -> int:
        combined: int = checksums.combine_crc64nvme(crc, content.crc64nvme, content.size)
        return combined

    return reduce(append, contents, 0)


def _crc_of(parts: Sequence[memoryview]) -> int:
    crc = 0
    for part in parts:
        crc = checksums.crc64nvme(part, crc)
    return crc


@dataclass(frozen=True)
class Kept:
    """All bytes, in the pieces in which they came."""

    pieces: tuple[memoryview, ...]
    size: int
    crc64nvme: int

    def read(self, start: int, end: int) -> list[memoryview]:
        """The bytes of the range, as views."""
        found, at = [], 0
        for piece in self.pieces:
            low, high = max(start - at, 0), min(end - at, len(piece))
            if low < high:
                found.append(piece[low:high])
            at += len(piece)
        return found

    def cut(self, start: int, end: int) -> Kept:
        """The range; its bytes are shared."""
        if (start, end) == (0, self.size):
            return self
        pieces = self.read(start, end)
        return Kept(tuple(pieces), end - start, _crc_of(pieces))


class Keeping:
    """Keeps all bytes."""

    def take(self, data: memoryview, crc64nvme: int, *, first: bool) -> Kept:  # noqa: ARG002
        """A copy of the data."""
        return Kept((memoryview(bytes(data)),), len(data), crc64nvme)

    def join(self, contents: Sequence[Content]) -> Kept:
        """Their pieces, one after the other."""
        pieces = [piece for content in contents for piece in content.read(0, content.size)]
        return Kept(tuple(pieces), sum(c.size for c in contents), _combined(contents))


@dataclass(frozen=True)
class Counted:
    """A number of bytes; `head` has the first of them."""

    head: memoryview
    size: int
    crc64nvme: int

    def read(self, start: int, end: int) -> list[memoryview]:
        """The bytes of the range, if they are among the first.

        Raises:
            S3Error: NotImplemented, if they were not kept.
        """
        if end > len(self.head):
            raise S3Error("NotImplemented", "Bodies are counted here, and not kept")
        return [self.head[start:end]]

    def cut(self, start: int, end: int) -> Counted:
        """The range, if it is one whose checksum can be known.

        Raises:
            S3Error: NotImplemented, if it cannot.
        """
        if (start, end) == (0, self.size):
            return self
        if end == self.size and start <= len(self.head):
            before: int = checksums.crc64nvme(self.head[:start])
            shifted: int = checksums.combine_crc64nvme(before, 0, end - start)
            return Counted(self.head[start:], end - start, self.crc64nvme ^ shifted)
        pieces = self.read(start, end)
        return Counted(self.head[start:end], end - start, _crc_of(pieces))


class Counting:
    """Counts bytes."""

    def take(self, data: memoryview, crc64nvme: int, *, first: bool) -> Counted:
        """Only the size, the checksum, and what an object begins with."""
        head = memoryview(bytes(data[:HEAD])) if first or len(data) < HEAD else memoryview(b"")
        return Counted(head, len(data), crc64nvme)

    def join(self, contents: Sequence[Content]) -> Counted:
        """Their sizes and checksums together."""
        head = bytearray()
        for content in contents:
            known = content.head if isinstance(content, Counted) else memoryview(b"")
            head += known[: HEAD - len(head)]
            if len(known) < content.size:
                break
        size = sum(content.size for content in contents)
        return Counted(memoryview(bytes(head)), size, _combined(contents))
