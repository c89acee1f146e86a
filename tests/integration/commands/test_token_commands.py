from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from remit.__main__ import main
from remit.audit import Actor
from remit.auth import TokenSettings, Verifier
from remit.auth.revocation import OF_NO_MERCHANT, PACE, RevokedTokens, revoke
from remit.clock import parse_instant, system_clock
from remit.errors import InvalidRequest, NotAuthenticated, StoreUnavailable, Transient
from remit.services import Services
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.tokens import AUDIENCE, ISSUER, NAMED, SECRET, claims, compact, hs

ENVIRONMENT = {
    "JWT_SECRET": SECRET,
    "JWT_KEYS": f"new:{NAMED['new']},old:{NAMED['old']}",
    "JWT_ISSUER": ISSUER,
    "JWT_AUDIENCE": AUDIENCE,
    "JWT_REVOCATION": "true",
}
SETTINGS = TokenSettings.from_environment(ENVIRONMENT)
KEYS = {None: SECRET, **NAMED}

Run = Callable[..., str]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `remit token` with these arguments; returns what it prints."""

    def run(*arguments: str, stdin: str = "", status: int = 0) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        assert main(["token", *arguments]) == status
        printed = capsys.readouterr()
        if len(signature := stdin.strip().rpartition(".")[2]) >= 16:
            assert signature not in printed.out + printed.err
        return printed.out if status == 0 else printed.out + printed.err

    return run


def read(token: str) -> dict[str, Any]:
    """The claims of a token, whose signature is checked."""
    kid = jwt.get_unverified_header(token).get("kid")
    found: dict[str, Any] = jwt.decode(
        token, KEYS[kid], algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER
    )
    return found


@pytest.mark.parametrize("action", [["mint"], []], ids=["mint", "as it was before"])
def test_a_token_is_minted(run: Run, action: list[str]) -> None:
    options = ["--merchant", "merchant-1", "--permissions", "payments, webhooks"]
    token = run(*action, *options, "--minutes", "5", "--email", "ada@example.com").strip()
    found = read(token)
    assert (found["merchant_id"], found["email"]) == ("merchant-1", "ada@example.com")
    assert found["permissions"] == ["payments", "webhooks"]
    assert found["exp"] - found["iat"] == 300
    assert len(found["jti"]) == 32
    assert jwt.get_unverified_header(token)["kid"] == "new"


def test_key_and_id_may_be_chosen(run: Run) -> None:
    options = ["mint", "--merchant", "merchant-1", "--kid", "old", "--jti", "mine"]
    token = run(*options).strip()
    assert jwt.get_unverified_header(token)["kid"] == "old"
    assert read(token)["jti"] == "mine"
    assert read(token)["exp"] - read(token)["iat"] == 3600


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ([], "remit token: --merchant must be given"),
        (["mint", "--merchant", "m", "--minutes", "61"], "remit token: --minutes is 61"),
        (["mint", "--merchant", ""], "remit token: the claim 'merchant_id' is not a merchant's id"),
        (
            ["mint", "--merchant", "m", "--jti", "a" * 257],
            "remit token: the claim 'jti' is not text",
        ),
        (["mint", "--merchant", "m", "--email", "a\nb"], "remit token: the claim 'email' is not"),
        (["mint", "--merchant", "m", "--email", "a" * 9000], "remit token: the token is longer"),
        (["mint", "--merchant", "m", "--kid", "x"], "remit token: no key that signs has the kid"),
    ],
)
def test_what_cannot_be_minted_is_told_in_a_line(run: Run, options: list[str], reason: str) -> None:
    printed = run(*options, status=1)
    assert printed.startswith(reason)
    assert printed.count("\n") == 1


def test_a_good_token_is_shown(run: Run) -> None:
    token = run("mint", "--merchant", "merchant-1")
    shown = json.loads(run("show", stdin=f"\n {token}\n"))
    assert shown["header"] == {"alg": "HS256", "kid": "new", "typ": "JWT"}
    assert shown["claims"] == read(token.strip())
    assert (shown["accepted"], shown["reason"]) == (True, None)


@pytest.mark.parametrize(
    ("header", "sign", "reason"),
    [
        ({"alg": "HS256"}, hs("x" * 40), "the signature is not that of the HS256 key"),
        ({"alg": "HS256", "kid": "x"}, hs(), "the token's 'kid' is that of no key"),
        ({"alg": "none"}, hs(), "the token is not signed: its algorithm is none"),
        (
            {"alg": "HS256", "jku": "https://evil.example/"},
            hs(),
            "the token's header has 'jku': it says where to fetch its key",
        ),
    ],
    ids=["forged", "of no key", "unsigned", "with jku"],
)
def test_a_token_that_is_not_accepted_is_shown_with_the_reason(
    run: Run, header: dict[str, Any], sign: Any, reason: str
) -> None:
    body = claims(system_clock(), jti="id-1")
    printed = run("show", stdin=compact(header, body, sign), status=1)
    document, end = json.JSONDecoder().raw_decode(printed)
    assert document == {"header": header, "claims": body, "accepted": False, "reason": reason}
    assert printed[end:].strip() == f"remit token: {reason}"


@pytest.mark.parametrize("text", ["", "nonsense", "a.b.c", "é.é.é", "a.b.c.d.e", "." * 100_000])
def test_what_is_no_token_is_shown_as_none(run: Run, text: str) -> None:
    printed = run("show", stdin=text, status=1)
    document, _ = json.JSONDecoder().raw_decode(printed)
    assert (document["header"], document["claims"]) == (None, None)
    assert document["reason"].startswith("the token")


def test_what_a_token_says_does_not_write_to_the_terminal(run: Run) -> None:
    body = claims(system_clock(), merchant_id="\x1b[2J\x9b2J\u202e")
    assert run("show", stdin=compact({"alg": "HS256"}, body, hs()), status=1).isascii()


def test_a_token_is_revoked_and_the_audit_log_says_by_whom(run: Run, services: Services) -> None:
    token = run("mint", "--merchant", "merchant-1", "--jti", "id-1")
    options = ["--jti", "id-1", "--merchant", "merchant-1", "--actor", "ops"]
    revoked = json.loads(run("revoke", *options))
    assert revoked["revoked"] == "id-1"
    until = parse_instant(revoked["until"])
    assert until == services.clock() + timedelta(hours=1, minutes=1)
    (entry,) = entries_of(services, "merchant-1")
    assert (entry.action, entry.target) == ("token.revoked", "id-1")
    assert entry.actor == Actor("ops")
    assert "the token was revoked" in run("show", stdin=token, status=1)


def test_it_is_as_good_to_revoke_a_token_twice(run: Run, services: Services) -> None:
    for _ in range(2):
        run("revoke", "--jti", "id-1")
    assert len(entries_of(services, OF_NO_MERCHANT)) == 2


@pytest.mark.parametrize(
    "options", [["--jti", ""], ["--jti", "a\nb"], ["--jti", "a", "--merchant", "\x1b"]], ids=str
)
def test_what_is_no_id_is_not_revoked(run: Run, services: Services, options: list[str]) -> None:
    assert run("revoke", *options, status=1).startswith("remit token: ")
    assert RevokedTokens(lambda: services)._read() == frozenset()


def test_nothing_is_revoked_where_nobody_looks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_REVOCATION", "false")
    assert "JWT_REVOCATION is not set here" in run("revoke", "--jti", "a", status=1)


class Monotonic:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_entry_counts_until_its_token_cannot_be_valid(
    services: Services, clock: ManualClock
) -> None:
    token = mint_at(clock, "id-1", ahead=30)
    revoke(services, SETTINGS, "id-1", actor=Actor("ops"))
    revoked = RevokedTokens(lambda: services)
    verifier = Verifier(SETTINGS, clock, is_revoked=revoked.has)
    for _ in range(61 * 4):
        revoked.renewed.renew()
        with pytest.raises(NotAuthenticated):
            verifier.verify(token)
        clock.advance(15)
    clock.advance(30)
    revoked.renewed.renew()
    assert not revoked.has("id-1")
    with pytest.raises(NotAuthenticated, match="expired"):
        verifier.verify(token)


def test_dynamodb_removes_an_entry_that_counts_no_more(
    services: Services, clock: ManualClock
) -> None:
    until = revoke(services, SETTINGS, "id-1", actor=Actor("ops"))
    item = services.tables.revoked_tokens.get(("revoked", "id-1"))
    assert item is not None
    assert datetime.fromtimestamp(item["expiresAt"], UTC) - until <= timedelta(seconds=1)


def test_while_the_list_cannot_be_read_it_counts_for_a_minute(
    services: Services, clock: ManualClock
) -> None:
    down = False

    def connect() -> Services:
        if down:
            raise StoreUnavailable("down")
        return services

    revoke(services, SETTINGS, "bad", actor=Actor("ops"))
    monotonic = Monotonic()
    revoked = RevokedTokens(connect, monotonic)
    verifier = Verifier(SETTINGS, clock, is_revoked=revoked.has)
    good, bad = mint_at(clock, "good"), mint_at(clock, "bad")
    with pytest.raises(Transient, match="not read yet"):
        verifier.verify(good)
    revoked.renewed.renew()
    revoked._services, down = None, True
    monotonic.now += PACE.most_age
    revoked.renewed.renew()
    assert verifier.verify(good).token_id == "good"
    with pytest.raises(NotAuthenticated, match="revoked"):
        verifier.verify(bad)
    monotonic.now += 1
    with pytest.raises(Transient, match="the list of revoked tokens: not read for 61 seconds"):
        verifier.verify(good)


def test_a_deployment_reads_its_list_in_the_background(
    services: Services, clock: ManualClock
) -> None:
    verifier = Verifier.of(SETTINGS, lambda: services, clock)
    verifier.renew()
    token = mint_at(clock, "id-1")
    assert verifier.verify(token).token_id == "id-1"
    revoke(services, SETTINGS, "id-1", actor=Actor("ops"))
    verifier.renew()
    with pytest.raises(NotAuthenticated, match="revoked"):
        verifier.verify(token)
    verifier.stop()


def test_no_id_that_is_asked_for_is_refused_with_another(services: Services) -> None:
    with pytest.raises(InvalidRequest):
        revoke(services, SETTINGS, "x" * 257, actor=Actor("ops"))


def mint_at(clock: ManualClock, token_id: str, *, ahead: float = 0) -> str:
    """A token made by somebody whose clock is so many seconds ahead."""
    from remit.auth import mint

    now = clock() + timedelta(seconds=ahead)
    return mint(SETTINGS, "merchant-1", permissions=["payments"], now=now, token_id=token_id)
