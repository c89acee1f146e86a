"""Secrets at rest: sealed with Fernet keys of the deployment, or by KMS.

Sealed text says how it was sealed (`fernet:…`, `kms:…`). Text without such a beginning is a secret
of the platform's own records, which hold them as they are.
Sources: https://cryptography.io/en/latest/fernet/ and
https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from remit.aws.session import Aws, store_errors
from remit.clock import Clock, system_clock
from remit.errors import ConfigurationError, SecretUnreadable
from remit.settings import Settings

REMEMBERED = timedelta(minutes=5)
"""How long a secret that KMS opened is remembered: each one asked for is billed, and takes time."""

_MOST_REMEMBERED = 10_000
_FERNET = "fernet:"
_KMS = "kms:"
_CONTEXT = {"service": "remit"}
"""Authenticated with what KMS encrypts: what another service sealed with the key is not opened."""

_UNREADABLE = frozenset(
    {
        "InvalidCiphertextException",
        "IncorrectKeyException",
        "NotFoundException",
        "DisabledException",
        "KMSInvalidStateException",
        "AccessDeniedException",
    }
)


class Vault:
    """Seals and opens secrets. Nothing in it shows a key or a secret."""

    def __init__(
        self,
        fernets: Sequence[Fernet],
        kms_key: str,
        kms: Callable[[], Any],
        clock: Clock = system_clock,
    ) -> None:
        self._first = fernets[0] if fernets else None
        self._fernet = MultiFernet(fernets) if fernets else None
        self._kms_key = kms_key
        self._kms = kms
        self._clock = clock
        self._remembered: dict[str, tuple[str, datetime]] = {}

    @classmethod
    def of(cls, settings: Settings, aws: Aws, clock: Clock = system_clock) -> Vault:
        """With the keys that the settings name.

        Raises:
            ConfigurationError: a Fernet key is none.
        """
        return cls(
            _fernets(settings.secret_keys),
            settings.secret_kms_key,
            lambda: aws.client("kms"),
            clock,
        )

    def seal(self, secret: str) -> str:
        """The secret as it is stored.

        Raises:
            ConfigurationError: there is no key to seal it with.
            StoreUnavailable: KMS is out of reach.
        """
        if self._kms_key:
            with store_errors("seal a secret"):
                answer = self._kms().encrypt(
                    KeyId=self._kms_key, Plaintext=secret.encode(), EncryptionContext=_CONTEXT
                )
            return _KMS + base64.b64encode(answer["CiphertextBlob"]).decode()
        if self._fernet is None:
            raise ConfigurationError(
                "secrets of endpoints are stored sealed: set REMIT_SECRET_KEYS or "
                "REMIT_SECRET_KMS_KEY"
            )
        return _FERNET + self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """The secret as the merchant has it.

        Raises:
            SecretUnreadable: the key that it was sealed with is not there.
            StoreUnavailable: KMS is out of reach.
        """
        if sealed.startswith(_FERNET):
            return self._open_fernet(sealed.removeprefix(_FERNET))
        if sealed.startswith(_KMS):
            return self._open_kms(sealed.removeprefix(_KMS))
        return sealed

    def reseal(self, sealed: str) -> str | None:
        """The same secret under the first key; None: it is sealed with that already."""
        if self._kms_key:
            return None if sealed.startswith(_KMS) else self.seal(self.open(sealed))
        if sealed.startswith(_FERNET) and self._first is not None:
            try:
                self._first.decrypt(sealed.removeprefix(_FERNET).encode())
            except InvalidToken:
                return self.seal(self.open(sealed))
            return None
        return self.seal(self.open(sealed))

    def _open_fernet(self, token: str) -> str:
        if self._fernet is None:
            raise SecretUnreadable("a secret is sealed, and REMIT_SECRET_KEYS is not set")
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise SecretUnreadable(
                "a secret is sealed with a key that REMIT_SECRET_KEYS does not have"
            ) from None

    def _open_kms(self, blob: str) -> str:
        now = self._clock()
        secret, until = self._remembered.get(blob, ("", now))
        if until > now:
            return secret
        try:
            with store_errors("open a secret"):
                answer = self._kms().decrypt(
                    CiphertextBlob=base64.b64decode(blob, validate=True), EncryptionContext=_CONTEXT
                )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in _UNREADABLE:
                raise
            raise SecretUnreadable(f"KMS does not open a secret: {code}") from None
        except binascii.Error:
            raise SecretUnreadable("a secret that KMS sealed is damaged") from None
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        opened: str = answer["Plaintext"].decode()
        self._remembered[blob] = (opened, now + REMEMBERED)
        return opened


def _fernets(keys: str) -> list[Fernet]:
    named = [key for key in (part.strip() for part in keys.split(",")) if key]
    try:
        return [Fernet(key) for key in named]
    except ValueError:
        raise ConfigurationError(
            "REMIT_SECRET_KEYS must be Fernet keys with commas between them: each is the url-safe "
            "base64 of 32 random bytes"
        ) from None
