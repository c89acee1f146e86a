from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from remit.auth import TokenSettings
from remit.auth.fetch import NotFetched
from remit.auth.keyring import KeyRing, KeysUnavailable
from remit.errors import ConfigurationError, NotAuthenticated
from tests.support.tokens import AUDIENCE, ISSUER, SECRET, ec_jwk, ed_jwk, jwks, rsa_jwk

SHOWN = "https://login.example/jwks.json"
URL = f"{SHOWN}?key=hidden"


class Server:
    """The server of a JWKS, and the time."""

    def __init__(self) -> None:
        self.body = jwks()
        self.asked: list[str] = []
        self.down = False
        self.now = 1000.0

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if self.down:
            raise NotFetched("no answer: TimeoutError")
        return self.body

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def server() -> Server:
    return Server()


def settings(**changed: Any) -> TokenSettings:
    return TokenSettings(**{"issuer": ISSUER, "audience": AUDIENCE, **changed})


def ring(server: Server, **changed: Any) -> KeyRing:
    return KeyRing.of(settings(**changed), fetch=server.fetch, monotonic=server.monotonic)


def renew(keys: KeyRing) -> None:
    """What the threads of the background do."""
    for source in keys.sources:
        source.renew()


def found(keys: KeyRing, *kids: str | None) -> list[str]:
    """The algorithms of keys."""
    return [keys.find(kid).algorithm for kid in kids]


def test_secrets_are_found_by_their_kid(server: Server) -> None:
    keys = ring(server, secret=SECRET, keys=f"a:{'a' * 32},b:{'b' * 32}")
    assert found(keys, None, "a", "b") == ["HS256"] * 3
    assert keys.sources == []
    with pytest.raises(NotAuthenticated, match="'kid' is that of no key"):
        keys.find("c")


def test_without_a_secret_every_token_names_its_key(server: Server) -> None:
    with pytest.raises(NotAuthenticated, match="no 'kid', and there is no JWT_SECRET"):
        ring(server, keys=f"a:{'a' * 32}").find(None)


def test_a_file_of_secrets_is_read_again_when_it_changes(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# the first one signs\nnew:{'n' * 32}\n\n  old:{'o' * 32}  \n")
    keys = ring(server, keys_file=str(file))
    assert found(keys, "new", "old") == ["HS256", "HS256"]
    file.write_text(f"newer:{'N' * 32}\nnew:{'n' * 32}\n")
    renew(keys)
    assert found(keys, "newer", "new") == ["HS256", "HS256"]
    with pytest.raises(NotAuthenticated):
        keys.find("old")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"new:short", "the key 'new' of JWT_KEYS_FILE has 5 bytes"),
        (b"kkkkkkkkkk", "entry 1 of JWT_KEYS_FILE is not `kid:secret`"),
        (b"# none\n", "has no key that can be used"),
        (b"\xff", "JWT_KEYS_FILE is not UTF-8"),
        (b"#" * 300_000, "has more than 262144 bytes"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_file_that_is_wrong_at_the_start_is_an_error(
    server: Server, tmp_path: Path, content: bytes, why: str
) -> None:
    file = tmp_path / "keys"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=why) as caught:
        ring(server, keys_file=str(file))
    assert "kkk" not in str(caught.value)


@pytest.mark.parametrize("variable", ["keys_file", "jwks"])
def test_a_file_that_is_not_there_is_an_error(
    server: Server, tmp_path: Path, variable: str
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ring(server, **{variable: str(tmp_path / "missing")})


def test_a_file_that_becomes_wrong_leaves_the_last_keys(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks())
    keys = ring(server, jwks=str(file))
    file.write_bytes(b'{"keys": [')
    renew(keys)
    renew(keys)
    assert found(keys, "rsa", "ec", "ed") == ["RS256", "ES256", "EdDSA"]
    assert caplog.text.count("cannot be read") == 1
    file.unlink()
    renew(keys)
    server.now += 24 * 3600
    assert found(keys, "rsa") == ["RS256"]
    server.now += 1
    with pytest.raises(KeysUnavailable, match=r"jwks\.json: not read for 86401 seconds"):
        keys.find("rsa")


def test_a_jwks_of_a_file_is_read_again_when_it_changes(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks(rsa_jwk("a")))
    keys = ring(server, jwks=str(file))
    assert found(keys, "a") == ["RS256"]
    file.write_bytes(jwks(ec_jwk("b")))
    renew(keys)
    assert found(keys, "b") == ["ES256"]
    with pytest.raises(NotAuthenticated):
        keys.find("a")


def test_a_file_with_no_key_that_can_be_used_is_an_error(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks(rsa_jwk(use="enc")))
    with pytest.raises(ConfigurationError, match="has no key that can be used"):
        ring(server, jwks=str(file))


def test_a_url_is_not_asked_at_the_start_nor_for_a_token(server: Server) -> None:
    keys = ring(server, jwks=URL, secret=SECRET)
    with pytest.raises(KeysUnavailable, match="not read yet"):
        keys.find("rsa")
    assert server.asked == []
    assert found(keys, None) == ["HS256"]
    renew(keys)
    assert server.asked == [URL]
    assert found(keys, "rsa", "ec", "ed") == ["RS256", "ES256", "EdDSA"]


def test_keys_of_a_url_count_for_a_while_when_it_is_down(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    keys = ring(server, jwks=URL)
    renew(keys)
    server.down = True
    for _ in range(3):
        server.now += 300
        renew(keys)
    assert found(keys, "rsa") == ["RS256"]
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= 40]
    assert line == (
        "JWT_JWKS https://login.example/jwks.json: cannot be read: no answer: TimeoutError"
    )
    server.now += 24 * 3600
    with pytest.raises(KeysUnavailable):
        keys.find("rsa")
    server.down = False
    renew(keys)
    assert found(keys, "rsa") == ["RS256"]


def test_a_set_that_becomes_empty_takes_all_its_keys_away(server: Server) -> None:
    keys = ring(server, jwks=URL)
    renew(keys)
    server.body = json.dumps({"keys": []}).encode()
    renew(keys)
    with pytest.raises(NotAuthenticated, match="that of no key"):
        keys.find("rsa")


def test_an_unknown_kid_asks_for_an_early_look_but_not_often(server: Server) -> None:
    keys = ring(server, jwks=URL)
    (source,) = keys.sources
    renew(keys)
    for seconds, asked in ((0, False), (29, False), (1, True)):
        server.now += seconds
        with pytest.raises(NotAuthenticated):
            keys.find("unknown")
        assert source._early.is_set() == asked
    assert server.asked == [URL]


def test_a_known_kid_asks_for_nothing(server: Server) -> None:
    keys = ring(server, jwks=URL)
    (source,) = keys.sources
    renew(keys)
    server.now += 200
    assert found(keys, "rsa") == ["RS256"]
    assert not source._early.is_set()


def test_no_jwks_takes_the_place_of_a_secret(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.body = jwks(rsa_jwk("a"), ed_jwk("b"))
    keys = ring(server, jwks=URL, keys=f"a:{'a' * 32}")
    renew(keys)
    assert found(keys, "a", "b") == ["HS256", "EdDSA"]
    assert "has a kid that a secret of the settings has" in caplog.text


def test_each_change_is_told_once(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.body = jwks(rsa_jwk("a"), rsa_jwk("b", use="enc"))
    keys = ring(server, jwks=URL)
    with caplog.at_level(logging.INFO):
        renew(keys)
        renew(keys)
        server.body = jwks(rsa_jwk("a"), ec_jwk("c"))
        renew(keys)
    assert [record.getMessage() for record in caplog.records] == [
        f"key 2 ('b') of the JWKS {SHOWN} is not used: it is not for signatures (use)",
        "JWT_JWKS: keys that verify: 'a'",
        "JWT_JWKS: keys that verify: 'a', 'c'",
    ]
