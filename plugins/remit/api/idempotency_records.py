"""The records of idempotency keys: who has begun an operation, and how it was answered.

| `state` | what the record says                                                             |
|---------|----------------------------------------------------------------------------------|
| `begun` | somebody does the operation, until `leaseUntil`; then another may take it over   |
| `done`  | the operation was answered so: `status`, `headers`, `document` (compressed)      |

A record keeps the operation's id and time. Whoever takes over an operation that was broken off does
the same one: the same ids, the same times, nothing twice. `holder` is who does it now, and a
condition of every later write: who has lost the lease changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from remit.api.answers import Answer
from remit.aws.items import Item
from remit.aws.transactions import TransactionCanceled, transact
from remit.clock import epoch_seconds, format_instant, parse_instant
from remit.errors import AlreadyExists, ConditionFailed
from remit.services import Services

LEASE = timedelta(seconds=60)
"""Longer than an operation takes while AWS is slow, and as long as one that was broken off is left
alone."""

_PIECE = 300_000
"""Bytes of an answer in one record, which has 400 KB at the most with all that it says."""

_TRIES = 5  # each one that fails is a change that another has made


@dataclass(frozen=True)
class Operation:
    """What a request does, the same however often it is sent with one key: whatever it creates
    takes its id from `id` (32 hexadecimal digits) and its time from `at`, so that one that was
    broken off is gone on with, and not done again."""

    id: str
    at: datetime

    @classmethod
    def new(cls, now: datetime) -> Operation:
        """One that nobody has begun."""
        return cls(secrets.token_hex(16), now)

    def bits(self, count: int) -> int:
        """So many bits of the id (128 at the most): the random part of a ULID."""
        return int(self.id, 16) >> (128 - count)


@dataclass(frozen=True)
class Asked:
    """A request with a key: whose it is, and what it asks for."""

    merchant_id: str
    key: str
    fingerprint: str
    permissions: frozenset[str]

    @property
    def id(self) -> str:
        """Of its record. A digest, so that a merchant's keys do not crowd one partition."""
        return hashlib.sha256(f"{self.merchant_id}\0{self.key}".encode()).hexdigest()


@dataclass(frozen=True)
class Held:
    """The right to do an operation, until the lease ends."""

    operation: Operation
    holder: str
    fresh: bool
    """Whether nobody has begun it before. Of one that was broken off, something may be done."""


@dataclass(frozen=True)
class Busy:
    """Somebody else does it, until then at the longest."""

    until: datetime


@dataclass(frozen=True)
class Done:
    """It was done for a request with this fingerprint and these permissions, and answered so."""

    answer: Answer = field(repr=False)


class OtherRequest(Exception):
    """The key's record is of another request."""


class FewerPermissions(Exception):
    """The key's first request had permissions that this one lacks: `missing`."""

    def __init__(self, missing: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(missing)))
        self.missing = missing


class IdempotencyRecords:
    """The table of keys. For threads that may block."""

    def __init__(self, services: Services, holder: Callable[[], str] = secrets.token_hex) -> None:
        self._services = services
        self._table = services.tables.idempotency_keys
        self._holder = holder

    def begin(self, asked: Asked) -> Held | Busy | Done:
        """Begin the operation, take it over if it was broken off, or find it under way or done.

        Raises:
            OtherRequest: the key belongs to another request.
            FewerPermissions: the answer is there, and not for this token.
            StoreUnavailable: nothing is known to be begun.
            SecretUnreadable: the answer is sealed, and cannot be opened.
        """
        holder, now = self._holder(), self._services.clock()
        held = Held(Operation.new(now), holder, fresh=True)
        try:
            self._table.create(self._begun(asked, held, now))
        except AlreadyExists:
            return self._resume(asked, held)
        return held

    def look(self, asked: Asked) -> Held | Busy | Done:
        """As `begin`, of a key that has a record as likely as not: it is read first, and nothing is
        written while somebody else does the operation."""
        new = Operation.new(self._services.clock())
        return self._resume(asked, Held(new, self._holder(), fresh=True))

    def _resume(self, asked: Asked, held: Held) -> Held | Busy | Done:
        """`held` is used if the key has no record, or none that is in force."""
        for _ in range(_TRIES):
            now = self._services.clock()
            record = self._table.get(asked.id)
            try:
                if record is None:
                    self._table.create(self._begun(asked, held, now))
                    return held
                if record["holder"] == held.holder:
                    return _held(record, held)  # its write took place, the answer was lost
                if int(record["expiresAt"]) <= epoch_seconds(now):
                    return self._replace(asked, record, held, now)
                if (found := self._found(asked, record, now)) is not None:
                    return found
                return self._take_over(asked, record, held, now)
            except ConditionFailed:
                continue  # another was faster
        return Busy(now + LEASE)

    def finish(self, asked: Asked, held: Held, answer: Answer, *, secret: bool) -> None:
        """Keep the answer for those who ask again; sealed, if it holds a secret. What is too large
        for one record, as the ids of a batch's webhooks may be, has others for the rest of it.

        Raises:
            ConditionFailed: another has taken the operation over.
            ConfigurationError, RecordRefused, StoreUnavailable: it is not kept.
        """
        packed = zlib.compress(json.dumps(answer.document).encode())
        kept = _sealed(self._services, packed) if secret else {"document": packed}
        first, *others = _pieces(kept["document"])
        expires_at = self._services.clock() + self._services.settings.idempotency_retention
        names = [f"{asked.id}#{held.holder}#{number}" for number, _ in enumerate(others, 1)]
        for name, piece in zip(names, others, strict=True):
            record = {"id": name, "document": piece, "expiresAt": epoch_seconds(expires_at)}
            self._table.put(record)
        self._table.update(
            asked.id,
            set={
                "state": "done",
                "status": answer.status,
                "headers": dict(answer.headers),
                **kept,
                "document": first,
                "pieces": names,
            },
            remove=["leaseUntil"],
            condition="#holder = :mine AND #state = :begun",
            values={"mine": held.holder, "begun": "begun"},
        )

    def forget(self, asked: Asked, held: Held) -> None:
        """Nothing was done, by nobody: the key is free for another request."""
        action = self._table.delete_action(
            asked.id, condition="#holder = :mine", values={"mine": held.holder}
        )
        try:
            transact(self._table.client, [{"Delete": action}])
        except TransactionCanceled:
            return  # another has taken it over

    def leave(self, asked: Asked, held: Held) -> None:
        """It may have been done in part: the next request with the key goes on with it, at once."""
        now = format_instant(self._services.clock())
        try:
            self._table.update(
                asked.id,
                set={"leaseUntil": now},
                condition="#holder = :mine AND #state = :begun",
                values={"mine": held.holder, "begun": "begun"},
            )
        except ConditionFailed:
            return  # another has taken it over

    def _found(self, asked: Asked, record: Item, now: datetime) -> Busy | Done | None:
        """What there is to say of a record that is in force; None: it may be taken over."""
        if record["fingerprint"] != asked.fingerprint:
            raise OtherRequest
        if record["state"] == "done":
            # What was answered was for whoever had these permissions.
            if missing := frozenset(record["permissions"]) - asked.permissions:
                raise FewerPermissions(missing)
            return Done(self._answer(record))
        until = parse_instant(record["leaseUntil"])
        return Busy(until) if now < until else None

    def _take_over(self, asked: Asked, record: Item, held: Held, now: datetime) -> Held:
        self._table.update(
            asked.id,
            set={
                "holder": held.holder,
                "leaseUntil": format_instant(now + LEASE),
                "permissions": sorted(asked.permissions),
            },
            condition="#holder = :seen AND #state = :begun AND #leaseUntil = :until",
            values={"seen": record["holder"], "begun": "begun", "until": record["leaseUntil"]},
        )
        return _held(record, held)

    def _replace(self, asked: Asked, record: Item, held: Held, now: datetime) -> Held:
        """Begin anew where a record stands whose time is up: DynamoDB deletes those days later."""
        new = self._begun(asked, held, now)
        self._table.update(
            asked.id,
            set={name: value for name, value in new.items() if name != "id"},
            remove=["status", "headers", "document", "pieces", "sealedKey"],
            condition="#holder = :seen AND #expiresAt = :expired",
            values={"seen": record["holder"], "expired": record["expiresAt"]},
        )
        return held

    def _answer(self, record: Item) -> Answer:
        names = record["pieces"]
        others = self._table.get_many(names) if names else {}
        document = b"".join([record["document"], *(others[name]["document"] for name in names)])
        if (sealed_key := record.get("sealedKey")) is not None:
            document = _opened(self._services, sealed_key, document)
        headers: Mapping[str, Any] = record["headers"]
        return Answer(int(record["status"]), json.loads(zlib.decompress(document)), dict(headers))

    def _begun(self, asked: Asked, held: Held, now: datetime) -> Item:
        retention = self._services.settings.idempotency_retention
        return {
            "id": asked.id,
            "merchantID": asked.merchant_id,
            "idempotencyKey": asked.key,
            "fingerprint": asked.fingerprint,
            "permissions": sorted(asked.permissions),
            "state": "begun",
            "holder": held.holder,
            "leaseUntil": format_instant(now + LEASE),
            "operationID": held.operation.id,
            "operationAt": format_instant(held.operation.at),
            "expiresAt": epoch_seconds(now + retention),
        }


def _held(record: Item, new: Held) -> Held:
    """The record's operation; fresh if it is the new one."""
    operation = Operation(record["operationID"], parse_instant(record["operationAt"]))
    return Held(operation, new.holder, fresh=operation.id == new.operation.id)


def _sealed(services: Services, document: bytes) -> Item:
    """A document under a key of its own, and that key sealed: KMS seals 4 KB at the most."""
    from cryptography.fernet import Fernet

    key = Fernet.generate_key()
    return {
        "document": Fernet(key).encrypt(document),
        "sealedKey": services.vault.seal(key.decode()),
    }


def _opened(services: Services, sealed_key: str, document: bytes) -> bytes:
    from cryptography.fernet import Fernet

    return Fernet(services.vault.open(sealed_key).encode()).decrypt(document)


def _pieces(document: bytes) -> list[bytes]:
    return [document[start : start + _PIECE] for start in range(0, len(document), _PIECE)]
