from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any

import pytest
import requests

from remit.client import ClientError, NotAuthenticated, RemitClient, RetryPolicy
from remit.errors import ConfigurationError
from tests.unit.client.scripts import (
    HOOK,
    TOKEN,
    Reply,
    Script,
    broken,
    client_of,
    problem,
    reply,
)

REPORTS = reply({"reports": []})


class Issuer:
    """Gives tokens, one after the other."""

    def __init__(self, *tokens: Any) -> None:
        self.tokens = list(tokens)
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        return self.tokens.pop(0)


def test_the_token_is_in_the_header_of_each_request() -> None:
    script = Script(REPORTS, REPORTS)
    client = client_of(script)
    client.reports()
    client.reports()
    assert script.header("Authorization") == [f"Bearer {TOKEN}"] * 2


def test_a_function_is_asked_once_for_many_requests() -> None:
    issuer = Issuer("a.b.c")
    client = client_of(script := Script(REPORTS, REPORTS), token=issuer)
    assert issuer.calls == 0
    client.reports()
    client.reports()
    assert issuer.calls == 1
    assert script.header("Authorization") == ["Bearer a.b.c"] * 2


def test_a_token_that_is_refused_is_renewed_once() -> None:
    script = Script(REPORTS, problem(401), REPORTS)
    client = client_of(script, token=Issuer("old.b.c", "new.b.c"))
    client.reports()
    client.reports()
    assert script.header("Authorization") == [
        "Bearer old.b.c",
        "Bearer old.b.c",
        "Bearer new.b.c",
    ]


def test_a_fresh_token_that_is_refused_too_is_an_error() -> None:
    issuer = Issuer("a.b.c", "d.b.c", "e.b.c")
    script = Script(problem(401), problem(401))
    with pytest.raises(NotAuthenticated):
        client_of(script, token=issuer).reports()
    assert issuer.calls == 2


def test_the_same_token_again_is_not_sent_again() -> None:
    script = Script(problem(401))
    with pytest.raises(NotAuthenticated):
        client_of(script, token=Issuer("a.b.c", "a.b.c")).reports()
    assert len(script.asked) == 1


def test_a_token_in_text_is_refused_once() -> None:
    script = Script(problem(401))
    with pytest.raises(NotAuthenticated):
        client_of(script).reports()
    assert len(script.asked) == 1


def test_a_renewal_keeps_the_idempotency_key() -> None:
    script = Script(problem(401), reply({"export_id": "e", "status": "pending"}, 202))
    client_of(script, token=Issuer("a.b.c", "d.b.c")).export("2026-01-01", "2026-01-31")
    assert len(set(script.header("Idempotency-Key"))) == 1


@pytest.mark.parametrize(
    "token",
    ["", " ", "Bearer secret.b.c", "secret.b.c\n", " secret.b.c", "secret\r\nX-A: b", "sécret", 7],
)
def test_what_is_no_token_is_refused_and_not_shown(token: Any) -> None:
    for given in (token, lambda: token):
        with pytest.raises(ConfigurationError) as caught:
            client_of(Script(), token=given).reports()
        assert "secret" not in str(caught.value)
        assert "the token" in str(caught.value)


def test_the_token_is_in_no_representation_error_or_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    script = Script(problem(401), *[broken()] * 2, Reply(200, b"no JSON"))
    client = client_of(script, retries=RetryPolicy(tries=2))
    seen = [repr(client), repr(vars(client)), repr(client.endpoints)]
    for _ in range(3):
        with pytest.raises(ClientError) as caught:
            client.reports()
        seen += traceback.format_exception(caught.value)
    assert any("base URL has to be" in text for text in seen)
    assert TOKEN not in "".join(seen) + caplog.text


def test_a_base_url_that_is_none_is_refused_and_not_shown() -> None:
    for wrong in (
        TOKEN,
        "hook.test/remit",
        "ftp://hook.test",
        "https://",
        "",
        "https://[::1",
        "https://h:x",
    ):
        with pytest.raises(ConfigurationError, match="the base URL is none") as caught:
            RemitClient(wrong, HOOK)
        assert TOKEN not in str(caught.value)
    for wrong in ("https://u:p@hook.test/remit", f"{HOOK}?a=b", f"{HOOK}#a"):
        with pytest.raises(ConfigurationError, match="has more than"):
            RemitClient(wrong, TOKEN)


@pytest.mark.parametrize(
    "url", ["http://hook.test/remit", "http://127.0.0.1.hook.test", "http://10.0.0.5", "HTTP://a.b"]
)
def test_the_token_does_not_go_through_a_network_in_clear(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is http") as caught:
        RemitClient(url, TOKEN)
    assert "allow_http=True" in str(caught.value)
    assert TOKEN not in str(caught.value)
    RemitClient(url, TOKEN, allow_http=True).close()


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "127.8.9.1:80", "[::1]:8081"])
def test_the_host_itself_may_be_asked_by_http(host: str) -> None:
    RemitClient(f"http://{host}/remit", TOKEN).close()


def test_a_slash_at_the_end_of_the_base_url_changes_nothing() -> None:
    script = Script(REPORTS)
    session = requests.Session()
    session.mount("https://", script)
    RemitClient(f"{HOOK}/", TOKEN, session=session).reports()
    assert script.asked[0].url == f"{HOOK}/reports"


@pytest.mark.parametrize("wrong", ["", ".", "..", "..."])
def test_an_id_that_is_none_is_not_sent(wrong: str) -> None:
    with pytest.raises(ValueError, match="is no id"):
        client_of(Script()).get_export(wrong)


@pytest.mark.parametrize(
    ("given", "sent"),
    [("a/b", "a%2Fb"), ("../audit", "..%2Faudit"), ("a?b#c", "a%3Fb%23c"), ("ü%", "%C3%BC%25")],
)
def test_an_id_leads_nowhere_else(given: str, sent: str) -> None:
    script = Script(problem(404))
    with pytest.raises(Exception, match="404"):
        client_of(script).get_export(given)
    assert script.asked[0].url == f"{HOOK}/exports/{sent}"


def test_a_netrc_does_not_take_the_place_of_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine hook.test login somebody password else\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    script = Script(REPORTS)
    client_of(script).reports()
    assert script.header("Authorization") == [f"Bearer {TOKEN}"]


def test_a_client_closes_its_connections_at_the_end_of_a_block() -> None:
    script = Script(REPORTS)
    with client_of(script) as client:
        assert client.reports() == []
        assert not script.closed
    assert script.closed
