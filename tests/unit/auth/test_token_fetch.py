"""The JWKS of a URL, from a server on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from remit.auth import TokenSettings, Verifier
from remit.auth.fetch import NotFetched, fetch
from remit.auth.jwks import MAX_JWKS_BYTES
from remit.auth.keyring import EARLY_SECONDS, KeyRing
from remit.errors import NotAuthenticated
from tests.support.clock import ManualClock
from tests.support.tokens import AUDIENCE, ISSUER, claims, compact, ec_jwk, es, jwks, rsa_jwk


class Site(ThreadingHTTPServer):
    """Answers as told, and notes what it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.body = jwks()
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        self.drips = False
        self.ended = threading.Event()
        self.asked_again = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/jwks.json"


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        site = self.server
        site.asked.append(self.path)
        if len(site.asked) > 1:
            site.asked_again.set()
        self.send_response(site.status)
        for name, value in site.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if site.drips:
            while not site.ended.wait(0.02):
                self.wfile.write(b" ")
        if site.status not in {204, 304}:  # which have none
            self.wfile.write(site.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, args=(0.01,))
        thread.start()
        yield site
        site.ended.set()
        site.shutdown()
        thread.join()


def test_the_body_is_fetched(site: Site) -> None:
    assert fetch(site.url) == site.body


@pytest.mark.parametrize("status", [201, 204, 304, 404, 500, 503])
def test_no_other_status_will_do(site: Site, status: int) -> None:
    site.status = status
    with pytest.raises(NotFetched, match=f"status is {status} in place of 200"):
        fetch(site.url)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(site: Site, status: int) -> None:
    site.status, site.headers = status, {"Location": "/elsewhere"}
    with pytest.raises(NotFetched, match=f"status is {status}"):
        fetch(site.url)
    assert site.asked == ["/jwks.json"]


def test_a_body_may_be_as_large_as_the_limit(site: Site) -> None:
    site.body = b" " * MAX_JWKS_BYTES
    assert len(fetch(site.url)) == MAX_JWKS_BYTES
    site.body += b" "
    with pytest.raises(NotFetched, match="has more than 262144 bytes"):
        fetch(site.url)


def test_a_server_that_drips_is_as_slow_as_one_that_hangs(site: Site) -> None:
    site.drips = True
    with pytest.raises(NotFetched, match=r"no whole answer within 0\.3 seconds"):
        fetch(site.url, timeout=0.3)


def test_a_body_that_is_cut_off_is_none(site: Site) -> None:
    site.headers = {"Content-Length": str(len(site.body) + 1)}
    with pytest.raises(NotFetched, match="no answer: ClientPayloadError"):
        fetch(site.url)


def test_a_server_that_is_not_there_is_told_without_its_url(site: Site) -> None:
    with pytest.raises(NotFetched) as caught:
        fetch("http://127.0.0.1:1/jwks.json?key=hidden")
    assert "hidden" not in str(caught.value)


def test_a_token_is_verified_with_the_key_of_a_url(site: Site) -> None:
    clock = ManualClock()
    settings = TokenSettings(jwks=site.url, issuer=ISSUER, audience=AUDIENCE)
    verifier = Verifier(settings, clock)
    verifier.renew()
    token = compact({"alg": "ES256", "kid": "ec"}, claims(clock()), es())
    assert verifier.verify(token).merchant_id == "merchant-1"
    verifier.stop()
    assert site.asked == ["/jwks.json"]


def test_a_new_key_is_fetched_when_a_token_names_it(site: Site) -> None:
    clock, seconds = ManualClock(), [0.0]
    settings = TokenSettings(jwks=site.url, issuer=ISSUER, audience=AUDIENCE)
    ring = KeyRing.of(settings, monotonic=lambda: seconds[0])
    verifier = Verifier(settings, clock, ring=ring)
    site.body = jwks(rsa_jwk())
    verifier.renew()
    site.body = jwks(rsa_jwk(), ec_jwk("new"))
    token = compact({"alg": "ES256", "kid": "new"}, claims(clock()), es())
    with pytest.raises(NotAuthenticated, match="that of no key"):
        verifier.verify(token)
    assert site.asked == ["/jwks.json"]  # it was asked a moment ago
    seconds[0] += EARLY_SECONDS
    with pytest.raises(NotAuthenticated, match="that of no key"):
        verifier.verify(token)
    assert site.asked_again.wait(10)
    verifier.stop()
    assert ring.find("new").algorithm == "ES256"
    assert len(site.asked) == 2
