"""Buckets, objects and uploads, and the lock around them."""

from __future__ import annotations

import re
import threading
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.standins.s3.checksums import Algorithm
from benchmarks.standins.s3.contents import Content, Storage
from benchmarks.standins.s3.errors import S3Error

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class StoredObject:
    """An object. `headers` come back as they were given; checksums are by algorithm."""

    key: str
    content: Content
    etag: str
    modified: float
    headers: Mapping[str, str]
    checksums: Mapping[str, str]
    checksum_type: str


@dataclass(frozen=True)
class UploadedPart:
    """A part of a multipart upload."""

    number: int
    content: Content
    etag: str
    modified: float
    checksums: Mapping[str, str]


@dataclass
class Upload:
    """A multipart upload that is under way."""

    id: str
    key: str
    initiated: float
    headers: Mapping[str, str]
    algorithm: Algorithm | None
    checksum_type: str
    parts: dict[int, UploadedPart] = field(default_factory=dict)


class Bucket:
    """A bucket: its objects in the order of their keys, its uploads, its configuration."""

    def __init__(self, name: str, created: float) -> None:
        self.name = name
        self.created = created
        self.configuration: dict[str, bytes] = {}
        self.encryption: dict[str, str] = {"x-amz-server-side-encryption": "AES256"}
        self.uploads: dict[str, Upload] = {}
        self.completed: dict[str, StoredObject] = {}
        """Results by upload: to complete again what is complete gives the same answer."""
        self._objects: dict[str, StoredObject] = {}
        self._keys: list[tuple[bytes, str]] = []

    def put(self, stored: StoredObject) -> None:
        """In the place of what was there."""
        if stored.key not in self._objects:
            insort(self._keys, (stored.key.encode(), stored.key))
        self._objects[stored.key] = stored

    def get(self, key: str) -> StoredObject | None:
        """The object, if there is one."""
        return self._objects.get(key)

    def require(self, key: str) -> StoredObject:
        """The object.

        Raises:
            S3Error: NoSuchKey.
        """
        stored = self._objects.get(key)
        if stored is None:
            raise S3Error("NoSuchKey", "The specified key does not exist.", Key=key)
        return stored

    def delete(self, key: str) -> None:
        """It is gone, whether it was there or not."""
        if self._objects.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, (key.encode(), key))]

    def keys_from(self, start: str) -> list[str]:
        """All keys from `start` (inclusive) on, in the order of their UTF-8."""
        return [key for _, key in self._keys[bisect_left(self._keys, (start.encode(),)) :]]

    @property
    def is_empty(self) -> bool:
        """Whether it has no object."""
        return not self._objects

    def upload(self, upload_id: str, key: str) -> Upload:
        """An upload that is under way.

        Raises:
            S3Error: NoSuchUpload.
        """
        upload = self.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise S3Error(
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, or the upload"
                " may have been aborted or completed.",
                UploadId=upload_id,
            )
        return upload


class Buckets:
    """All buckets. `lock` is held around whatever reads or changes them."""

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.time) -> None:
        self.lock = threading.RLock()
        self.storage = storage
        self.clock = clock
        self._buckets: dict[str, Bucket] = {}

    def create(self, name: str) -> None:
        """A new, empty bucket; as in us-east-1, creating one's own again changes nothing.

        Raises:
            S3Error: InvalidBucketName.
        """
        if not _BUCKET_NAME.fullmatch(name):
            raise S3Error("InvalidBucketName", "The specified bucket is not valid.")
        self._buckets.setdefault(name, Bucket(name, self.clock()))

    def require(self, name: str) -> Bucket:
        """The bucket.

        Raises:
            S3Error: NoSuchBucket.
        """
        bucket = self._buckets.get(name)
        if bucket is None:
            raise S3Error("NoSuchBucket", "The specified bucket does not exist", BucketName=name)
        return bucket

    def delete(self, name: str) -> None:
        """Forget an empty bucket.

        Raises:
            S3Error: BucketNotEmpty.
        """
        if not self.require(name).is_empty:
            raise S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty")
        del self._buckets[name]

    def all(self) -> list[Bucket]:
        """In the order of their names."""
        return [self._buckets[name] for name in sorted(self._buckets)]
