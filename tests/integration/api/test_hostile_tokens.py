"""What nobody may be let in with, sent to the app as it is mounted."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from remit.api.app import create_app
from remit.auth import TokenSettings, Verifier
from remit.auth.renewal import Outdated
from remit.services import Services
from remit.settings import Settings
from tests.support.api import NotedRuns
from tests.support.aws import REGION
from tests.support.clock import ManualClock
from tests.support.hostile import HS, Hostile, good, table
from tests.support.standins import stand_ins
from tests.support.tokens import (
    AUDIENCE,
    ISSUER,
    NAMED,
    SECRET,
    claims,
    compact,
    eddsa,
    es,
    hs,
    jwks,
    rs,
)

PATH = "/remit/reports"
TABLE = table()

Headers = list[tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, ManualClock]]:
    """Calls the hook, which takes tokens of every kind of key; and its clock."""
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_bytes(jwks())
    settings = TokenSettings(
        secret=SECRET,
        keys=",".join(f"{kid}:{secret}" for kid, secret in NAMED.items()),
        jwks=str(file),
        issuer=ISSUER,
        audience=AUDIENCE,
    )
    clock = ManualClock()
    verifier = Verifier(settings, clock)
    server = FastAPI()
    with stand_ins() as found:
        services = Services(Settings(region=REGION), found.aws, clock)
        server.mount("/remit", create_app(lambda: services, NotedRuns(), verifier))
        with TestClient(server, raise_server_exceptions=False) as client:
            yield client, clock
    verifier.stop()


@pytest.fixture
def client(served: tuple[TestClient, ManualClock]) -> TestClient:
    return served[0]


@pytest.fixture
def clock(served: tuple[TestClient, ManualClock]) -> ManualClock:
    served[1].now = ManualClock().now
    return served[1]


def bearer(token: str) -> Headers:
    return [(b"authorization", b"Bearer " + token.encode("latin-1"))]


def refused(
    client: TestClient, caplog: pytest.LogCaptureFixture, headers: Headers, token: str
) -> str:
    """Sends a request that has to be refused, and returns the one line of the log that says why.
    Nothing of the token may be in the log."""
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        answer = client.get(PATH, headers=headers)
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    lines = [line for line in caplog.records if line.name.startswith("remit")]
    (refusal,) = [line.getMessage() for line in lines if line.levelno >= logging.WARNING]
    assert refusal.isprintable()
    # Shorter parts ("" or "e30") would be found by chance.
    parts = [part for part in (token, *token.split(".")) if len(part) >= 16]
    for text in (*(line.getMessage() for line in lines), answer.text):
        assert not [part for part in parts if part in text], "a part of the token"
    return refusal


def test_the_table_has_at_least_60_kinds_and_each_has_a_name() -> None:
    names = [hostile.name for hostile in TABLE]
    assert len(names) == len(set(names)) >= 60


@pytest.mark.parametrize("hostile", TABLE, ids=lambda hostile: hostile.name)
def test_a_hostile_token_is_refused_and_one_line_says_why(
    client: TestClient, caplog: pytest.LogCaptureFixture, clock: ManualClock, hostile: Hostile
) -> None:
    token = hostile.make(clock())
    assert re.search(hostile.why, refused(client, caplog, bearer(token), token))


@pytest.mark.parametrize(
    ("kid", "algorithm", "sign"),
    [
        (None, "HS256", hs()),
        ("new", "HS256", hs(NAMED["new"])),
        ("old", "HS256", hs(NAMED["old"])),
        ("rsa", "RS256", rs()),
        ("ec", "ES256", es()),
        ("ed", "EdDSA", eddsa()),
    ],
)
def test_without_what_is_wrong_with_them_they_are_let_in(
    client: TestClient, clock: ManualClock, kid: str | None, algorithm: str, sign: object
) -> None:
    header = {"alg": algorithm, "typ": "JWT"} | ({} if kid is None else {"kid": kid})
    token = compact(header, claims(clock()), sign)  # type: ignore[arg-type]
    assert client.get(PATH, headers=bearer(token)).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "payment-api"},
        {"aud": ["other", "payment-api"]},
        {"permissions": ["payments", "*"]},
        {"email": ""},
        {"email": "ada@example.com", "jti": "id-1"},
        {"merchant_id": "händler 1"},
        {"unknown": {"a": [1]}},
    ],
    ids=str,
)
def test_what_is_unusual_and_good_is_let_in(
    client: TestClient, clock: ManualClock, changed: dict[str, object]
) -> None:
    token = compact(HS, claims(clock(), **changed), hs())
    assert client.get(PATH, headers=bearer(token)).status_code == 200


def test_clocks_may_be_half_a_minute_apart(client: TestClient, clock: ManualClock) -> None:
    token = good(clock())
    clock.advance(-30)
    assert client.get(PATH, headers=bearer(token)).status_code == 200
    clock.advance(30 + timedelta(minutes=30).total_seconds() + 29)
    assert client.get(PATH, headers=bearer(token)).status_code == 200
    clock.advance(1)
    assert client.get(PATH, headers=bearer(token)).status_code == 401


@pytest.mark.parametrize(
    "value",
    [
        "{token}",
        "Basic {token}",
        "Token {token}",
        "JWT {token}",
        "DPoP {token}",
        "Bearer",
        "Bearer ",
        "Bearer{token}",
        "Bearer,{token}",
        "Bearer: {token}",
        "Bearer  {token}",
        "Bearer {token} ",
        "Bearer\t{token}",
        "Bearer {token},{token}",
        "Bearer {token} {token}",
        "Bearer {token}, Bearer {token}",
        'Bearer "{token}"',
        "Bearer token={token}",
        "",
    ],
)
def test_a_header_of_another_form_is_refused(
    client: TestClient, caplog: pytest.LogCaptureFixture, clock: ManualClock, value: str
) -> None:
    token = good(clock())
    headers: Headers = [(b"authorization", value.format(token=token).encode())]
    assert refused(client, caplog, headers, token)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_may_be_in_any_case(client: TestClient, clock: ManualClock, scheme: str) -> None:
    headers = [(b"authorization", f"{scheme} {good(clock())}".encode())]
    assert client.get(PATH, headers=headers).status_code == 200


def test_two_headers_are_refused_though_both_are_good(
    client: TestClient, caplog: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    token = good(clock())
    assert "2 Authorization headers" in refused(client, caplog, bearer(token) * 2, token)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"cookie", b"authorization=Bearer {token}; token={token}; access_token={token}")],
        [(b"x-authorization", b"Bearer {token}"), (b"x-access-token", b"{token}")],
        [(b"proxy-authorization", b"Bearer {token}")],
        [(b"x-forwarded-authorization", b"Bearer {token}")],
        [(b"sec-websocket-protocol", b"bearer, {token}")],
    ],
    ids=lambda headers: headers[0][0].decode() if headers else "none",
)
def test_a_token_in_another_place_is_not_looked_at(
    client: TestClient, caplog: pytest.LogCaptureFixture, clock: ManualClock, headers: Headers
) -> None:
    token = good(clock())
    sent = [(name, value.replace(b"{token}", token.encode())) for name, value in headers]
    assert "0 Authorization headers" in refused(client, caplog, sent, token)


@pytest.mark.parametrize("name", ["access_token", "token", "jwt", "authorization", "bearer"])
def test_a_query_parameter_is_not_looked_at(
    client: TestClient, caplog: pytest.LogCaptureFixture, clock: ManualClock, name: str
) -> None:
    token = good(clock())
    with caplog.at_level(logging.DEBUG):
        answer = client.get(PATH, params={name: token})
    assert answer.status_code == 401
    assert token not in "".join(
        line.getMessage() for line in caplog.records if line.name.startswith("remit")
    )


def test_what_cannot_be_told_now_is_a_503_and_one_line(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    settings = TokenSettings(secret=SECRET, issuer=ISSUER, audience=AUDIENCE, revocation=True)

    def is_revoked(token_id: str) -> bool:
        raise Outdated("the list of revoked tokens: not read for 61 seconds")

    verifier = Verifier(settings, clock, is_revoked=is_revoked)
    token = compact(HS, claims(clock(), jti="id-1"), hs())
    with TestClient(create_app(lambda: services, NotedRuns(), verifier)) as client:
        caplog.clear()
        answer = client.get("/reports", headers=bearer(token))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    lines = [line.getMessage() for line in caplog.records if line.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert "not read for 61 seconds" in lines[0]
    assert token not in lines[0]
