"""What S3 answers about an object, as types: passing, damaged, taken over, or refused for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from remit.aws.session import store_errors
from remit.errors import RemitError, StoreUnavailable

DAMAGE_CODES = frozenset(
    {"BadDigest", "IncompleteBody", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"}
)
"""Codes of answers that say that other bytes arrived than were sent
(https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""


class Damaged(StoreUnavailable):
    """S3 got, or stored, other bytes than were sent: sent again they may arrive whole."""


class UploadGone(RemitError):
    """The upload was aborted by someone else: a successor took the export over."""


class ObjectRefused(ClientError):  # type: ignore[misc]  # untyped
    """S3 does not take an object, and waiting does not help: a permission, a key, a limit.

    It is the `ClientError` that S3's answer was, with a message that names the object.
    """

    def __init__(self, action: str, error: ClientError) -> None:
        super().__init__(error.response, error.operation_name)
        self.args = (f"could not {action}: {error}",)


@contextmanager
def object_errors(action: str) -> Iterator[None]:
    """Raise what S3 answers as a type that decides; `action` is that of `store_errors`.

    Raises:
        StoreUnavailable: it may pass; `Damaged` if bytes changed on their way.
        UploadGone: the multipart upload is not there any more.
        ObjectRefused: S3 says no.
    """
    try:
        with store_errors(action):
            yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchUpload":
            raise UploadGone(f"could not {action}: its upload was aborted by another") from error
        if code in DAMAGE_CODES:
            raise Damaged(f"could not {action}: {error}") from error
        raise ObjectRefused(action, error) from error
