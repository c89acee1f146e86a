"""Signed tokens as text (JWS Compact Serialization, RFC 7515, section 7.1), read strictly.

One token has one text: no padding, no whitespace, no other alphabet, no bits that decoders drop.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from remit.auth.strict_json import NotAnObject, parse_object
from remit.errors import NotAuthenticated

MAX_TOKEN_CHARACTERS = 8192
MAX_KID_CHARACTERS = 256

REFUSED_MEMBERS: Mapping[str, str] = MappingProxyType(
    {
        "crit": "it asks for extensions (RFC 7515, 4.1.11), of which none is known here",
        "jwk": "it brings its own key",
        "jku": "it says where to fetch its key",
        "x5c": "it brings its own certificate",
        "x5u": "it says where to fetch its certificate",
        "cty": "it holds another token",
        "enc": "it is encrypted",
        "zip": "it is compressed",
        "b64": "its payload is not base64 (RFC 7797)",
    }
)
"""Members of a header that no token may have, to the reason. Keys come from the settings alone."""

TYPES = frozenset({"jwt", "at+jwt"})
"""What `typ` may be, in any case (RFC 7515, 4.1.9); an access token's is `at+jwt` (RFC 9068)."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_PADDING = (b"", b"", b"==", b"=")
# The last character of a text whose length is no multiple of four has 4 or 2 bits too many.
_LAST = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")


class Signed(NamedTuple):
    """A token, taken apart. Nothing in it is true before its signature has been checked."""

    algorithm: str
    kid: str | None
    """Which key it names; None: it names none."""
    header: Mapping[str, Any]
    payload: bytes
    text: bytes
    """What is signed."""
    signature: bytes


def parse(token: str) -> Signed:
    """Take a token apart.

    Raises:
        NotAuthenticated: it is no signed token, or its header says what no header may.
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise NotAuthenticated(f"the token is longer than {MAX_TOKEN_CHARACTERS} characters")
    if _TOKEN.fullmatch(token) is None:
        raise NotAuthenticated(f"the token is not a signed one: {_why_not(token)}")
    whole = token.encode()
    header, payload, signature = whole.split(b".")
    members = _members(header)
    return Signed(
        algorithm=members["alg"],
        kid=members.get("kid"),
        header=members,
        payload=decoded(payload, "payload"),
        text=whole[: len(header) + 1 + len(payload)],
        signature=decoded(signature, "signature"),
    )


def is_kid(value: Any) -> bool:
    """Whether it can name a key."""
    return isinstance(value, str) and 0 < len(value) <= MAX_KID_CHARACTERS and value.isprintable()


def _members(text: bytes) -> dict[str, Any]:
    try:
        header = parse_object(decoded(text, "header"))
    except NotAnObject as error:
        raise NotAuthenticated(f"the token's header {error}") from None
    for name in REFUSED_MEMBERS.keys() & header.keys():
        raise NotAuthenticated(f"the token's header has {name!r}: {REFUSED_MEMBERS[name]}")
    if not isinstance(header.get("alg"), str):
        raise NotAuthenticated("the token's header has no 'alg', or one that is not text")
    if "kid" in header and not is_kid(header["kid"]):
        raise NotAuthenticated(
            f"the token's 'kid' is not 1 to {MAX_KID_CHARACTERS} printable characters"
        )
    if "typ" in header:
        kind = header["typ"]
        if not isinstance(kind, str) or kind.lower() not in TYPES:
            raise NotAuthenticated("the token's 'typ' is neither 'JWT' nor 'at+jwt'")
    return header


def decoded(text: bytes, part: str) -> bytes:
    """The bytes of one part.

    Raises:
        NotAuthenticated: it has padding, or more bits than bytes. `part` says which it is.
        ValueError: it has a character of another alphabet.
    """
    over = len(text) % 4
    if over == 1 or (over and text[-1] not in _LAST[over]):
        raise NotAuthenticated(f"the token's {part} is not base64url, or has bits too many")
    return a2b_base64(text.translate(_TO_STANDARD) + _PADDING[over])


def _why_not(token: str) -> str:
    if not token.isascii():
        return "it has a character that is not ASCII"
    if any(character.isspace() for character in token):
        return "it has whitespace in it"
    parts = token.split(".")
    if len(parts) == 5:
        return "it is encrypted (five parts)"
    if len(parts) != 3:
        return f"it has {len(parts)} parts in place of three"
    if not parts[2]:
        return "its signature is empty"
    if not all(parts):
        return "one of its parts is empty"
    return "it has a character that base64url does not have"
