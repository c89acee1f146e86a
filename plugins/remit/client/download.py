"""One file of an export, from its link to the disk.

It is written beside its target under another name, and takes the target's place when it is whole
and its checksum right: there is never half a file, and never a wrong one. A download that breaks
goes on where it was; a link that has ended is asked for again.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Protocol

import requests
from urllib3.exceptions import HTTPError

from remit.client.answers import place, reason_of
from remit.client.checksums import Checksum, File
from remit.client.errors import DownloadFailed, FileDamaged, NotReached
from remit.client.retrying import Tries
from remit.client.transport import Transport

CHUNK_BYTES = 1024 * 1024


class Source(Protocol):
    """Where a file comes from."""

    def file(self) -> File:
        """The file as it is now: another one, if the export was made anew."""

    def link(self) -> str:
        """A fresh link to it."""

    def checksum(self, file: File) -> Checksum:
        """What to check it by."""


Told = Callable[[int], None]
"""Is told how many bytes are there."""

_ERROR_BYTES = 4096
_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")
_RANGE = re.compile(r"bytes (\d+)-")

_LINK_IS_OVER = frozenset({400, 403, 404})
"""Statuses of S3 for a link that has ended (`AccessDenied`, `ExpiredToken`), or whose object is
gone, as of an export that was made anew."""

_FROM_THE_START = frozenset({412, 416})
"""Statuses of S3 for an object that is not the one that the first bytes are of."""


class _Broken(Exception):
    """It came to nothing, this time."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class _LinkIsOver(Exception):
    """The link opens nothing any more."""


class Download:
    """One download. `file` is what the source has, as far as it is known already."""

    def __init__(
        self, transport: Transport, source: Source, file: File, told: Told = lambda _: None
    ) -> None:
        self._transport = transport
        self._source = source
        self._file = file
        self._told = told
        self._link: str | None = None
        self._tries = Tries(transport.retries, transport.timing)

    def to(self, target: Path) -> None:
        """Bring the file there, in the place of what is there.

        Raises:
            DownloadFailed: it could not be had, or is damaged; the target is as it was.
            OSError: it could not be written.
            ClientError: the hook gives no link.
        """
        with _beside(target) as temporary:
            with temporary.open("xb") as sink:
                self.into(sink)
                sink.flush()
                os.fsync(sink.fileno())
            temporary.replace(target)

    def into(self, sink: BinaryIO) -> None:
        """Write the file there, from the beginning; what is there is removed.

        Raises:
            DownloadFailed, OSError, ClientError: as of `to`.
        """
        self._begin(sink)
        refused_at = -1
        while not self._is_whole():
            try:
                self._stream(sink)
            except _Broken as broken:
                if not self._tries.again(broken.retry_after):
                    raise DownloadFailed(f"{self._file.name}: {broken}") from None
            except _LinkIsOver as over:
                if refused_at == self._received:  # the fresh one brought nothing either
                    raise DownloadFailed(f"{self._file.name}: {over}") from None
                refused_at, self._link = self._received, None
                self._look_again(sink)
        self._checksum.check()

    def _begin(self, sink: BinaryIO) -> None:
        sink.seek(0)
        sink.truncate()
        self._checksum = self._source.checksum(self._file)
        self._received = 0
        self._etag: str | None = None
        self._ended = False

    def _is_whole(self) -> bool:
        if self._file.bytes is None:  # nobody has written it down
            return self._ended
        return self._received == self._file.bytes

    def _look_again(self, sink: BinaryIO) -> None:
        known, self._file = self._file, self._source.file()
        if known != self._file:
            self._begin(sink)

    def _stream(self, sink: BinaryIO) -> None:
        """Take in what one request brings."""
        if self._link is None:
            self._link = self._source.link()
        try:
            answer = self._transport.fetch(self._link, self._asking())
        except NotReached as error:
            raise _Broken(str(error)) from None
        with answer:
            self._check(answer, sink)
            self._etag = answer.headers.get("ETag")
            try:
                for data in answer.raw.stream(CHUNK_BYTES, decode_content=False):
                    self._take(data, sink)
            except HTTPError as error:
                raise _Broken(f"GET {place(self._link)}: {reason_of(error)}") from None
        self._ended = True
        if not self._is_whole():
            raise _Broken(f"it ended after {self._received:,} of {self._file.bytes:,} bytes")

    def _asking(self) -> Mapping[str, str]:
        """The headers: for what is not there yet, of the same object."""
        if not self._received:
            return MappingProxyType({})
        same = {} if self._etag is None else {"If-Match": self._etag}
        return {"Range": f"bytes={self._received}-", **same}

    def _check(self, answer: requests.Response, sink: BinaryIO) -> None:
        """Look at the head of an answer. One with everything begins anew."""
        status = answer.status_code
        if status == 206 and _start(answer) == self._received:
            return
        if status == 200:
            if self._received:
                self._begin(sink)
            return
        if status in _FROM_THE_START or status == 206:
            self._begin(sink)
            raise _Broken(_told(answer))
        if status in _LINK_IS_OVER:
            raise _LinkIsOver(_told(answer))
        if status == 429 or status >= 500:
            raise _Broken(_told(answer), self._transport.retry_after_of(answer))
        raise DownloadFailed(f"{self._file.name}: {_told(answer)}")

    def _take(self, data: bytes, sink: BinaryIO) -> None:
        if self._file.bytes is not None and self._received + len(data) > self._file.bytes:
            raise FileDamaged(f"{self._file.name} is longer than {self._file.bytes:,} bytes")
        sink.write(data)
        self._checksum.update(data)
        self._received += len(data)
        self._tries.begin()
        self._told(self._received)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A name for what is to take the target's place; whatever stays there is removed."""
    temporary = target.with_name(f".remit-{secrets.token_hex(8)}.part")
    try:
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _start(answer: requests.Response) -> int | None:
    found = _RANGE.match(answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _told(answer: requests.Response) -> str:
    """An answer in words: S3's code says more than the status."""
    try:
        start = answer.raw.read(_ERROR_BYTES, decode_content=False)
    except HTTPError:
        start = b""
    code = f" ({found[1].decode()})" if (found := _CODE.search(start)) else ""
    return f"GET {place(answer.url)} answered {answer.status_code}{code}"
