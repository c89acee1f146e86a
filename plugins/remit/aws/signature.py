"""AWS Signature Version 4 of requests of a JSON API, such as DynamoDB's: all are POSTs to one URL.

botocore's signer takes every request apart to find out what it is: 70 microseconds for each, where
8 do. Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, urlsplit

from botocore.credentials import ReadOnlyCredentials

CONTENT_TYPE = "application/x-amz-json-1.0"

_ALGORITHM = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS = {"https": 443, "http": 80}


class RequestSigner:
    """Signs requests to one endpoint of a service."""

    def __init__(
        self, credentials: ReadOnlyCredentials, service: str, region: str, url: str
    ) -> None:
        self._credentials = credentials
        self._scope = f"{region}/{service}/aws4_request"
        parts = urlsplit(url)
        self._path = quote(parts.path or "/", safe="/~")
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        is_default = parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)}
        self._host = host if is_default else f"{host}:{parts.port}"
        self._key_of_day = "", b""

    def headers(self, target: str, body: bytes, now: datetime) -> dict[str, str]:
        """The headers of one request, `Host` aside; `target` names the operation."""
        at = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        # In the order in which they are signed: that of the alphabet.
        headers = {"content-type": CONTENT_TYPE, "host": self._host, "x-amz-date": at}
        if self._credentials.token:
            headers["x-amz-security-token"] = self._credentials.token
        headers["x-amz-target"] = target
        names = ";".join(headers)
        lines = "".join([f"{name}:{value}\n" for name, value in headers.items()])
        digest = sha256(body).hexdigest()
        request = f"POST\n{self._path}\n\n{lines}\n{names}\n{digest}"
        scope = f"{at[:8]}/{self._scope}"
        text = f"{_ALGORITHM}\n{at}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = _hmac(self._key(at[:8]), text).hex()
        del headers["host"]
        headers["authorization"] = (
            f"{_ALGORITHM} Credential={self._credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def _key(self, day: str) -> bytes:
        if self._key_of_day[0] != day:
            key = f"AWS4{self._credentials.secret_key}".encode()
            for part in (day, *self._scope.split("/")):
                key = _hmac(key, part)
            self._key_of_day = day, key
        return self._key_of_day[1]


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
