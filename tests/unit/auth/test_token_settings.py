from __future__ import annotations

from datetime import timedelta

import pytest

from remit.auth import TokenSettings
from remit.errors import ConfigurationError

GOOD = {"JWT_SECRET": "s" * 32, "JWT_ISSUER": "issuer", "JWT_AUDIENCE": "payment-api"}
OTHERS = {key: value for key, value in GOOD.items() if key != "JWT_SECRET"}


def refused(**changed: str) -> str:
    """Why settings are refused; nothing that is secret is in it."""
    with pytest.raises(ConfigurationError) as caught:
        TokenSettings.from_environment({**GOOD, **changed})
    reason = str(caught.value)
    assert "kkk" not in reason
    assert reason.isprintable()
    return reason


def test_the_environment_of_the_payments_platform_is_enough() -> None:
    settings = TokenSettings.from_environment(GOOD)
    assert (settings.issuer, settings.audience) == ("issuer", "payment-api")
    assert settings.max_lifetime == timedelta(hours=1)
    assert not settings.revocation


@pytest.mark.parametrize("name", GOOD)
def test_nothing_has_a_default(name: str) -> None:
    assert name in refused(**{name: ""})


@pytest.mark.parametrize(
    "keys",
    [
        {"JWT_KEYS": "a:" + "k" * 32},
        {"JWT_KEYS_FILE": "/run/secrets/keys"},
        {"JWT_JWKS": "/etc/jwks.json"},
        {"JWT_JWKS": "https://login.example/jwks.json"},
    ],
    ids=str,
)
def test_other_keys_will_do_in_the_place_of_the_secret(keys: dict[str, str]) -> None:
    assert TokenSettings.from_environment({**OTHERS, **keys}).secret == ""


def test_a_short_secret_is_refused_and_not_shown() -> None:
    reason = refused(JWT_SECRET="k" * 31)
    assert "JWT_SECRET has 31 bytes: HS256 needs at least 32 (256 bits)" in reason


@pytest.mark.parametrize("keys", [{"JWT_SECRET": "k" * 40}, {"JWT_KEYS": "a:" + "k" * 40}], ids=str)
def test_airflows_own_secret_is_refused(keys: dict[str, str]) -> None:
    reason = refused(AIRFLOW__API_AUTH__JWT_SECRET="k" * 40, **keys)
    assert "AIRFLOW__API_AUTH__JWT_SECRET" in reason


def test_a_secret_is_measured_in_bytes() -> None:
    assert TokenSettings.from_environment({**GOOD, "JWT_SECRET": "é" * 16}).secret


def test_more_keys_are_named_and_in_their_order() -> None:
    keys = f"new:{'n' * 32}, old:{'o' * 20}:{'o' * 20},"
    settings = TokenSettings.from_environment({**GOOD, "JWT_KEYS": keys})
    assert list(settings.named_secrets.items()) == [
        ("new", "n" * 32),
        ("old", f"{'o' * 20}:{'o' * 20}"),
    ]


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("k" * 40, "entry 1 of JWT_KEYS is not `kid:secret`"),
        (f"a:{'k' * 40},:{'k' * 40}", "entry 2 of JWT_KEYS is not `kid:secret`"),
        (f"a b:{'k' * 40}", "entry 1 of JWT_KEYS is not `kid:secret`"),
        (f"{'a' * 257}:{'k' * 40}", "entry 1 of JWT_KEYS is not `kid:secret`"),
        (f"a:{'k' * 40},a:{'k' * 41}", "the kid 'a' is twice in JWT_KEYS"),
        (f"a:{'k' * 31}", "the key 'a' of JWT_KEYS has 31 bytes"),
        ("a:", "the key 'a' of JWT_KEYS has 0 bytes"),
    ],
)
def test_keys_that_are_wrong_are_refused_and_not_shown(keys: str, reason: str) -> None:
    assert refused(JWT_KEYS=keys).startswith(reason)


def test_no_secret_is_in_the_representation() -> None:
    settings = TokenSettings.from_environment({**GOOD, "JWT_KEYS": "a:" + "k" * 32})
    assert "sss" not in repr(settings)
    assert "kkk" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080/jwks.json",
        "http://localhost/jwks.json",
        "http://[::1]/jwks",
        "HTTPS://login.example/jwks.json?tenant=a",
    ],
)
def test_a_jwks_comes_from_a_url(url: str) -> None:
    assert TokenSettings.from_environment({**GOOD, "JWT_JWKS": url}).jwks_url == url


@pytest.mark.parametrize("path", ["/etc/jwks.json", "jwks.json", "./https/jwks.json"])
def test_everything_else_is_a_file(path: str) -> None:
    assert TokenSettings.from_environment({**GOOD, "JWT_JWKS": path}).jwks_url is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://login.example/jwks.json", "JWT_JWKS is an http URL: it must be https"),
        ("http://127.0.0.1.example/jwks.json", "JWT_JWKS is an http URL: it must be https"),
        ("http://127.0.0.2/jwks.json", "JWT_JWKS is an http URL: it must be https"),
        ("https://user:kkk@login.example/", "JWT_JWKS holds a user or a password"),
        ("https:///jwks.json", "JWT_JWKS is not a URL such as"),
        ("https://login.example:port/", "JWT_JWKS is not a URL such as"),
        ("https://login.example/a b", "JWT_JWKS is not a URL such as"),
        ("https://[::1/", "JWT_JWKS is not a URL such as"),
    ],
)
def test_a_url_that_would_not_be_safe_is_refused(url: str, reason: str) -> None:
    assert refused(JWT_JWKS=url).startswith(reason)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("JWT_LEEWAY_SECONDS", "301"),
        ("JWT_MAX_LIFETIME_SECONDS", "0"),
        ("JWT_MAX_LIFETIME_SECONDS", "an hour"),
        ("JWT_JWKS_REFRESH_SECONDS", "-1"),
        ("JWT_REVOCATION", "yes"),
    ],
)
def test_a_value_that_cannot_be_is_refused(variable: str, value: str) -> None:
    assert refused(**{variable: value}).startswith(variable)
