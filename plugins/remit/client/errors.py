"""What can go wrong for a program that calls the hook, as types.

RemitError
└── ClientError                 all that the client raises by itself
    ├── NotReached                  no answer came, in any try
    ├── RemitApiError               the hook refused: its problem document is in it
    │   ├── InvalidRequest              422: fields are wrong, `errors` has each
    │   ├── NotAuthenticated            401: the token is none that is valid now
    │   ├── NotPermitted                403: the token lacks a permission
    │   ├── NotFound                    404: no such thing, or another merchant's
    │   ├── Conflict                    409: not in the state that it is in
    │   ├── TooManyRequests             429, also in the last try
    │   └── Unavailable                 5xx, also in the last try
    ├── ExportNotCompleted          there is no file to download
    │   ├── ExportFailed                `code` and `reason` say why
    │   ├── ExportCanceled
    │   └── ExportExpired
    ├── WaitTimedOut                the export goes on; whoever waited does not
    └── DownloadFailed              a file could not be had; nothing is left of it
        └── FileDamaged                 what came is not what the manifest says

No message holds a token, or the signature of a link.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from remit.errors import FieldError, RemitError


class ClientError(RemitError):
    """Root of what the client raises."""


class NotReached(ClientError):
    """No answer: the connection failed or broke, or nobody answered in time, in every try."""


class RemitApiError(ClientError):
    """The hook refused, with a problem document (RFC 9457), or something before it did.

    `status` is HTTP's, `type` the stable name of the problem, `errors` what is wrong with which
    field, `request_id` what the operator finds the request by in the logs, `document` all members.
    What the answer did not have is empty.
    """

    def __init__(
        self,
        status: int,
        *,
        document: Mapping[str, Any] | None = None,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.document: Mapping[str, Any] = MappingProxyType(dict(document or {}))
        self.type = _text(self.document, "type")
        self.title = _text(self.document, "title")
        self.detail = _text(self.document, "detail")
        self.errors = tuple(_field_errors(self.document.get("errors")))
        self.request_id = request_id
        self.retry_after = retry_after
        """Seconds, as the answer asked for them."""
        super().__init__(self._message())

    @property
    def kind(self) -> str:
        """The last part of `type`: `not-found`."""
        return self.type.rpartition("/")[2]

    def _message(self) -> str:
        what = [f"{self.status} {self.title}".rstrip()]
        if self.errors:
            what.append("; ".join(map(_told, self.errors)))
        elif self.detail:
            what.append(self.detail)
        request = f" (request {self.request_id})" if self.request_id else ""
        return ": ".join(what) + request


class InvalidRequest(RemitApiError):
    """Fields of the request are wrong."""


class NotAuthenticated(RemitApiError):
    """The token is none that is valid now, also after a fresh one was asked for."""


class NotPermitted(RemitApiError):
    """The token lacks the permission that the message names."""


class NotFound(RemitApiError):
    """There is no such thing for this merchant."""


class Conflict(RemitApiError):
    """The state does not allow it."""


class TooManyRequests(RemitApiError):
    """The merchant's limit is used up, also in the last try."""


class Unavailable(RemitApiError):
    """The service failed, also in the last try."""


KINDS: Mapping[int, type[RemitApiError]] = MappingProxyType(
    {
        400: InvalidRequest,
        401: NotAuthenticated,
        403: NotPermitted,
        404: NotFound,
        409: Conflict,
        422: InvalidRequest,
        429: TooManyRequests,
    }
)
"""Status to the type of its error; 5xx is `Unavailable`, any other the root of them."""


def kind_of(status: int) -> type[RemitApiError]:
    """The type of the error that a status is."""
    return KINDS.get(status, Unavailable if status >= 500 else RemitApiError)


class ExportNotCompleted(ClientError):
    """An export has no files, or none yet. `export_id` is whose."""

    def __init__(self, export_id: str, message: str) -> None:
        super().__init__(f"{export_id} {message}")
        self.export_id = export_id


class ExportFailed(ExportNotCompleted):
    """The export cannot succeed. `code` is stable and for programs, `reason` for people."""

    def __init__(self, export_id: str, code: str, reason: str) -> None:
        super().__init__(export_id, f"failed ({code}): {reason}")
        self.code = code
        self.reason = reason


class ExportCanceled(ExportNotCompleted):
    """Somebody has canceled the export."""


class ExportExpired(ExportNotCompleted):
    """The export's time is up: its files are removed."""


class WaitTimedOut(ClientError):
    """The export has not ended in the time that was given. It goes on."""


class DownloadFailed(ClientError):
    """A file could not be had. Nothing is left of it."""


class FileDamaged(DownloadFailed):
    """What came is not what the export says that its file holds."""


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""


def _field_errors(errors: Any) -> Iterator[FieldError]:
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, Mapping):
            yield FieldError(_text(error, "field"), _text(error, "message"), _allowed(error))


def _allowed(error: Mapping[str, Any]) -> str | tuple[str, ...]:
    allowed = error.get("allowed")
    if isinstance(allowed, Sequence) and not isinstance(allowed, str):
        return tuple(map(str, allowed))
    return _text(error, "allowed")


def _told(error: FieldError) -> str:
    allowed = error.allowed if isinstance(error.allowed, str) else ", ".join(error.allowed)
    return f"{error.field}: {error.message}" + (f" (allowed: {allowed})" if allowed else "")
