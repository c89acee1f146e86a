"""Tokens that nobody may be let in with, each with the reason that the log gives.

The verifier that they are for has the keys of `tests.support.tokens`: a secret without a `kid`, the
secrets `new` and `old`, and the public keys `rsa`, `ec` and `ed`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.tokens import (
    NAMED,
    SECRET,
    Sign,
    b64,
    claims,
    compact,
    ec_key,
    ed_key,
    eddsa,
    es,
    es_der,
    hs,
    nothing,
    public_der,
    public_pem,
    raw_ed,
    rs,
    rsa_jwk,
    rsa_key,
)

Make = Callable[[datetime], str]

HS = {"alg": "HS256", "typ": "JWT"}


@dataclass(frozen=True)
class Hostile:
    """A token, made for an instant."""

    name: str
    make: Make
    why: str
    """What the log says, as a regular expression."""


def algorithms() -> Iterator[Hostile]:
    """The token chooses how it is checked."""
    for none in ("none", "None", "NONE", "nOnE"):
        yield _signed(f"{none}, unsigned", "signature is empty", {"alg": none}, nothing)
        yield _signed(f"{none}, signed", "its algorithm is none", {"alg": none}, hs())
    for text, secret in (("PEM", public_pem()), ("DER", public_der()), ("JWK", _jwk_text())):
        yield _signed(
            f"the public RSA key as a secret, as {text}",
            "not RS256, which is that of its key",
            {"alg": "HS256", "kid": "rsa"},
            hs(secret),
        )
        yield _signed(
            f"the same without its kid, as {text}", "not that of the HS256 key", HS, hs(secret)
        )
    yield _signed(
        "the public Ed25519 key as a secret",
        "not EdDSA",
        {"alg": "HS256", "kid": "ed"},
        hs(raw_ed()),
    )
    yield _signed("RS256 for the secret", "not HS256", {"alg": "RS256"}, rs())
    yield _signed("RS256 for a named secret", "not HS256", {"alg": "RS256", "kid": "new"}, rs())
    yield _signed("EdDSA for the RSA key", "not RS256", {"alg": "EdDSA", "kid": "rsa"}, eddsa())
    for name, digest in (("HS384", "sha384"), ("HS512", "sha512")):
        yield _signed(name, "not HS256", {"alg": name}, hs(SECRET, digest))
    rsa = {"kid": "rsa"}
    yield _signed("RS384", "not RS256", {"alg": "RS384", **rsa}, rs(algorithm=hashes.SHA384()))
    yield _signed("PS256", "not RS256", {"alg": "PS256", **rsa}, rs(pss=True))
    yield _signed("PS256 called RS256", "signature", {"alg": "RS256", **rsa}, rs(pss=True))
    p384 = ec_key("p384", ec.SECP384R1)
    sign = es(p384, hashes.SHA384())
    yield _signed("ES384", "not ES256", {"alg": "ES384", "kid": "ec"}, sign)
    yield _signed("P-384 called ES256", "signature", {"alg": "ES256", "kid": "ec"}, sign)
    k1 = es(ec_key("k1", ec.SECP256K1))
    yield _signed("ES256K", "not ES256", {"alg": "ES256K", "kid": "ec"}, k1)
    yield _signed("secp256k1 called ES256", "signature", {"alg": "ES256", "kid": "ec"}, k1)
    yield _signed("hs256", "not HS256", {"alg": "hs256"}, hs())
    yield _signed("HS256 and a space", "not HS256", {"alg": "HS256 "}, hs())
    yield _signed("no alg", "no 'alg'", {"typ": "JWT"}, hs())
    for alg in (None, 256, ["HS256"], {"HS256": 1}, True):
        yield _signed(f"alg is {alg}", "no 'alg', or one that is not text", {"alg": alg}, hs())


def signatures() -> Iterator[Hostile]:
    """The right algorithm, and not the key's signature."""
    ec_, rsa, ed = (
        {"alg": a, "kid": k} for a, k in (("ES256", "ec"), ("RS256", "rsa"), ("EdDSA", "ed"))
    )
    yield _signed("another secret", "not that of the HS256 key", HS, hs("x" * 48))
    yield _signed("an empty secret", "not that of the HS256 key", HS, hs(b""))
    yield _signed("another RSA key", "RS256 key", rsa, rs(rsa_key("another")))
    yield _signed("another EC key", "ES256 key", ec_, es(ec_key("another")))
    yield _signed("another Ed25519 key", "EdDSA key", ed, eddsa(ed_key("another")))
    yield _signed("r and s swapped", "ES256 key", ec_, es(swapped=True))
    yield _signed("ECDSA as DER", "ES256 key", ec_, es_der())
    yield _signed("r and s are 0", "ES256 key", ec_, lambda _: bytes(64))
    yield _signed("r is 1, s is 0", "ES256 key", ec_, lambda _: b"\1".rjust(32, b"\0") + bytes(32))
    yield _signed("an empty one", "signature is empty", HS, nothing)
    yield _signed("half of one", "HS256 key", HS, lambda text: hs()(text)[:16])
    yield _signed("one and a byte", "HS256 key", HS, lambda text: hs()(text) + b"\0")
    yield _signed("as hex", "HS256 key", HS, lambda text: hs()(text).hex().encode())
    yield _signed("an RSA signature of zeros", "RS256 key", rsa, lambda _: bytes(256))
    yield _signed("an Ed25519 signature of zeros", "EdDSA key", ed, lambda _: bytes(64))
    yield _changed("claims of another token", "HS256 key", _with_claims_of_another)
    yield _changed("header of another token", "HS256 key", _with_another_header)
    yield _changed("a bit that decoders drop", "bits too many", _with_a_dropped_bit)


def kids() -> Iterator[Hostile]:
    """The token says which key it is checked with."""
    for kid in (
        "../../../../../../dev/null",
        "/etc/passwd",
        "file:///dev/null",
        "https://evil.example/key",
        "' UNION SELECT 'secret' --",
        "new' OR '1'='1",
        "$(id)",
        "__class__",
        "unknown",
        " new",
        "NEW",
        "*",
    ):
        for secret in (b"", SECRET):
            yield _signed(
                f"kid {kid} and {len(secret)} bytes",
                "that of no key",
                {**HS, "kid": kid},
                hs(secret),
            )
    yield _signed("kid of another secret", "HS256 key", {**HS, "kid": "old"}, hs(NAMED["new"]))
    yield _signed("kid, and the secret without one", "HS256 key", {**HS, "kid": "new"}, hs())
    yield _signed("no kid, and a secret with one", "HS256 key", HS, hs(NAMED["new"]))
    yield _signed("no kid, and EdDSA", "not HS256", {"alg": "EdDSA"}, eddsa())
    for kid in ("", 0, None, ["new"], {"new": 1}, "new\n", "new\0", "\ud800", "k" * 257):
        yield _signed(f"kid is {kid!r}"[:40], "'kid' is not 1 to", {**HS, "kid": kid}, hs())


def headers() -> Iterator[Hostile]:
    """The token brings a key along, or asks for what is not there."""
    own = rsa_key("another")
    signed = rs(own)
    for name, value in (
        ("jwk", rsa_jwk("rsa", own)),
        ("jku", "https://evil.example/jwks.json"),
        ("x5u", "https://evil.example/cert.pem"),
        ("x5c", ["MIIB"]),
    ):
        header = {"alg": "RS256", "kid": "rsa", name: value}
        yield _signed(f"{name}, and its key", f"header has '{name}'", header, signed)
        yield _signed(f"{name}, and the right key", f"header has '{name}'", header, rs())
    for crit in (["exp"], ["b64"], [], None, "exp", ["http://example.com/unknown"]):
        yield _signed(f"crit is {crit}", "header has 'crit'", {**HS, "crit": crit}, hs())
    for name, value in (("b64", False), ("zip", "DEF"), ("enc", "A256GCM"), ("cty", "JWT")):
        yield _signed(name, f"header has '{name}'", {**HS, name: value}, hs())
    for typ in ("JWE", "dpop+jwt", "logout+jwt", "", None, 1, ["JWT"]):
        yield _signed(f"typ is {typ!r}", "'typ' is neither", {"alg": "HS256", "typ": typ}, hs())
    for name, header, why in (
        ("alg twice", b'{"alg":"none","alg":"HS256"}', "header names a member twice"),
        ("alg twice, once escaped", b'{"alg":"none","\\u0061lg":"HS256"}', "a member twice"),
        ("kid twice", b'{"alg":"HS256","kid":"old","kid":"new"}', "header names a member twice"),
        ("a list", b'["HS256"]', "header is not a JSON object"),
        ("a text", b'"HS256"', "header is not a JSON object"),
        ("not JSON", b"{'alg':'HS256'}", "header is not JSON"),
        ("JSON and more", b'{"alg":"HS256"}{}', "header is not JSON"),
        ("not UTF-8", b'{"alg":"HS256","a":"\xff"}', "header is not UTF-8"),
        ("UTF-16", '{"alg":"HS256"}'.encode("utf-16"), "header is not UTF-8"),
        ("a byte order mark", b'\xef\xbb\xbf{"alg":"HS256"}', "header is not JSON"),
        ("deep", b'{"alg":"HS256","a":' + b"[" * 5000 + b"]}", "header is not JSON, or too deep"),
    ):
        yield _signed(f"header: {name}", why, header, hs())


def missing_and_wrong_claims() -> Iterator[Hostile]:
    """A claim is not there, or is of another type."""
    for name in ("iss", "aud", "exp", "iat", "merchant_id"):
        yield _claims(f"no {name}", f"no claim '{name}'", without=name)
        for value in (None, {}, True):
            yield _claims(f"{name} is {value}", f"claim '{name}'", **{name: value})
    for name in ("exp", "iat", "nbf"):
        for value in ("1795445753", [1795445753], False, -(2**53), 2**53):
            yield _claims(f"{name} is {value!r}", f"'{name}' is not a time", **{name: value})
        for number in ("1e999", "-1e999", "9" * 400, "9" * 5000, "NaN", "Infinity", "-Infinity"):
            yield _payload(
                f"{name} is {number[:9]} ({len(number)})", "claim|JSON|NaN", name, number
            )
    yield _claims("iss is a list", "'iss' is not text", iss=["tests"])
    yield _claims("aud is a number", "'aud' is neither", aud=7)
    yield _claims("aud has a number", "'aud' is neither", aud=["payment-api", 7])
    for value in (7, ["merchant-1"], "", "a\nb", "a\0b", "\ud800", "m" * 2049):
        name = f"merchant_id is {value!r}"[:40]
        yield _claims(name, "not a merchant's id", merchant_id=value)
    for value in ("payments", "*", {"payments": True}, ["payments", 1], [None], [["*"]], None, 1):
        yield _claims(f"permissions are {value}", "'permissions' is not", permissions=value)
    for name in ("email", "jti"):
        for value in (7, ["a"], None, {}, "a\nb", "\x1b[2J", "\ud800", "a" * 257):
            yield _claims(f"{name} is {value!r}"[:40], f"'{name}' is not text", **{name: value})


def untrue_claims() -> Iterator[Hostile]:
    """A claim says something that does not let anyone in."""
    for issuer in ("", "test", "tests ", "TESTS", "tests\0"):
        yield _claims(f"iss is {issuer!r}", "'iss' is not the issuer", iss=issuer)
    for audience in ("", "payment-ap", "PAYMENT-API", [], ["other"], ["payment-api "]):
        yield _claims(f"aud is {audience!r}", "'aud' does not have", aud=audience)
    yield _at("expired", "has expired", iat=-3600, exp=-30)
    yield _at("expired long ago", "has expired", iat=-(10**9), exp=-(10**9) + 60)
    yield _claims("exp is 0", "has expired", exp=0)
    yield _claims("exp is negative", "has expired", exp=-1)
    yield _at("issued in the future", "issued in the future", iat=31, exp=1800)
    yield _at("issued in milliseconds", "issued in the future", iat=10**12, exp=10**12 + 60)
    yield _at("not valid yet", "not valid yet", iat=0, exp=1800, nbf=31)
    yield _at("lives too long", "does not live between", iat=0, exp=3601)
    yield _at("lives for ever", "does not live between", iat=0, exp=10**10)
    yield _at("expires before it is issued", "does not live between", iat=20, exp=10)
    yield _at("lives for no time", "does not live between", iat=0, exp=0)
    yield _claims("iat is 0", "does not live between", iat=0)
    yield _claims("iat is negative", "does not live between", iat=-1)


def payloads() -> Iterator[Hostile]:
    """What is signed is not one JSON object that says everything once."""
    twice = "payload names a member twice"
    yield _payload("merchant_id twice", twice, "merchant_id", '"merchant-2"', keep=True)
    yield _payload("exp twice", twice, "exp", "9999999999", keep=True)
    yield _payload("permissions twice", twice, "permissions", '["*"]', keep=True)
    yield _payload("merchant_id escaped", twice, "merchant\\u005fid", '"merchant-2"', keep=True)
    yield _payload("a member of a member twice", twice, "a", '{"b": 1, "b": 2}', keep=True)
    for name, payload, why in (
        ("a list", b"[]", "payload is not a JSON object"),
        ("a text", b'"merchant-1"', "payload is not a JSON object"),
        ("null", b"null", "payload is not a JSON object"),
        ("not JSON", b"merchant_id=merchant-1", "payload is not JSON"),
        ("not UTF-8", b'{"merchant_id":"\xff"}', "payload is not UTF-8"),
        ("deep", b'{"a":' + b"[" * 2800 + b"]" * 2800 + b"}", "payload is not JSON, or too deep"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0", "payload is not UTF-8"),
        ("empty", b" ", "payload is not JSON"),
    ):
        yield Hostile(f"payload: {name}", lambda now, p=payload: compact(HS, p, hs()), why)  # type: ignore[misc]


def texts() -> Iterator[Hostile]:
    """Not the text of a signed token."""

    def of(change: Callable[[list[str]], str]) -> Make:
        return lambda now: change(good(now).split("."))

    yield Hostile("no signature part", of(lambda p: ".".join(p[:2])), "2 parts in place of three")
    yield Hostile("one part", of(lambda p: p[0]), "1 parts in place of three")
    yield Hostile("four parts", of(lambda p: ".".join([*p, p[2]])), "4 parts in place of three")
    yield Hostile("five parts", of(lambda p: ".".join([*p, *p[:2]])), "it is encrypted")
    yield Hostile("no header", of(lambda p: f".{p[1]}.{p[2]}"), "parts is empty")
    yield Hostile("no payload", of(lambda p: f"{p[0]}..{p[2]}"), "parts is empty")
    yield Hostile("dots", lambda now: "..", "signature is empty")
    yield Hostile("whitespace in it", of(" . ".join), "whitespace")
    yield Hostile("a tab in it", of(".\t".join), "whitespace")
    yield Hostile("a line break in it", of(".\n".join), "whitespace")
    yield Hostile("padding", lambda now: good(now) + "=", "base64url does not have")
    yield Hostile("the other alphabet", of(lambda p: f"{p[0]}.{p[1]}.+/{p[2]}"), "does not have")
    yield Hostile("a NUL", of("\0".join), "parts in place of three|does not have")
    yield Hostile("quotes", lambda now: f'"{good(now)}"', "does not have")
    yield Hostile("Latin-1", of(lambda p: f"{p[0]}\xe9.{p[1]}.{p[2]}"), "not ASCII")
    yield Hostile(
        "a digit of another script", of(lambda p: f"{p[0]}\xb2.{p[1]}.{p[2]}"), "not ASCII"
    )
    yield Hostile(
        "a character too many", of(lambda p: f"{p[0]}A.{p[1]}.{p[2]}"), "base64url|JSON|UTF"
    )
    yield Hostile("as a JSON object", of(_json_serialization), "whitespace")
    yield Hostile(
        "oversized", lambda now: compact(HS, claims(now, x="x" * 8192), hs()), "longer than 8192"
    )
    yield Hostile("a megabyte", lambda now: "A" * 2**20, "longer than 8192")
    yield Hostile(
        "dots without end", lambda now: "." * 8000, "8001 parts|is empty|in place of three"
    )
    yield Hostile("a token in a token", _nested, "header has 'cty'")
    yield Hostile("a token in a token, unsaid", _nested_unsaid, "payload is not JSON")


def table() -> list[Hostile]:
    """All of them."""
    groups = (
        algorithms,
        signatures,
        kids,
        headers,
        missing_and_wrong_claims,
        untrue_claims,
        payloads,
        texts,
    )
    return [hostile for group in groups for hostile in group()]


def good(now: datetime) -> str:
    """What all of them would be without what is wrong with them."""
    return compact(HS, claims(now), hs())


def _signed(name: str, why: str, header: Any, sign: Sign) -> Hostile:
    return Hostile(name, lambda now: compact(header, claims(now), sign), why)


def _claims(name: str, why: str, without: str = "", **changed: Any) -> Hostile:
    return Hostile(name, lambda now: compact(HS, claims(now, without, **changed), hs()), why)


def _at(name: str, why: str, **seconds: int) -> Hostile:
    def make(now: datetime) -> str:
        times = {claim: int(now.timestamp()) + offset for claim, offset in seconds.items()}
        return compact(HS, claims(now, **times), hs())

    return Hostile(name, make, why)


def _payload(name: str, why: str, claim: str, text: str, *, keep: bool = False) -> Hostile:
    """A claim as this JSON text; beside the good one, if that is kept."""

    def make(now: datetime) -> str:
        others = json.dumps(claims(now, "" if keep else claim))
        return compact(HS, f'{others[:-1]}, "{claim}": {text}}}'.encode(), hs())

    return Hostile(name, make, why)


def _changed(name: str, why: str, change: Callable[[list[str], datetime], str]) -> Hostile:
    return Hostile(name, lambda now: change(good(now).split("."), now), why)


def _with_claims_of_another(parts: list[str], now: datetime) -> str:
    other = json.dumps(claims(now, merchant_id="merchant-2")).encode()
    return f"{parts[0]}.{b64(other)}.{parts[2]}"


def _with_another_header(parts: list[str], now: datetime) -> str:
    return f"{b64(json.dumps({'alg': 'HS256'}).encode())}.{parts[1]}.{parts[2]}"


def _with_a_dropped_bit(parts: list[str], now: datetime) -> str:
    """32 bytes end in a character of which two bits are dropped."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet[alphabet.index(parts[2][-1]) | 1]
    return f"{parts[0]}.{parts[1]}.{parts[2][:-1]}{last}"


def _json_serialization(parts: list[str]) -> str:
    return json.dumps(dict(zip(("protected", "payload", "signature"), parts, strict=True)))


def _nested(now: datetime) -> str:
    return compact({**HS, "cty": "JWT"}, good(now).encode(), hs())


def _nested_unsaid(now: datetime) -> str:
    return compact(HS, good(now).encode(), hs())


def _jwk_text() -> bytes:
    return json.dumps(rsa_jwk()).encode()
