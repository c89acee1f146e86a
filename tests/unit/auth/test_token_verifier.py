from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from remit.auth import TokenSettings, Verifier, mint
from remit.auth.tokens import signing_key
from remit.errors import ConfigurationError, NotAuthenticated
from tests.support.clock import ManualClock
from tests.support.hostile import HS, good
from tests.support.tokens import AUDIENCE, ISSUER, NAMED, SECRET, claims, compact, hs


def settings(**changed: Any) -> TokenSettings:
    return TokenSettings(**{"secret": SECRET, "issuer": ISSUER, "audience": AUDIENCE, **changed})


def as_keys(*kids: str) -> str:
    return ",".join(f"{kid}:{NAMED[kid]}" for kid in kids)


def minted(made_by: TokenSettings, **options: Any) -> str:
    now = ManualClock()()
    return mint(made_by, "merchant-1", permissions=["payments"], now=now, **options)


def accepts(by: TokenSettings, token: str) -> bool:
    try:
        return Verifier(by, ManualClock()).verify(token).merchant_id == "merchant-1"
    except NotAuthenticated:
        return False


def test_a_caller_is_what_the_token_says() -> None:
    clock = ManualClock()
    token = compact(
        HS,
        claims(clock(), permissions=["refunds", "payments"], email="ada@example.com", jti="id-1"),
        hs(),
    )
    caller = Verifier(settings(), clock).verify(token)
    assert (caller.merchant_id, caller.email, caller.token_id) == (
        "merchant-1",
        "ada@example.com",
        "id-1",
    )
    assert caller.permissions == {"payments", "refunds"}


def test_a_star_is_no_wildcard_and_no_permissions_are_none() -> None:
    clock = ManualClock()
    verifier = Verifier(settings(), clock)
    star = verifier.verify(compact(HS, claims(clock(), permissions=["*"]), hs()))
    none = verifier.verify(compact(HS, claims(clock(), "permissions"), hs()))
    assert not star.may("payments")
    assert none.permissions == frozenset()


def test_tokens_as_pyjwt_makes_them_are_accepted() -> None:
    now = ManualClock()()
    assert accepts(settings(), jwt.encode(claims(now), SECRET, algorithm="HS256"))


@pytest.mark.parametrize(
    ("before", "during", "after"),
    [
        (settings(), settings(keys=as_keys("new")), settings(secret="", keys=as_keys("new"))),
        (
            settings(secret="", keys=as_keys("old")),
            settings(secret="", keys=as_keys("new", "old")),
            settings(secret="", keys=as_keys("new")),
        ),
    ],
    ids=["from JWT_SECRET", "from a named key"],
)
def test_during_a_rotation_old_and_new_verify_and_the_new_one_signs(
    before: TokenSettings, during: TokenSettings, after: TokenSettings
) -> None:
    old, new = minted(before), minted(during)
    assert jwt.get_unverified_header(new)["kid"] == "new"
    assert [accepts(one, old) for one in (before, during, after)] == [True, True, False]
    assert [accepts(one, new) for one in (before, during, after)] == [False, True, True]


def test_a_key_of_a_file_signs_if_none_of_the_environment_does(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"new:{NAMED['new']}\nfile:{'f' * 32}\n")
    assert signing_key(settings(keys_file=str(file))) == ("new", NAMED["new"])
    both = settings(keys=as_keys("old"), keys_file=str(file))
    assert signing_key(both) == ("old", NAMED["old"])
    assert signing_key(both, "file") == ("file", "f" * 32)


def test_a_key_is_chosen_by_its_kid() -> None:
    made_by = settings(keys=as_keys("new", "old"))
    token = minted(made_by, kid="old")
    assert jwt.get_unverified_header(token)["kid"] == "old"
    assert accepts(made_by, token)
    with pytest.raises(
        ConfigurationError, match="no key that signs has the kid 'x'; there are: 'new', 'old'"
    ):
        minted(made_by, kid="x")


def test_public_keys_sign_nothing() -> None:
    made_by = settings(secret="", jwks="https://login.example/jwks.json")
    with pytest.raises(ConfigurationError, match="there is no key to sign with"):
        minted(made_by)


def test_a_minted_token_has_an_id_of_its_own() -> None:
    ids = [
        jwt.decode(minted(settings(), **options), options={"verify_signature": False})["jti"]
        for options in ({}, {}, {"token_id": "mine"})
    ]
    assert len(set(ids)) == 3
    assert ids[2] == "mine"
    assert len(ids[0]) == 32


def test_a_minted_token_lives_as_long_as_may_be() -> None:
    made_by = settings(max_lifetime=timedelta(minutes=10))
    token = minted(made_by)
    read = jwt.decode(token, options={"verify_signature": False})
    assert read["exp"] - read["iat"] == 600
    assert accepts(made_by, token)
    assert not accepts(settings(max_lifetime=timedelta(minutes=9)), token)


def test_a_revoked_token_is_refused_and_others_are_not() -> None:
    revoking = settings(revocation=True)
    verifier = Verifier(revoking, ManualClock(), is_revoked={"bad"}.__contains__)
    assert verifier.verify(minted(revoking, token_id="good")).token_id == "good"
    with pytest.raises(NotAuthenticated, match="was revoked"):
        verifier.verify(minted(revoking, token_id="bad"))


def test_with_revocation_a_token_has_an_id() -> None:
    clock = ManualClock()
    verifier = Verifier(settings(revocation=True), clock, is_revoked=lambda _: False)
    for token in (good(clock()), compact(HS, claims(clock(), jti=""), hs())):
        with pytest.raises(NotAuthenticated, match="no 'jti'"):
            verifier.verify(token)


def test_a_forged_token_does_not_ask_for_the_list() -> None:
    clock = ManualClock()
    asked: list[str] = []

    def is_revoked(token_id: str) -> bool:
        asked.append(token_id)
        return False

    verifier = Verifier(settings(revocation=True), clock, is_revoked=is_revoked)
    with pytest.raises(NotAuthenticated):
        verifier.verify(compact(HS, claims(clock(), jti="id-1"), hs("x" * 40)))
    assert asked == []


def test_a_verifier_without_the_list_that_the_settings_want_is_none() -> None:
    with pytest.raises(ConfigurationError, match="JWT_REVOCATION"):
        Verifier(settings(revocation=True))


def test_a_token_as_long_as_may_be_is_read_fast() -> None:
    """What costs more than its length would be a way to keep the hook busy."""
    verifier = Verifier(settings())
    for text in ("A" * 8192, "." * 8192, "A." * 4096, "A" * 4000 + "." + "[" * 4000 + ".A"):
        started = time.perf_counter()
        with pytest.raises(NotAuthenticated):
            verifier.verify(text)
        assert time.perf_counter() - started < 0.1
