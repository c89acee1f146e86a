"""What a sender connects to: the address that was checked, by the name's certificate, once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trustme
from aiohttp import web

from remit.webhooks.addresses import networks_of
from remit.webhooks.sender import Request
from remit.webhooks.urls import check_address
from tests.support.receivers import (
    BODY,
    Behaviour,
    bare_receiver,
    post,
    read_request,
    receiver,
    sender,
)

NAME = "hooks.example.com"
PUBLIC = "93.184.216.34"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Names:
    """A name server whose answers change: each lookup takes the next, the last one stays."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.lookups: list[str] = []

    def __call__(self, host: str) -> list[str]:
        self.lookups.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Connections:
    """Counts connections; answers every request on them."""

    def __init__(self) -> None:
        self.opened = 0
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        while True:
            self.requests.append(await read_request(reader))
            writer.write(OK)
            await writer.drain()


async def test_a_name_that_turns_to_localhost_after_its_check_is_not_connected_to() -> None:
    names, inside = Names([PUBLIC], ["127.0.0.1"]), Connections()
    async with bare_receiver(inside) as port:
        url = f"https://{NAME}:{port}/hook"
        check_address(url, (), names)  # as an endpoint is created
        outcome = await post(url, networks=(), resolve=names)
    assert outcome.error == "address"
    assert names.lookups == [NAME, NAME]
    assert inside.opened == 0


async def test_a_name_is_looked_up_once_and_the_checked_address_is_connected_to() -> None:
    names, here, there = Names(["127.0.0.2"], ["127.0.0.1"]), Connections(), Connections()
    async with (
        bare_receiver(here, host="127.0.0.2") as port,
        bare_receiver(there, host="127.0.0.1", port=port),
        sender(networks=networks_of("127.0.0.2/32"), resolve=names) as one,
    ):
        request = Request(f"http://{NAME}:{port}/hook", {}, BODY)
        assert (await one.post(request)).status == 200
        assert names.lookups == [NAME]
        # A connection that is kept needs no lookup; a new one has the addresses of the first.
        outcomes = await asyncio.gather(*(one.post(request) for _ in range(5)))
        assert {outcome.status for outcome in outcomes} == {200}
        assert names.lookups == [NAME]
    async with (
        bare_receiver(there) as port,
        sender(networks=networks_of("127.0.0.2/32"), resolve=names) as one,
    ):
        outcome = await one.post(Request(f"http://{NAME}:{port}/hook", {}, BODY))
        assert outcome.error == "address"
    assert there.opened == 0


async def test_a_name_with_one_address_inside_is_not_connected_to_at_all() -> None:
    inside = Connections()
    async with bare_receiver(inside) as port:
        names = Names([PUBLIC, "127.0.0.1"])
        url = f"https://{NAME}:{port}/"
        assert (await post(url, networks=(), resolve=names)).error == "address"
    assert inside.opened == 0


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::7f00:1]",
        "[::]",
        "0.0.0.0",  # noqa: S104
        "localhost",
        "LOCALHOST",
    ],
)
@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_no_spelling_of_this_machine_is_connected_to(scheme: str, host: str) -> None:
    inside = Connections()
    async with bare_receiver(inside) as port:
        outcome = await post(f"{scheme}://{host}:{port}/", networks=())
        assert outcome.error == ("address" if scheme == "https" else "url")
        # http:// is on, for a network that this machine is not in.
        outcome = await post(f"{scheme}://{host}:{port}/", networks=networks_of("10.0.0.0/8"))
        assert outcome.error == "address"
    assert inside.opened == 0


async def test_an_address_that_went_past_every_other_check_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remit.webhooks.sender.literal_of", lambda _: None)
    inside = Connections()
    async with bare_receiver(inside) as port:
        assert (await post(f"https://127.0.0.1:{port}/", networks=())).error == "address"
    assert inside.opened == 0


async def test_a_mapped_spelling_of_a_named_network_is_connected_to() -> None:
    seen = Connections()
    async with bare_receiver(seen) as port:
        assert (await post(f"http://[::ffff:127.0.0.1]:{port}/")).status == 200
    assert seen.opened == 1


async def test_a_connection_serves_many_posts() -> None:
    seen = Connections()
    names = Names(["127.0.0.1"])
    async with bare_receiver(seen) as port, sender(resolve=names) as one:
        for _ in range(50):
            assert (await one.post(Request(f"http://{NAME}:{port}/", {}, BODY))).status == 200
    assert (seen.opened, len(seen.requests), names.lookups) == (1, 50, [NAME])


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 60_000])
async def test_a_connection_is_kept_after_an_answer_that_is_longer_than_its_excerpt(
    size: int,
) -> None:
    peers: set[object] = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(body=b"x" * size)

    async with receiver(handler) as server, sender() as one:
        for _ in range(3):
            outcome = await one.post(Request(str(server.make_url("/")), {}, BODY))
            assert outcome.excerpt == "x" * min(size, 4096)
    assert len(peers) == 1


class Authority:
    """A certificate authority of a test, and who asked its servers for which name."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.asked_for: list[str | None] = []

    def server(self, name: str) -> ssl.SSLContext:
        """What a server with a certificate for that name has."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name).configure_cert(context)

        def asked(_: object, server_name: str | None, __: ssl.SSLContext) -> None:
            self.asked_for.append(server_name)

        context.sni_callback = asked
        return context

    def client(self) -> ssl.SSLContext:
        """What a client that trusts this authority has."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context


@pytest.fixture
def authority() -> Authority:
    return Authority()


@asynccontextmanager
async def tls_receiver(tls: ssl.SSLContext, behaviour: Behaviour) -> AsyncIterator[int]:
    # A client that does not trust the server says so to the loop; the outcome is looked at here.
    asyncio.get_running_loop().set_exception_handler(lambda _, __: None)
    async with bare_receiver(behaviour, tls=tls) as port:
        yield port


async def test_a_checked_address_is_asked_for_the_certificate_of_the_name(
    authority: Authority,
) -> None:
    seen, names = Connections(), Names(["127.0.0.1"])
    async with (
        tls_receiver(authority.server(NAME), seen) as port,
        sender(resolve=names, tls=authority.client()) as one,
    ):
        for _ in range(20):
            outcome = await one.post(Request(f"https://{NAME}:{port}/hook", {}, BODY))
            assert outcome.status == 200, outcome
    assert authority.asked_for == [NAME]
    assert (seen.opened, len(seen.requests)) == (1, 20)
    assert seen.requests[0][1]["host"] == f"{NAME}:{port}"


async def test_a_name_in_other_letters_is_asked_for_in_ascii(authority: Authority) -> None:
    ascii_name = "xn--bcher-kva.example"
    async with tls_receiver(authority.server(ascii_name), Connections()) as port:
        url = f"https://BÜCHER.example.:{port}/hook"
        outcome = await post(url, resolve=Names(["127.0.0.1"]), tls=authority.client())
    assert outcome.status == 200, outcome
    assert authority.asked_for == [ascii_name]


@pytest.mark.parametrize("name", ["other.example.com", "127.0.0.1"])
async def test_a_certificate_of_another_name_is_refused(authority: Authority, name: str) -> None:
    seen = Connections()
    async with tls_receiver(authority.server(name), seen) as port:
        url = f"https://{NAME}:{port}/hook"
        outcome = await post(url, resolve=Names(["127.0.0.1"]), tls=authority.client())
    assert outcome.error == "tls"
    assert seen.requests == []


async def test_a_certificate_of_an_unknown_authority_is_refused(authority: Authority) -> None:
    seen = Connections()
    async with tls_receiver(authority.server(NAME), seen) as port:
        outcome = await post(f"https://{NAME}:{port}/hook", resolve=Names(["127.0.0.1"]))
    assert outcome.error == "tls"
    assert seen.requests == []


async def test_a_handshake_that_hangs_ends_at_the_deadline() -> None:
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with bare_receiver(hang) as port:
        url = f"https://{NAME}:{port}/hook"
        outcome = await post(url, deadline=0.2, resolve=Names(["127.0.0.1"]))
    assert outcome.error == "timeout"


def never(host: str) -> list[str]:
    raise AssertionError(f"{host} is looked up")


async def test_behind_a_proxy_http_goes_through_it_to_an_address_of_a_named_network() -> None:
    proxy = Connections()
    async with bare_receiver(proxy) as port:
        outcome = await post(
            "http://127.0.0.9/hook?x=1", resolve=never, proxy=f"http://u:p@127.0.0.1:{port}"
        )
    assert outcome.status == 200, outcome
    ((line, headers, body),) = proxy.requests
    assert line == "POST http://127.0.0.9/hook?x=1 HTTP/1.1"
    assert headers["proxy-authorization"] == "Basic dTpw"
    assert "authorization" not in headers
    assert body == BODY


async def test_behind_a_proxy_http_goes_to_no_name_wherever_that_leads() -> None:
    proxy = Connections()
    async with bare_receiver(proxy) as port:
        outcome = await post(f"http://{NAME}/hook", proxy=f"http://127.0.0.1:{port}")
    assert outcome.error == "url"
    assert proxy.opened == 0


async def test_behind_a_proxy_tls_is_spoken_with_the_receiver(authority: Authority) -> None:
    seen = Connections()
    asked: list[str] = []
    async with tls_receiver(authority.server(NAME), seen) as target:

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line, headers, _ = await read_request(reader)
            asked.append(line)
            assert "x-webhook-id" not in headers
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
            try:
                await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))
            finally:
                far_writer.close()

        async with (
            bare_receiver(proxy) as port,
            sender(
                networks=(),
                resolve=never,
                proxy=f"http://127.0.0.1:{port}",
                tls=authority.client(),
            ) as one,
        ):
            for _ in range(3):
                outcome = await one.post(Request(f"https://{NAME}/hook", {}, BODY))
                assert outcome.status == 200, outcome
    assert asked == [f"CONNECT {NAME}:443 HTTP/1.1"]
    assert authority.asked_for == [NAME]
    assert (seen.opened, len(seen.requests)) == (1, 3)


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://127.0.0.1/", "address"),
        ("https://[::ffff:169.254.169.254]/", "address"),
        ("https://127.1/", "url"),
        (f"http://{NAME}/", "url"),
    ],
)
async def test_behind_a_proxy_addresses_and_http_are_checked_all_the_same(
    url: str, error: str
) -> None:
    proxy = Connections()
    async with bare_receiver(proxy) as port:
        outcome = await post(url, networks=(), proxy=f"http://127.0.0.1:{port}")
    assert outcome.error == error
    assert proxy.opened == 0


async def test_a_proxy_that_refuses_or_is_not_there_is_an_outcome() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with bare_receiver(refuse) as port:
        outcome = await post(f"https://{NAME}/", proxy=f"http://127.0.0.1:{port}")
        assert outcome.error == "proxy"
    outcome = await post(f"https://{NAME}/", proxy=f"http://127.0.0.1:{port}")
    assert outcome.error == "proxy"
