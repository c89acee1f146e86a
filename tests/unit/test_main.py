from __future__ import annotations

import jwt
import pytest

from remit.__main__ import main


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("JWT_SECRET", "k" * 40)
    monkeypatch.setenv("JWT_ISSUER", "issuer")
    monkeypatch.setenv("JWT_AUDIENCE", "payment-api")
    return "k" * 40


def test_token_prints_a_token_for_the_merchant(
    secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["token", "--merchant", "merchant-1", "--permissions", "payments,history"]
    assert main([*command, "--minutes", "5", "--email", "a@example.com"]) == 0

    token = capsys.readouterr().out.strip()
    claims = jwt.decode(token, secret, algorithms=["HS256"], audience="payment-api")
    assert claims["merchant_id"] == "merchant-1"
    assert claims["permissions"] == ["history", "payments"]
    assert claims["exp"] - claims["iat"] == 300
    assert claims["email"] == "a@example.com"


@pytest.mark.parametrize("minutes", ["61", "600", "0", "-5"])
def test_a_token_that_the_hook_would_refuse_is_not_made(
    secret: str, minutes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", "--merchant", "merchant-1", "--minutes", minutes]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"remit token: --minutes is {minutes}: ")
    assert "60 minutes" in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_without_a_secret_the_reason_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("JWT_SECRET", raising=False)
    assert main(["token", "--merchant", "m"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("remit token: JWT_SECRET")
    assert error.count("\n") == 1


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["frobnicate"])
    assert caught.value.code == 2
    assert "choose from" in capsys.readouterr().err
