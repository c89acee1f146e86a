from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from remit.auth.jwks import FAULTS, MAX_KEYS, parse_jwks
from remit.errors import ConfigurationError
from tests.support.tokens import (
    b64,
    ec_jwk,
    ec_key,
    ed_jwk,
    eddsa,
    es,
    jwks,
    rs,
    rsa_jwk,
    rsa_key,
)

UNUSABLE: list[tuple[dict[str, Any], str]] = [
    (rsa_jwk(kid=""), "has no kid"),
    (rsa_jwk(kid=7), "has no kid"),
    (rsa_jwk(kid="a\nb"), "has no kid"),
    ({"kty": "oct", "kid": "a", "alg": "HS256", "k": b64(b"k" * 32)}, "is a secret"),
    (rsa_jwk(d="AQAB"), "has private parts"),
    (ec_jwk(d="AQAB"), "has private parts"),
    (ed_jwk(d="AQAB"), "has private parts"),
    (rsa_jwk(use="enc"), "is not for signatures (use)"),
    (rsa_jwk(use=None), "is not for signatures (use)"),
    (rsa_jwk(key_ops=["encrypt"]), "is not to verify (key_ops)"),
    (rsa_jwk(key_ops="verify"), "is not to verify (key_ops)"),
    ({name: value for name, value in rsa_jwk().items() if name != "alg"}, "has no alg"),
    (rsa_jwk(alg="HS256"), "has an alg that is none of"),
    (rsa_jwk(alg="none"), "has an alg that is none of"),
    (rsa_jwk(alg="RS512"), "has an alg that is none of"),
    (rsa_jwk(alg="RSA-OAEP"), "has an alg that is none of"),
    (rsa_jwk(alg=["RS256"]), "has an alg that is none of"),
    (rsa_jwk(kty="AKP"), "is not of kty RSA without crv, which RS256 needs"),
    (rsa_jwk(kty=None), "is not of kty RSA"),
    (rsa_jwk(alg="ES256"), "is not of kty EC with crv P-256, which ES256 needs"),
    (ec_jwk(alg="RS256"), "is not of kty RSA"),
    (ed_jwk(alg="ES256"), "is not of kty EC"),
    (ec_jwk(alg="EdDSA"), "is not of kty OKP with crv Ed25519"),
    (ed_jwk(crv="X25519"), "is not of kty OKP with crv Ed25519"),
    (ed_jwk(crv="Ed448"), "is not of kty OKP with crv Ed25519"),
    (ec_jwk(key=ec_key("p384", ec.SECP384R1)), "is not of kty EC with crv P-256"),
    (rsa_jwk(key=rsa_key("short", 1024)), "has 1024 bits: RS256 takes 2048 to 16384"),
    (rsa_jwk(n=b64(b"\xff" * 2049)), "has 16392 bits: RS256 takes 2048 to 16384"),
    (rsa_jwk(n="***"), "has no RSA key in it that can be read"),
    (rsa_jwk(n=7), "has no RSA key in it that can be read"),
    (rsa_jwk(e="AA"), "has no RSA key in it that can be read"),
    (ec_jwk(x=b64(b"\1" * 32)), "has no EC key in it that can be read"),
    (ec_jwk(x=b64(b"\1" * 31)), "has no EC key in it that can be read"),
    (ed_jwk(x=b64(b"\1" * 31)), "has no OKP key in it that can be read"),
    (ed_jwk(x=None), "has no OKP key in it that can be read"),
    ({"kid": "a", "alg": "ES256", "kty": "EC", "crv": "P-256"}, "has no EC key in it"),
]


def parsed(*keys: dict[str, Any], taken: tuple[str, ...] = ()) -> list[str]:
    return list(parse_jwks(jwks(*keys), "jwks.json", taken))


def test_keys_of_each_algorithm_verify_what_they_have_signed() -> None:
    keys = parse_jwks(jwks(rsa_jwk(), ec_jwk(), ed_jwk(), ed_jwk("ed2", alg="Ed25519")), "x")
    assert {kid: key.algorithm for kid, key in keys.items()} == {
        "rsa": "RS256",
        "ec": "ES256",
        "ed": "EdDSA",
        "ed2": "Ed25519",
    }
    for kid, sign in (("rsa", rs()), ("ec", es()), ("ed", eddsa()), ("ed2", eddsa())):
        signature = sign(b"text")
        assert keys[kid].is_signed(b"text", signature)
        assert not keys[kid].is_signed(b"another", signature)
        assert not keys[kid].is_signed(b"text", b"")
        assert not keys[kid].is_signed(b"text", signature[:-1])
        assert not keys[kid].is_signed(b"text", signature + b"\0")


@pytest.mark.parametrize(
    "members",
    [{"use": "sig"}, {"key_ops": ["verify"]}, {"x5c": ["MIIB"], "x5t": "abc"}, {"unknown": [1]}],
    ids=str,
)
def test_what_does_not_speak_against_a_key_is_not_looked_at(members: dict[str, Any]) -> None:
    assert parsed(rsa_jwk(**members)) == ["rsa"]


@pytest.mark.parametrize(
    ("jwk", "why"), UNUSABLE, ids=[f"{i}: {why}" for i, (_, why) in enumerate(UNUSABLE)]
)
def test_a_key_that_cannot_be_used_is_left_out_and_the_log_says_why(
    jwk: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert parsed(jwk, ed_jwk("good")) == ["good"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("key 1 (")
    assert f"of the JWKS jwks.json is not used: it {why}" in line
    assert line.isprintable()


def test_every_fault_of_the_table_has_an_example() -> None:
    found = {next((why for holds, why in FAULTS if holds(jwk)), None) for jwk, _ in UNUSABLE}
    assert {why for _, why in FAULTS} <= found


def test_two_keys_with_one_kid_are_both_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert parsed(rsa_jwk("a"), ec_jwk("a"), ed_jwk("b")) == ["b"]
    assert caplog.text.count("has a kid that another one has, too") == 2


def test_a_kid_of_the_secrets_is_not_taken_over(caplog: pytest.LogCaptureFixture) -> None:
    assert parsed(rsa_jwk("new"), ed_jwk("b"), taken=("new",)) == ["b"]
    assert "key 1 ('new') of the JWKS jwks.json is not used" in caplog.text


def test_a_set_without_keys_is_one(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert parse_jwks(b'{"keys": [], "other": 1}', "x") == {}
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "is not JSON"),
        (b"<html>", "is not JSON"),
        (b"\xff", "is not UTF-8"),
        (b"[]", "is not a JSON object"),
        (b"{}", "has no list 'keys'"),
        (b'{"keys": {}}', "has no list 'keys'"),
        (b'{"keys": ["a"]}', "has no list 'keys'"),
        (b'{"keys": [], "keys": []}', "names a member twice"),
        (b'{"keys": [{"kid": "a", "kid": "b"}]}', "names a member twice"),
        (json.dumps({"keys": [{}] * (MAX_KEYS + 1)}).encode(), "has 101 keys: 100 at most"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_jwks_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(ConfigurationError, match=f"the JWKS jwks.json {why}"):
        parse_jwks(text, "jwks.json")
