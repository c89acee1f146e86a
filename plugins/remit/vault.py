"""Secrets at rest: sealed with Fernet keys of the deployment, or by KMS.

| stored text    | sealed with                                                              |
|----------------|--------------------------------------------------------------------------|
| `fernet:…`     | the first key of `REMIT_SECRET_KEYS`; every key that is there opens it   |
| `kms:…`        | the key `REMIT_SECRET_KMS_KEY`: base64 of KMS's answer, which names it   |
| any other text | nothing: a secret of the platform's own records, which hold them plainly |

With a KMS key set, KMS seals. What one of the two sealed it opens, whichever seals now, so that a
deployment can change from one to the other and back.
Sources: https://cryptography.io/en/latest/fernet/ and
https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from remit.clock import Clock, system_clock
from remit.errors import ConfigurationError, SecretUnreadable, StoreUnavailable
from remit.settings import Settings

if TYPE_CHECKING:  # slow to import, and a deployment needs one of them
    from cryptography.fernet import Fernet

    from remit.aws.session import Aws

REMEMBERED = timedelta(minutes=5)
"""How long a secret that KMS opened is remembered: each call is billed and takes milliseconds. That
a key was disabled counts after that."""

MOST_REMEMBERED = 10_000

OUTAGE = timedelta(seconds=30)
"""After KMS could not be reached it is not asked to open anything for so long. A deliverer claims
nothing while it waits for KMS, for endpoints that need no KMS either: if KMS hangs, that is for the
patience of one call, some 7 seconds, and not again before this has passed."""

_FERNET = "fernet:"
_KMS = "kms:"
_CONTEXT = {"service": "remit"}
"""Authenticated with what KMS encrypts: what another service sealed with the key is not opened."""

_SEAL, _OPEN = "seal a secret", "open a secret"
"""What could not be done, in errors."""

_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_NO_KEY = (
    "secrets of endpoints are stored sealed: set REMIT_SECRET_KEYS to a Fernet key, or "
    "REMIT_SECRET_KMS_KEY to a KMS key"
)
_NEW_FERNET_KEY = (
    "python -c 'from cryptography.fernet import Fernet as f; print(f.generate_key().decode())'"
)


class _Sealer(Protocol):
    """One way to seal; the texts it takes and gives are without their beginning."""

    def seal(self, secret: str) -> str: ...

    def open(self, sealed: str) -> str: ...

    def reseal(self, sealed: str) -> str | None: ...


class Vault:
    """Seals and opens secrets. Nothing in it shows a key or a secret. Threads may share it."""

    def __init__(self, sealers: dict[str, _Sealer], current: str | None) -> None:
        self._sealers = sealers
        self._current = current

    @classmethod
    def of(cls, settings: Settings, aws: Aws, clock: Clock = system_clock) -> Vault:
        """With the keys that the settings name. KMS is asked when there is something to seal or to
        open.

        Raises:
            ConfigurationError: a Fernet key is none.
        """
        from remit.aws.session import FOR_REQUESTS

        def client() -> Any:
            return aws.client("kms", patience=FOR_REQUESTS)

        fernet = _Fernets(settings.secret_keys)
        kms = _Kms(settings.secret_kms_key, client, _Remembered(clock), clock)
        current = _KMS if settings.secret_kms_key else _FERNET if fernet.can_seal else None
        return cls({_FERNET: fernet, _KMS: kms}, current)

    def seal(self, secret: str) -> str:
        """The secret as it is stored.

        Raises:
            ConfigurationError: there is no key to seal it with, or KMS does not let it be used.
            StoreUnavailable: KMS is out of reach.
        """
        if self._current is None:
            raise ConfigurationError(_NO_KEY)
        return self._current + self._sealers[self._current].seal(secret)

    def open(self, stored: str) -> str:
        """The secret as the merchant has it.

        Raises:
            SecretUnreadable: the key that it was sealed with is not there, or it is damaged.
            StoreUnavailable: KMS is out of reach.
        """
        beginning, sealed = _parted(stored)
        return sealed if beginning is None else self._sealers[beginning].open(sealed)

    def reseal(self, stored: str) -> str | None:
        """The same secret as `seal` would store it now; None: it is sealed with that key already.

        Raises:
            ConfigurationError, SecretUnreadable, StoreUnavailable: as `seal` and `open` do.
        """
        beginning, sealed = _parted(stored)
        if beginning is None or beginning != self._current:
            return self.seal(self.open(stored))
        resealed = self._sealers[beginning].reseal(sealed)
        return None if resealed is None else beginning + resealed


def _parted(stored: str) -> tuple[str | None, str]:
    """How a text was sealed, None if it was not, and the rest of it."""
    for beginning in (_FERNET, _KMS):
        if stored.startswith(beginning):
            return beginning, stored.removeprefix(beginning)
    return None, stored


class _Fernets:
    """Fernet keys: the first one seals, all of them open."""

    def __init__(self, keys: str) -> None:
        named = [key for part in keys.split(",") if (key := part.strip())]
        self._keys = [_fernet(key, place) for place, key in enumerate(named, 1)]

    @property
    def can_seal(self) -> bool:
        return bool(self._keys)

    def seal(self, secret: str) -> str:
        return self._keys[0].encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        return self._opened(sealed)[1]

    def reseal(self, sealed: str) -> str | None:
        place, secret = self._opened(sealed)
        return None if place == 0 else self.seal(secret)

    def _opened(self, sealed: str) -> tuple[int, str]:
        """Which key opened it, and what it is."""
        if not self._keys:
            raise SecretUnreadable(
                "a secret is sealed with a Fernet key, and REMIT_SECRET_KEYS is not set"
            )
        from cryptography.fernet import InvalidToken

        for place, key in enumerate(self._keys):
            try:
                return place, key.decrypt(sealed.encode()).decode()
            except (InvalidToken, UnicodeError):
                continue
        raise SecretUnreadable(
            "a secret is damaged, or sealed with a Fernet key that REMIT_SECRET_KEYS does not have"
        )


def _fernet(key: str, place: int) -> Fernet:
    # Fernet itself overlooks what follows a key: two without a comma between them would be one.
    if _FERNET_KEY.fullmatch(key) is None:
        raise ConfigurationError(
            f"key {place} of REMIT_SECRET_KEYS is not a Fernet key, the URL-safe base64 of 32 "
            f"random bytes; make one with: {_NEW_FERNET_KEY}"
        )
    from cryptography.fernet import Fernet

    return Fernet(key)


class _Kms:
    """A KMS key seals; whichever key sealed a secret opens it, if it still may be used."""

    def __init__(
        self, key: str, client: Callable[[], Any], remembered: _Remembered, clock: Clock
    ) -> None:
        self._key = key
        self._clock = clock
        self._out_until: datetime | None = None
        self._make_client = client
        self._made_client: Any = None
        self._lock = Lock()
        self._remembered = remembered

    def seal(self, secret: str) -> str:
        return self._sealed(secret)[0]

    def open(self, sealed: str) -> str:
        if (known := self._remembered.get(sealed)) is not None:
            return known
        if self._out_until is not None and self._clock() < self._out_until:
            raise StoreUnavailable("could not open a secret: KMS was out of reach a moment ago")
        try:
            secret, _ = self._opened(sealed)
        except StoreUnavailable:
            self._out_until = self._clock() + OUTAGE
            raise
        self._remembered.put(sealed, secret)
        return secret

    def reseal(self, sealed: str) -> str | None:
        # The setting may be an alias: which key that is now, only an answer tells.
        secret, key = self._opened(sealed)
        resealed, current = self._sealed(secret)
        return None if key == current else resealed

    def _sealed(self, secret: str) -> tuple[str, str]:
        """The sealed secret, and the ARN of the key."""
        from botocore.exceptions import ClientError

        from remit.aws.session import store_errors

        client = self._client()
        try:
            with store_errors(_SEAL):
                answer = client.encrypt(
                    KeyId=self._key, Plaintext=secret.encode(), EncryptionContext=_CONTEXT
                )
        except ClientError as error:
            raise ConfigurationError(
                f"KMS does not seal with the key of REMIT_SECRET_KMS_KEY ({_code(error)}): it must "
                "be an enabled symmetric key, and kms:Encrypt on it be allowed"
            ) from error
        blob, key = _part(answer, "CiphertextBlob", _SEAL), _part(answer, "KeyId", _SEAL)
        return base64.b64encode(blob).decode(), key

    def _opened(self, sealed: str) -> tuple[str, str]:
        """The secret, and the ARN of the key."""
        from botocore.exceptions import ClientError

        from remit.aws.session import store_errors

        blob, client = _blob(sealed), self._client()
        try:
            with store_errors(_OPEN):
                answer = client.decrypt(CiphertextBlob=blob, EncryptionContext=_CONTEXT)
            return _part(answer, "Plaintext", _OPEN).decode(), _part(answer, "KeyId", _OPEN)
        except ClientError as error:
            raise SecretUnreadable(
                f"KMS does not open a secret ({_code(error)}): its key must be enabled, and "
                "kms:Decrypt on it be allowed"
            ) from error
        except UnicodeError:
            raise SecretUnreadable("a secret that KMS sealed is not text") from None

    def _client(self) -> Any:
        with self._lock:  # botocore's sessions are not for several threads, its clients are
            if self._made_client is None:
                self._made_client = self._make_client()
            return self._made_client


def _blob(sealed: str) -> bytes:
    try:
        blob = base64.b64decode(sealed, validate=True)
    except ValueError:  # binascii.Error is one, and so is text that is not ASCII
        blob = b""
    if not blob:
        raise SecretUnreadable("a secret that KMS sealed is damaged")
    return blob


def _part(answer: Mapping[str, Any], name: str, action: str) -> Any:
    """A part of KMS's answer. One that was damaged on its way may lack it: it says nothing of the
    secret, and the next one may be whole."""
    if name not in answer:
        raise StoreUnavailable(f"could not {action}: the answer of KMS has no {name}")
    return answer[name]


def _code(error: Any) -> str:
    return str(error.response["Error"]["Code"])


class _Remembered:
    """What was opened lately; of too many, the longest remembered are forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._secrets: dict[str, tuple[str, datetime]] = {}

    def get(self, sealed: str) -> str | None:
        with self._lock:
            secret, until = self._secrets.get(sealed, (None, None))
            if until is not None and self._clock() >= until:
                del self._secrets[sealed]
                return None
            return secret

    def put(self, sealed: str, secret: str) -> None:
        with self._lock:
            while len(self._secrets) >= MOST_REMEMBERED:
                del self._secrets[next(iter(self._secrets))]
            self._secrets[sealed] = (secret, self._clock() + REMEMBERED)
