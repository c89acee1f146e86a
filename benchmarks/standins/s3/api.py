"""The S3 API over HTTP: which operation a request is, and errors as documents."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass

from benchmarks.standins.http import Reset, Response
from benchmarks.standins.reading import Request
from benchmarks.standins.s3 import configuration, listing, multipart, objects
from benchmarks.standins.s3.call import Call
from benchmarks.standins.s3.contents import Keeping, Storage
from benchmarks.standins.s3.errors import S3Error
from benchmarks.standins.s3.faults import UploadFaults
from benchmarks.standins.s3.model import Buckets
from benchmarks.standins.s3.xml import document

log = logging.getLogger(__name__)

FIGURES_PATH = "/-/figures"
"""`Figures` as JSON; no bucket has such a name."""

_COPY = "x-amz-copy-source"
_PART = ("partNumber", "uploadId")

Route = tuple[str, str, frozenset[str]]
"""Method, what it is about, and the parameters (or the header of copies) that tell operations."""


def _route(method: str, about: str, *parameters: str) -> Route:
    return method, about, frozenset(parameters)


_ROUTES: dict[Route, Callable[[Call], Response]] = {
    _route("GET", "service"): listing.list_buckets,
    _route("PUT", "bucket"): configuration.create_bucket,
    _route("HEAD", "bucket"): configuration.head_bucket,
    _route("DELETE", "bucket"): configuration.delete_bucket,
    _route("GET", "bucket", "list-type"): listing.list_objects_v2,
    _route("GET", "bucket", "uploads"): listing.list_multipart_uploads,
    _route("POST", "bucket", "delete"): configuration.delete_objects,
    **{_route("PUT", "bucket", k): configuration.put_configuration(k) for k in configuration.KINDS},
    **{_route("GET", "bucket", k): configuration.get_configuration(k) for k in configuration.KINDS},
    **{
        _route("DELETE", "bucket", k): configuration.delete_configuration(k)
        for k in configuration.KINDS
    },
    _route("PUT", "object"): objects.put_object,
    _route("PUT", "object", _COPY): objects.copy_object,
    _route("GET", "object"): objects.get_object,
    _route("HEAD", "object"): objects.get_object,
    _route("DELETE", "object"): objects.delete_object,
    _route("POST", "object", "uploads"): multipart.create_multipart_upload,
    _route("PUT", "object", *_PART): multipart.upload_part,
    _route("PUT", "object", *_PART, _COPY): multipart.upload_part_copy,
    _route("POST", "object", "uploadId"): multipart.complete_multipart_upload,
    _route("DELETE", "object", "uploadId"): multipart.abort_multipart_upload,
    _route("GET", "object", "uploadId"): listing.list_parts,
}
_TELLING = frozenset(name for _, _, names in _ROUTES for name in names)


@dataclass
class Figures:
    """What has arrived, refused uploads included."""

    put_objects: int = 0
    upload_parts: int = 0
    bytes: int = 0


class S3:
    """The handler of a server: `Server(S3().handle)`. `faults` apply to `UploadPart`."""

    def __init__(self, storage: Storage | None = None, faults: UploadFaults | None = None) -> None:
        self.buckets = Buckets(storage or Keeping())
        self.faults = faults or UploadFaults()
        self.figures = Figures()

    def handle(self, request: Request) -> Response:
        """One request."""
        if request.target == FIGURES_PATH:
            body = json.dumps(asdict(self.figures)).encode()
            return Response(200, {"Content-Type": "application/json"}, [body])
        try:
            return self._answered(Call.of(self.buckets, request))
        except S3Error as error:
            return _error(error, request)
        except Reset:
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.target)
            return _error(
                S3Error("InternalError", "the stand-in failed; its log says how"), request
            )

    def _answered(self, call: Call) -> Response:
        about = "object" if call.key else "bucket" if call.bucket_name else "service"
        telling = _TELLING & (call.query.keys() | ({_COPY} & call.headers.keys()))
        operation = _ROUTES.get((call.request.method, about, telling))
        if operation is None:
            raise S3Error(
                "NotImplemented",
                f"The stand-in has no {call.request.method} of a {about} with {sorted(telling)}",
            )
        self._count(call, operation)
        if operation is multipart.upload_part:
            self.faults.before_part()
        return operation(call)

    def _count(self, call: Call, operation: Callable[[Call], Response]) -> None:
        if operation not in {objects.put_object, multipart.upload_part}:
            return
        with self.buckets.lock:
            self.figures.bytes += len(call.request.body)
            self.figures.put_objects += operation is objects.put_object
            self.figures.upload_parts += operation is multipart.upload_part


def _error(error: S3Error, request: Request) -> Response:
    details = {
        "Code": error.code,
        "Message": error.message,
        "Resource": request.target.partition("?")[0],
        **error.details,
    }
    if request.method == "HEAD" or error.status == 304:
        return Response(error.status, {"Content-Length": "0"})
    body = document("Error", details, namespace=False)
    return Response(error.status, {"Content-Type": "application/xml"}, [body])
