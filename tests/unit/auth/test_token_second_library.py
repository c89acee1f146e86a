"""Tokens that another library (joserfc) makes: good ones are accepted, and hostile ones refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwe, jws
from joserfc import jwt as jose
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from remit.auth import TokenSettings, Verifier, mint
from remit.errors import NotAuthenticated
from tests.support.clock import ManualClock
from tests.support.tokens import AUDIENCE, ISSUER, NAMED, SECRET, b64, claims

pytestmark = [
    pytest.mark.filterwarnings("ignore:EdDSA is deprecated"),  # by the name Ed25519, RFC 9864
    pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning"),
]

RSA = RSAKey.generate_key(2048, {"kid": "rsa", "alg": "RS256", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec", "alg": "ES256", "use": "sig"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed", "alg": "EdDSA", "use": "sig"})
ED_NEW = OKPKey.generate_key("Ed25519", {"kid": "ed-new", "alg": "Ed25519"})
SECRET_KEY = OctKey.import_key(SECRET)
NAMED_KEY = OctKey.import_key(NAMED["new"])


@pytest.fixture
def verifier(tmp_path: Path) -> Iterator[Verifier]:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(KeySet([RSA, EC, ED, ED_NEW]).as_dict(private=False)))
    settings = TokenSettings(
        secret=SECRET,
        keys=f"new:{NAMED['new']}",
        jwks=str(file),
        issuer=ISSUER,
        audience=AUDIENCE,
    )
    verifier = Verifier(settings, ManualClock())
    yield verifier
    verifier.stop()


def made(header: dict[str, Any], key: Any, **changed: Any) -> str:
    return jose.encode(header, claims(ManualClock()(), **changed), key, algorithms=[header["alg"]])


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ({"alg": "HS256"}, SECRET_KEY),
        ({"alg": "HS256", "kid": "new"}, NAMED_KEY),
        ({"alg": "RS256", "kid": "rsa"}, RSA),
        ({"alg": "ES256", "kid": "ec"}, EC),
        ({"alg": "EdDSA", "kid": "ed"}, ED),
        ({"alg": "Ed25519", "kid": "ed-new"}, ED_NEW),
        ({"alg": "RS256", "kid": "rsa", "typ": "at+jwt"}, RSA),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else "",
)
def test_its_tokens_are_accepted(verifier: Verifier, header: dict[str, Any], key: Any) -> None:
    caller = verifier.verify(made(header, key, email="ada@example.com"))
    assert (caller.merchant_id, caller.email) == ("merchant-1", "ada@example.com")


def test_it_accepts_ours() -> None:
    settings = TokenSettings(keys=f"new:{NAMED['new']}", issuer=ISSUER, audience=AUDIENCE)
    token = mint(settings, "merchant-1", permissions=["payments"], now=ManualClock()())
    read = jose.decode(token, NAMED_KEY, algorithms=["HS256"])
    assert read.claims["merchant_id"] == "merchant-1"
    assert read.header == {"alg": "HS256", "kid": "new", "typ": "JWT"}


@pytest.mark.parametrize(
    ("header", "key", "why"),
    [
        ({"alg": "HS256"}, OctKey.generate_key(256), "HS256 key"),
        ({"alg": "HS512"}, SECRET_KEY, "not HS256"),
        ({"alg": "HS256", "kid": "rsa"}, SECRET_KEY, "not RS256"),
        ({"alg": "RS256"}, RSA, "not HS256"),
        ({"alg": "RS256", "kid": "new"}, RSA, "not HS256"),
        ({"alg": "RS256", "kid": "rsa"}, RSAKey.generate_key(2048), "RS256 key"),
        ({"alg": "PS256", "kid": "rsa"}, RSAKey.import_key(RSA.as_pem(private=True)), "not RS256"),
        ({"alg": "ES256", "kid": "ec"}, ECKey.generate_key("P-256"), "ES256 key"),
        ({"alg": "ES384", "kid": "ec"}, ECKey.generate_key("P-384"), "not ES256"),
        ({"alg": "EdDSA", "kid": "ed"}, OKPKey.generate_key("Ed25519"), "EdDSA key"),
        ({"alg": "EdDSA", "kid": "ed"}, OKPKey.generate_key("Ed448"), "EdDSA key"),
        ({"alg": "Ed25519", "kid": "ed"}, OKPKey.import_key(ED.as_pem(private=True)), "not EdDSA"),
        ({"alg": "RS256", "kid": "rsa", "jwk": RSA.as_dict(private=False)}, RSA, "has 'jwk'"),
        ({"alg": "RS256", "kid": "rsa", "jku": "https://evil.example/"}, RSA, "has 'jku'"),
        ({"alg": "HS256", "kid": "../../dev/null"}, OctKey.generate_key(256), "of no key"),
        ({"alg": "HS256", "typ": "JOSE"}, SECRET_KEY, "'typ' is neither"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_its_hostile_tokens_are_refused(
    verifier: Verifier, header: dict[str, Any], key: Any, why: str
) -> None:
    with pytest.raises(NotAuthenticated, match=why):
        verifier.verify(made(header, key))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"iss": "evil"}, "'iss' is not the issuer"),
        ({"aud": "other"}, "'aud' does not have"),
        ({"exp": 0}, "has expired"),
        ({"merchant_id": None}, "not a merchant's id"),
    ],
    ids=str,
)
def test_its_signature_does_not_make_claims_true(
    verifier: Verifier, changed: dict[str, Any], why: str
) -> None:
    with pytest.raises(NotAuthenticated, match=why):
        verifier.verify(made({"alg": "HS256"}, SECRET_KEY, **changed))


def test_its_unsigned_tokens_are_refused(verifier: Verifier) -> None:
    with pytest.raises(NotAuthenticated, match="signature is empty"):
        verifier.verify(made({"alg": "none"}, SECRET_KEY))


def test_its_encrypted_tokens_are_refused(verifier: Verifier) -> None:
    """The public key encrypts for whoever has the private one, and proves nothing."""
    encryption = RSAKey.import_key(RSA.as_pem(private=False))
    text = json.dumps(claims(ManualClock()()))
    header = {"alg": "RSA-OAEP", "enc": "A256GCM", "kid": "rsa"}
    token = jwe.encrypt_compact(header, text, encryption, algorithms=["RSA-OAEP", "A256GCM"])
    assert token.count(".") == 4
    with pytest.raises(NotAuthenticated, match="it is encrypted"):
        verifier.verify(token)


def test_its_detached_and_unencoded_payloads_are_refused(verifier: Verifier) -> None:
    header, payload, signature = made({"alg": "HS256"}, SECRET_KEY).split(".")
    with pytest.raises(NotAuthenticated, match="parts is empty"):
        verifier.verify(f"{header}..{signature}")
    assert payload


def test_its_json_serialization_is_refused(verifier: Verifier) -> None:
    text = json.dumps(claims(ManualClock()()))
    member = {"protected": {"alg": "HS256"}}
    value = jws.serialize_json(member, text, SECRET_KEY, algorithms=["HS256"])  # type: ignore[arg-type]
    for token in (json.dumps(value), b64(json.dumps(value).encode())):
        with pytest.raises(NotAuthenticated):
            verifier.verify(token)
