"""Checksums of objects and parts: computed, compared, combined.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from awscrt import checksums

from benchmarks.standins.http import Part
from benchmarks.standins.s3.errors import S3Error

HEADER = "x-amz-checksum-"
FULL_OBJECT = "FULL_OBJECT"
COMPOSITE = "COMPOSITE"
CRC64NVME = "CRC64NVME"
_NOT_ALGORITHMS = frozenset({"algorithm", "mode", "type"})


@dataclass(frozen=True)
class Algorithm:
    """A checksum: its digest over parts, end to end, and how two digests combine, if they do."""

    name: str
    digest: Callable[[Iterable[Part]], bytes]
    combine: Callable[[int, int, int], int] | None = None
    """From the value of the first, of the second, and the length of the second."""

    @property
    def header(self) -> str:
        """The header (or trailer) that carries it."""
        return HEADER + self.name.lower()

    @property
    def element(self) -> str:
        """The XML element that carries it."""
        return f"Checksum{self.name}"


def _crc(compute: Callable[[Any, int], int], length: int) -> Callable[[Iterable[Part]], bytes]:
    def digest(parts: Iterable[Part]) -> bytes:
        value = 0
        for part in parts:
            value = compute(part, value)
        return value.to_bytes(length, "big")

    return digest


def _hash(name: str) -> Callable[[Iterable[Part]], bytes]:
    def digest(parts: Iterable[Part]) -> bytes:
        state = hashlib.new(name)
        for part in parts:
            state.update(part)
        return state.digest()

    return digest


ALGORITHMS = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm(CRC64NVME, _crc(checksums.crc64nvme, 8), checksums.combine_crc64nvme),
        Algorithm("CRC32", _crc(checksums.crc32, 4), checksums.combine_crc32),
        Algorithm("CRC32C", _crc(checksums.crc32c, 4), checksums.combine_crc32c),
        Algorithm("SHA1", _hash("sha1")),
        Algorithm("SHA256", _hash("sha256")),
    )
}


def encoded(digest: bytes) -> str:
    """A digest as S3 writes it."""
    return base64.b64encode(digest).decode()


def algorithm_named(name: str) -> Algorithm:
    """The algorithm.

    Raises:
        S3Error: InvalidRequest, if there is none.
    """
    try:
        return ALGORITHMS[name.upper()]
    except KeyError:
        raise S3Error("InvalidRequest", f"Checksum algorithm {name} is not known") from None


def claimed(fields: Mapping[str, str]) -> dict[str, str]:
    """The checksums that headers and trailers claim, by algorithm."""
    return {
        algorithm_named(name.removeprefix(HEADER)).name: value
        for name, value in fields.items()
        if name.startswith(HEADER) and name.removeprefix(HEADER) not in _NOT_ALGORITHMS
    }


def verified(body: memoryview, crc64nvme: int, claims: Mapping[str, str]) -> dict[str, str]:
    """The checksums to keep of what was uploaded: those claimed, or its CRC64NVME.

    Raises:
        S3Error: BadDigest, if one is not that of the body.
    """
    own = encoded(crc64nvme.to_bytes(8, "big"))
    for name, claim in claims.items():
        digest = own if name == CRC64NVME else encoded(ALGORITHMS[name].digest([body]))
        if digest != claim:
            raise bad_digest(name)
    return dict(claims) or {CRC64NVME: own}


def bad_digest(name: str) -> S3Error:
    """What an upload with a wrong checksum is answered with."""
    return S3Error("BadDigest", f"The {name} you specified did not match the calculated checksum.")


def full_object(algorithm: Algorithm, parts: Iterable[tuple[str, int]]) -> str:
    """The checksum of the whole from those of its parts and their lengths.

    Raises:
        S3Error: InvalidRequest, if digests of this kind do not combine.
    """
    if algorithm.combine is None:
        raise S3Error("InvalidRequest", f"{algorithm.name} has no checksum of type FULL_OBJECT")
    value, width = 0, 0
    for text, length in parts:
        digest = base64.b64decode(text)
        width = len(digest)
        value = algorithm.combine(value, int.from_bytes(digest, "big"), length)
    return encoded(value.to_bytes(width, "big"))


def composite(algorithm: Algorithm, parts: Iterable[str]) -> str:
    """The checksum of the parts' checksums, and how many they are."""
    digests = [base64.b64decode(text) for text in parts]
    return f"{encoded(algorithm.digest(digests))}-{len(digests)}"
