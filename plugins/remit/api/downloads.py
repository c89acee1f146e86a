"""The route to an export's files: fresh links, each of them in the audit log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import WithJsonSchema

from remit.api.answers import Answer
from remit.api.backend import Backend
from remit.api.call import Call, CurrentCall
from remit.api.documents import File, files_of
from remit.api.export_schemas import DOWNLOAD
from remit.api.exports import own_export
from remit.api.filters import only
from remit.aws.items import Item
from remit.clock import format_instant
from remit.errors import Conflict, FieldError, Gone, InvalidRequest, NotFound
from remit.exports.entries import linked
from remit.exports.job import expiry_of, status_of
from remit.exports.links import Link, mint

_SPECIAL = {"manifest": "manifestKey", "rejects": "rejectsKey"}
"""What is no part of the export itself, and where its record has the key."""


class DownloadApi:
    """What the route does, without HTTP."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def links(self, call: Call, export: str, which: str | None) -> Answer:
        """A redirect to a fresh link to one file, or fresh links to all of several.

        Raises:
            Gone: the export has expired.
            Conflict: it has no files yet, or never had.
            NotFound: there is no such export, or no such file.
        """
        item = own_export(self._backend, call.caller, export)
        now = self._backend.services.clock()
        if (status := status_of(item, now)) == "expired":
            raise Gone("the export has expired, and its files are removed: ask for a new one")
        if status != "completed":
            raise Conflict(f"the export is {status}: it has files once it is completed")
        if which is None and len(files := files_of(item)) != 1:
            if not files:
                raise NotFound("the export has no files")
            return self._all(call, item, files, now)
        return self._one(call, item, which, now)

    def _one(self, call: Call, item: Item, which: str | None, now: datetime) -> Answer:
        key, name = _chosen(item, which)
        link = self._mint(item, key, now)
        self._tell(call, item, [name], link.expires_at)
        document = {"name": name, **_shown(link)}
        return Answer(307, document, {"Location": link.url})

    def _all(self, call: Call, item: Item, files: list[File], now: datetime) -> Answer:
        links = [self._mint(item, file.key, now) for file in files]
        names = [file.name for file in files]
        self._tell(call, item, names, max(link.expires_at for link in links))
        documents = [
            {**file.document(), **_shown(link)} for file, link in zip(files, links, strict=True)
        ]
        return Answer(200, {"export_id": item["id"], "files": documents})

    def _tell(self, call: Call, item: Item, names: list[str], expires_at: datetime) -> None:
        services = self._backend.services
        linked(
            services,
            call.merchant_id,
            item["id"],
            call.actor,
            files=names,
            expires_at=expires_at,
        )

    def _mint(self, item: Item, key: str, now: datetime) -> Link:
        services = self._backend.services
        until = now + services.settings.link_lifetime
        if (expires_at := expiry_of(item)) is not None:
            until = min(until, datetime.fromtimestamp(expires_at, UTC))
        bucket = services.settings.bucket
        return mint(services.s3, services.aws, bucket=bucket, key=key, now=now, until=until)


def _chosen(item: Item, which: str | None) -> tuple[str, str]:
    """Key and name of one file."""
    if which in _SPECIAL:
        key = item.get(_SPECIAL[which])
        if not isinstance(key, str):
            raise NotFound(f"the export has no {which}")
        return key, key.rpartition("/")[2]
    files = files_of(item)
    number = _number_of("1" if which is None else which)
    if number > len(files):
        raise NotFound(f"the export has no file {number}: it has {len(files)}")
    return files[number - 1].key, files[number - 1].name


def _number_of(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) > 0:
        return int(text)
    allowed = "the number of a file from 1 on, manifest or rejects"
    raise InvalidRequest(FieldError("file", "not such a file", allowed))


def _shown(link: Link) -> dict[str, Any]:
    return {"url": link.url, "expires_at": format_instant(link.expires_at)}


Which = Annotated[
    str | None,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 99_999},
                {"type": "string", "enum": list(_SPECIAL)},
            ]
        }
    ),
    Query(description="The number of a file, `manifest` or `rejects`; otherwise all files"),
]


def router(backend: Backend) -> APIRouter:
    """The route."""
    api = DownloadApi(backend)
    routes = APIRouter(tags=["Exports"])

    @routes.get(
        "/exports/{export}/download",
        status_code=307,
        summary="Download an export",
        responses=dict(DOWNLOAD),
        dependencies=[Depends(only("file"))],
    )
    async def download_export(call: CurrentCall, export: str, file: Which = None) -> Response:
        """A redirect to a fresh link to the file, or to the one that `file` names. An export of
        several files is answered with the list of them instead, each with its link. Links need no
        token; do not send it along."""
        return (await backend.run(api.links, call, export, file)).response()

    return routes
