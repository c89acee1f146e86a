from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from remit.errors import TriggerUnavailable
from remit.triggers.credentials import (
    FRESH_SECONDS,
    RENEW_AT,
    UNKNOWN_LIFETIME,
    GivenToken,
    PasswordToken,
    TokenFile,
    credentials_of,
    lifetime,
)
from remit.triggers.settings import AirflowSettings
from remit.triggers.transport import REST_SECONDS, Transport
from tests.support.fake_airflow import PASSWORD, USER, FakeAirflow, jwt_like, said


@pytest.fixture
def bought(transport: Transport, seconds: Any) -> PasswordToken:
    return PasswordToken(transport, USER, PASSWORD, monotonic=seconds)


def test_a_token_is_renewed_before_its_end(
    bought: PasswordToken, fake: FakeAirflow, seconds: Any
) -> None:
    fake.lifetime = 1000
    first = bought.token()
    seconds.now += 1000 * RENEW_AT - 1
    assert bought.token() == first
    seconds.now += 1
    assert bought.token() != first
    assert len(fake.issued) == 2


def test_many_threads_ask_for_one_token(bought: PasswordToken, fake: FakeAirflow) -> None:
    at_once = threading.Barrier(8)

    def ask(_: int) -> str:
        at_once.wait(5)
        return bought.token()

    with ThreadPoolExecutor(8) as threads:
        tokens = set(threads.map(ask, range(8)))
    assert tokens == set(fake.issued)
    assert len(fake.issued) == 1


def test_many_threads_that_were_refused_ask_for_one_token(
    bought: PasswordToken, fake: FakeAirflow, seconds: Any
) -> None:
    old = bought.token()
    assert not bought.another(old), "it is fresh"
    seconds.now += FRESH_SECONDS
    assert bought.another(old)
    new = bought.token()
    assert bought.another(old), "a thread that is late"
    assert bought.token() == new
    assert len(fake.issued) == 2


def test_a_wrong_password_is_told_without_it_and_not_tried_again_for_a_while(
    transport: Transport, fake: FakeAirflow, seconds: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    credentials = PasswordToken(transport, USER, "a wrong one", monotonic=seconds)
    for _ in range(2):
        with pytest.raises(TriggerUnavailable) as refused:
            credentials.token()
        assert "'remit-hook' (401 of POST /auth/token)" in str(refused.value)
        assert "REMIT_AIRFLOW_PASSWORD" in str(refused.value)
        assert "a wrong one" not in str(refused.value) + caplog.text
    assert len(fake.seen) == 1
    seconds.now += REST_SECONDS
    with pytest.raises(TriggerUnavailable):
        credentials.token()
    assert len(fake.seen) == 2


@pytest.mark.parametrize("document", [{}, {"access_token": 5}, {"access_token": "a\nb"}])
def test_an_answer_without_a_token_is_told(
    bought: PasswordToken, fake: FakeAirflow, document: dict[str, Any]
) -> None:
    fake.instead = [said(201, **document)]
    with pytest.raises(TriggerUnavailable, match="has no access_token"):
        bought.token()


def test_a_token_is_in_no_log(
    bought: PasswordToken, fake: FakeAirflow, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    token = bought.token()
    assert "a new token of Airflow for 'remit-hook'" in caplog.text
    assert token not in caplog.text
    assert PASSWORD not in caplog.text


def test_the_file_of_a_token_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    credentials = TokenFile(path)
    assert credentials.token() == "one"
    assert not credentials.another("one")
    path.write_text("two")
    assert credentials.another("one")
    assert credentials.token() == "two"


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"\xff\xfe", b"a\x00b"])
def test_a_file_without_a_token_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(TriggerUnavailable, match=r"REMIT_AIRFLOW_TOKEN_FILE .*holds no token"):
        TokenFile(path).token()


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(TriggerUnavailable, match="cannot be read: No such file or directory"):
        TokenFile(tmp_path / "none").token()


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (jwt_like(1, 86400), 86400.0),
        ("opaque", UNKNOWN_LIFETIME),
        ("a.b.c", UNKNOWN_LIFETIME),
        ("a.bnVsbA.c", UNKNOWN_LIFETIME),  # null
        ("a.e30.c", UNKNOWN_LIFETIME),  # {}
        (jwt_like(1, -5), UNKNOWN_LIFETIME),
        (jwt_like(1, float("nan")), UNKNOWN_LIFETIME),
        (jwt_like(1, float("inf")), UNKNOWN_LIFETIME),
    ],
)
def test_the_lifetime_is_what_the_token_says(token: str, expected: float) -> None:
    assert lifetime(token) == expected


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"token": "t"}, GivenToken),
        ({"token_file": "/run/token"}, TokenFile),
        ({"user": "u", "password": "p"}, PasswordToken),
    ],
)
def test_the_settings_say_which_way(
    transport: Transport, given: dict[str, str], kind: type
) -> None:
    settings = AirflowSettings(url="https://airflow.example", **given)
    assert type(credentials_of(settings, transport)) is kind
