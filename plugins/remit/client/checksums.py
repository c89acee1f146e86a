"""Whether a file is what the export says: its checksum, as the bytes come in.

A file that was written in one go has its SHA-256. One that was put together from slices has none
(SHA-256 does not combine): its CRC64NVME is compared if `awscrt` is there, and else the SHA-256 of
each of its segments, from the manifest.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from remit.client.errors import FileDamaged

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class File:
    """A file of an export, as its document has it. What is not known is None."""

    name: str
    bytes: int | None
    sha256: str | None
    crc64nvme: str | None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> File:
        """Read an entry of `files`."""
        sums = document.get("checksum") or {}
        return cls(
            name=document["name"],
            bytes=document.get("bytes"),
            sha256=sums.get("sha256"),
            crc64nvme=sums.get("crc64nvme"),
        )


Segments = Callable[[], Sequence[Mapping[str, Any]]]
"""The segments of a file, from the manifest: `length` and `sha256`, end to end. None: not known."""


class Checksum(Protocol):
    """Takes the bytes of a file in, one piece after the other."""

    def update(self, data: bytes) -> None:
        """The next bytes."""

    def check(self) -> None:
        """All bytes were taken in.

        Raises:
            FileDamaged: they are not those that they should be.
        """


def checksum_of(file: File, segments: Segments) -> Checksum:
    """What a file can be checked by; `segments` is called if its segments are needed."""
    if file.sha256 is not None:
        return Sha256(file.name, file.sha256)
    if file.crc64nvme is not None and find_spec("awscrt") is not None:
        return Crc64Nvme(file.name, file.crc64nvme)
    if known := segments():
        return SegmentSums(file.name, known)
    log.warning("%s: the export has no checksum of it, its size alone is compared", file.name)
    return Unchecked()


class Sha256:
    """SHA-256 of the whole, in hex."""

    def __init__(self, name: str, expected: str) -> None:
        self._name = name
        self._expected = expected
        self._digest = hashlib.sha256()

    def update(self, data: bytes) -> None:
        """The next bytes."""
        self._digest.update(data)

    def check(self) -> None:
        """Raise `FileDamaged` if the digest is another."""
        if (got := self._digest.hexdigest()) != self._expected:
            raise FileDamaged(f"{self._name}: its SHA-256 is {got}, and should be {self._expected}")


class Crc64Nvme:
    """CRC64NVME of the whole, as S3 writes it: base64 of eight big-endian bytes."""

    def __init__(self, name: str, expected: str) -> None:
        from awscrt import checksums  # not every merchant has it

        self._name = name
        self._expected = expected
        self._next: Callable[[bytes, int], int] = checksums.crc64nvme
        self._crc = 0

    def update(self, data: bytes) -> None:
        """The next bytes."""
        self._crc = self._next(data, self._crc)

    def check(self) -> None:
        """Raise `FileDamaged` if it is another."""
        got = base64.b64encode(self._crc.to_bytes(8, "big")).decode()
        if got != self._expected:
            raise FileDamaged(
                f"{self._name}: its CRC64NVME is {got}, and should be {self._expected}"
            )


class Unchecked:
    """For a file of which another service has written down no checksum."""

    def update(self, data: bytes) -> None:
        """The next bytes."""

    def check(self) -> None:
        """There is nothing to compare."""


class SegmentSums:
    """SHA-256 of each of the segments that a file was put together from."""

    def __init__(self, name: str, segments: Sequence[Mapping[str, Any]]) -> None:
        self._name = name
        self._segments = list(segments)
        self._begin(0)

    def _begin(self, number: int) -> None:
        self._number = number
        self._digest = hashlib.sha256()
        self._left: int = self._segments[number]["length"] if self._has(number) else 0

    def _has(self, number: int) -> bool:
        return number < len(self._segments)

    def update(self, data: bytes) -> None:
        """The next bytes. Raises `FileDamaged` as soon as a segment is over and wrong."""
        view = memoryview(data)
        while view:
            if not self._has(self._number):
                raise FileDamaged(f"{self._name} is longer than its segments")
            piece = view[: self._left]
            self._digest.update(piece)
            self._left -= len(piece)
            view = view[len(piece) :]
            if not self._left:
                self._end_segment()

    def check(self) -> None:
        """Raise `FileDamaged` if a segment is not over."""
        while self._has(self._number) and not self._left:
            self._end_segment()
        if self._has(self._number):
            raise FileDamaged(f"{self._name} is shorter than its segments")

    def _end_segment(self) -> None:
        segment = self._segments[self._number]
        if (got := self._digest.hexdigest()) != segment["sha256"]:
            raise FileDamaged(
                f"{self._name}: the SHA-256 of its segment {self._number + 1} is {got}, and should "
                f"be {segment['sha256']}"
            )
        self._begin(self._number + 1)
