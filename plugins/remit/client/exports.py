"""An export as a merchant's program has it: follow it, wait for it, download its files."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from remit.client.answers import Document
from remit.client.checksums import Checksum, File, Unchecked, checksum_of
from remit.client.download import Download
from remit.client.errors import (
    DownloadFailed,
    ExportCanceled,
    ExportExpired,
    ExportFailed,
    ExportNotCompleted,
    WaitTimedOut,
)
from remit.client.places import targets
from remit.client.progress import DownloadLine, ExportLine, Line
from remit.client.retrying import Polling
from remit.client.transport import Answer, Transport
from remit.client.values import given

WaitProgress = bool | Callable[[Document], None]
"""True: a line on standard error. A function is given the export's document after every look."""

DownloadProgress = bool | Callable[[int, int], None]
"""True: a line on standard error. A function is given how many bytes of how many are there."""

ENDED = frozenset({"completed", "failed", "canceled", "expired"})
"""Statuses that stay, unless somebody has the export made again."""

When = str | date | datetime
"""A day, or an instant with its offset, in either form."""


class ExportHandle:
    """One export. `document` is what the hook said of it last."""

    def __init__(self, transport: Transport, document: Document, polling: Polling) -> None:
        self._transport = transport
        self._polling = polling
        self.id: str = document["export_id"]
        self.document = document

    def __repr__(self) -> str:
        return f"ExportHandle({self.id!r}, {self.document.get('status')!r})"

    def status(self) -> Document:
        """Look how far it is.

        Raises:
            NotReached, RemitApiError: nobody says.
        """
        return self._look().document

    def wait(self, progress: WaitProgress = False, timeout: float | None = None) -> ExportHandle:
        """Wait until the files are there, `timeout` seconds at the most.

        Raises:
            ExportFailed, ExportCanceled, ExportExpired: there will be none.
            WaitTimedOut: it is not over yet.
            NotReached, RemitApiError: nobody says.
        """
        if callable(progress):
            self._follow(progress, timeout)
        elif progress:
            line = Line(self.id, sys.stderr, self._transport.timing.monotonic)
            try:
                self._follow(ExportLine(line), timeout)
            finally:
                line.end()
        else:
            self._follow(lambda _: None, timeout)
        return self

    def download(
        self, path: str | os.PathLike[str], progress: DownloadProgress = False
    ) -> list[Path]:
        """Bring its files to the disk, each checked; returns where they are, in order.

        A path that is a folder (or ends with `/`, which makes it one) has them under their own
        names. Any other path is the name of the only file, and several are numbered by it. What is
        there under that name is replaced when the new file is whole, and stays if there is none.

        Raises:
            ExportNotCompleted: there are no files, or none yet: `wait()` for them.
            DownloadFailed: a file could not be had, or is damaged. Those before it are there.
            OSError: a file could not be written.
            NotReached, RemitApiError: the hook gives no link.
        """
        if callable(progress):
            return self._download(path, progress)
        if not progress:
            return self._download(path, lambda *_: None)
        line = Line(self.id, sys.stderr, self._transport.timing.monotonic)
        try:
            return self._download(path, DownloadLine(line))
        finally:
            line.end()

    def manifest(self) -> Document:
        """The manifest: what the files hold, totals, and checksums of their segments.

        Raises:
            ExportNotCompleted, DownloadFailed, NotReached, RemitApiError: as of `download`.
        """
        content = io.BytesIO()
        file = File("the manifest", None, None, None)
        Download(self._transport, _Manifest(self, file), file).into(content)
        document: Document = json.loads(content.getvalue())
        return document

    def cancel(self) -> Document:
        """Cancel it; returns its document. One that is canceled already stays so.

        Raises:
            Conflict: it is finished.
            NotReached, RemitApiError: it is not known to be canceled.
        """
        return self._did("cancel")

    def retry(self) -> Document:
        """Have one that failed or was canceled made again, under the same id; returns its document.

        Raises:
            Conflict: it is in a state that nobody makes it again from.
            NotReached, RemitApiError: it is not known to be made again.
        """
        return self._did("retry")

    def files(self) -> list[File]:
        """Its files, in the order of their rows.

        Raises:
            ExportNotCompleted: there are none.
            NotReached, RemitApiError: nobody says.
        """
        document = self.status()
        _check_completed(document)
        return [File.of(file) for file in document["files"]]

    def link(self, which: int | str) -> str:
        """A fresh link, for whoever downloads by other means: to a file by its number, from 1, or
        to `manifest` or `rejects`. Whoever has it has the file.

        Raises:
            NotReached, RemitApiError: there is none.
        """
        return self._transport.link("exports", self.id, "download", query={"file": which})

    def _did(self, action: str) -> Document:
        self.document = self._transport.post("exports", self.id, action).document
        return self.document

    def _look(self) -> Answer:
        answer = self._transport.get("exports", self.id)
        self.document = answer.document
        return answer

    def _follow(self, told: Callable[[Document], None], timeout: float | None) -> None:
        timing, looks = self._transport.timing, 0
        deadline = None if timeout is None else timing.monotonic() + timeout
        while True:
            answer, looks = self._look(), looks + 1
            told(answer.document)
            if answer.document["status"] in ENDED:
                _check_completed(answer.document)
                return
            pause = max(self._polling.pause(looks), answer.retry_after or 0.0)
            if deadline is not None:
                left = deadline - timing.monotonic()
                if left <= 0:
                    raise WaitTimedOut(
                        f"{self.id} is {answer.document['status']} after {timeout:g} s, and goes on"
                    )
                pause = min(pause, left)
            timing.sleep(pause)

    def _download(
        self, path: str | os.PathLike[str], told: Callable[[int, int], None]
    ) -> list[Path]:
        files = self.files()
        total = sum(file.bytes or 0 for file in files)
        places, done = targets(path, [file.name for file in files]), 0
        for number, (file, place) in enumerate(zip(files, places, strict=True), start=1):
            told_of = partial(_tell, told, done, total)
            Download(self._transport, _Numbered(self, number), file, told_of).to(place)
            done += place.stat().st_size
        return places


def _tell(told: Callable[[int, int], None], before: int, total: int, here: int) -> None:
    told(before + here, total)


class _Numbered:
    """A file of an export, by its number from 1."""

    def __init__(self, export: ExportHandle, number: int) -> None:
        self._export = export
        self._number = number

    def file(self) -> File:
        """As it is now."""
        files = self._export.files()
        if len(files) < self._number:
            raise DownloadFailed(
                f"{self._export.id} was made again, and has no file {self._number} any more"
            )
        return files[self._number - 1]

    def link(self) -> str:
        """A fresh one."""
        return self._export.link(self._number)

    def checksum(self, file: File) -> Checksum:
        """By what the export has of it."""
        return checksum_of(file, lambda: self._segments(file.name))

    def _segments(self, name: str) -> Sequence[Mapping[str, Any]]:
        if self._export.document.get("manifest_url") is None:
            return ()
        for file in self._export.manifest()["files"]:
            if file["name"] == name:
                segments: Sequence[Mapping[str, Any]] = file["checksums"]["segments"]
                return segments
        raise DownloadFailed(f"the manifest of {self._export.id} has no {name}")


class _Manifest:
    """The manifest of an export."""

    def __init__(self, export: ExportHandle, file: File) -> None:
        self._export = export
        self._file = file

    def file(self) -> File:
        """Whatever it is now."""
        return self._file

    def link(self) -> str:
        """A fresh one."""
        return self._export.link("manifest")

    def checksum(self, file: File) -> Checksum:  # noqa: ARG002 - there is none
        """It has the others'."""
        return Unchecked()


def request_of(
    start_date: When, end_date: When, form: str, report: str, options: Mapping[str, Any]
) -> Document:
    """The body that asks for an export; what is None is left out.

    Raises:
        ValueError: an instant has no offset, so that nobody knows when it is.
    """
    values = {
        "start_date": start_date,
        "end_date": end_date,
        "format": form,
        "report": report,
        **options,
    }
    return given(**values)


def exports(
    transport: Transport, polling: Polling, query: Mapping[str, Any]
) -> Iterator[ExportHandle]:
    """The merchant's exports, the newest first, as they are taken."""
    for document in transport.pages("exports", query=query):
        yield ExportHandle(transport, document, polling)


def _check_completed(document: Document) -> None:
    export_id, status = document["export_id"], document["status"]
    if status == "completed":
        return
    if status == "failed":
        error = document.get("error") or {}
        raise ExportFailed(export_id, error.get("code", "failed"), error.get("message", ""))
    if status == "canceled":
        raise ExportCanceled(export_id, "was canceled")
    if status == "expired":
        raise ExportExpired(export_id, "has expired: its files are removed, ask for it again")
    raise ExportNotCompleted(
        export_id, f"is {status}: its files are not there yet, wait() for them"
    )
