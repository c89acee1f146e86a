"""The table of addresses that are not public, in every spelling, and the resolver that knows it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.errors import AddressRefused, ConfigurationError
from remit.webhooks.addresses import (
    GLOBAL_UNICAST,
    ISATAP_IDS,
    NOT_PUBLIC,
    Block,
    CheckedResolver,
    addresses_of,
    networks_of,
    why_not_public,
    why_refused,
)

PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"]


def listed(text: str) -> list[str]:
    return text.split()


EDGES = listed("""
1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
191.255.255.255 192.0.1.0 192.0.1.255 192.0.3.0 192.31.195.255 192.31.197.0 192.52.192.255
192.52.194.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 192.175.47.255 192.175.49.0
198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
2001:200:: 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9:: 2001:4860:4860::8888 2000::
2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2003:: 2606:4700:4700::1111 2a00:1450:4001:831::200e
2620:4f:7fff:ffff:ffff:ffff:ffff:ffff 2620:4f:8001:: 3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff
3fff:1000:: 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
""")
"""Public addresses next to those that are not."""

REFUSED = listed("""
0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 127.0.0.1 127.255.255.255
168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.9 192.0.0.192 192.0.2.1 192.88.99.1
192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255
169.254.1.1 192.31.196.1 192.52.193.1 192.175.48.1 240.0.0.1 255.255.255.254 255.255.255.255
:: ::1 ::2 ::7f00:1 ::5db8:d822 ::ffff:127.0.0.1 ::ffff:93.184.216.34 ::ffff:0:7f00:1
::ffff:0:5db8:d822 64:ff9b::7f00:1 64:ff9b::5db8:d822 64:ff9b:1::7f00:1 64:ff9b:1:ffff::a00:1
64:ff9b:2::1 ff:: 100::1 100:0:0:1::1 1fff:: 2001::1 2001:0:5db8:d822::80ff:fffe
2001:1::1 2001:1::3 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:2f:ffff:: 2001:30::1
2001:1ff::1 2001:db8::1 2002:7f00:1:: 2002:5db8:d822::1 2620:4f:8000::1 3fff::1 3fff:fff:ffff::1
4000:: 5f00::1 9000::1 fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::5efe:7f00:1 feb0::1 fec0::1
feff::1 ff02::1 2a00::5efe:7f00:1 2a00::200:5efe:5db8:d822
""")


def embedded(prefix: str, shift: int = 0) -> Callable[[IPv4Address], IPv6Address]:
    """Puts an IPv4 address so many bits above the end of a prefix's address."""
    base = int(IPv6Address(prefix))
    return lambda address: IPv6Address(base | int(address) << shift)


SPELLINGS: dict[str, Callable[[IPv4Address], IPv6Address]] = {
    "IPv4-mapped": embedded("::ffff:0:0"),
    "IPv4-compatible": embedded("::"),
    "IPv4-translated": embedded("::ffff:0:0:0"),
    "NAT64": embedded("64:ff9b::"),
    "NAT64, local, /96": embedded("64:ff9b:1::"),
    "NAT64, local, /48": lambda address: IPv6Address(
        int(IPv6Address("64:ff9b:1::")) | int(address) >> 16 << 64 | (int(address) & 0xFFFF) << 40
    ),
    "6to4": embedded("2002::", 80),
    "6to4, with an interface": embedded("2002::1", 80),
    "Teredo": lambda address: IPv6Address(
        int(IPv6Address("2001:0:5db8:d822::")) | int(address) ^ 0xFFFF_FFFF
    ),
    "Teredo, server": embedded("2001::1", 64),
    "ISATAP": embedded("2a00:1450:4001:831::5efe:0:0"),
    "ISATAP, universal": embedded("2a00:1450:4001:831:200:5efe::"),
    "ISATAP, link-local": embedded("fe80::5efe:0:0"),
}

blocks = st.sampled_from(NOT_PUBLIC)
refused = st.one_of(
    blocks.flatmap(lambda block: st.ip_addresses(network=block.network)),
    blocks.map(lambda block: block.network[0]),
    blocks.map(lambda block: block.network[-1]),
)


@given(refused)
@settings(max_examples=500)
def test_no_address_of_the_table_is_public(address) -> None:
    assert why_not_public(address)


@pytest.mark.parametrize("block", NOT_PUBLIC, ids=lambda block: f"{block.network} {block.name}")
def test_every_row_names_its_addresses_and_a_source(block: Block) -> None:
    for address in {block.network[0], block.network[-1]}:
        narrower = [one for one in NOT_PUBLIC if address in one.network and one != block]
        assert why_not_public(address) in {block.name, *(one.name for one in narrower)}
    assert block.name
    assert block.source


def test_narrow_rows_come_before_the_wide_ones_that_hold_them() -> None:
    for position, block in enumerate(NOT_PUBLIC):
        for earlier in NOT_PUBLIC[:position]:
            if earlier.network.version == block.network.version:
                assert not block.network.subnet_of(earlier.network), (block, earlier)


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(st.one_of(st.ip_addresses(v=4), refused.filter(lambda address: address.version == 4)))
def test_an_embedded_ipv4_address_is_refused_whatever_it_is(spelling: str, address) -> None:
    assert why_not_public(SPELLINGS[spelling](address))


@pytest.mark.parametrize("text", REFUSED)
def test_addresses_that_are_not_public(text: str) -> None:
    assert why_not_public(ip_address(text))


@pytest.mark.parametrize("text", [*PUBLIC, *EDGES])
def test_what_is_beside_the_table_is_public(text: str) -> None:
    assert why_not_public(ip_address(text)) is None


@given(st.ip_addresses())
@settings(max_examples=500)
def test_what_the_standard_library_knows_to_be_special_is_not_public(address) -> None:
    special = (
        not address.is_global
        or address.is_multicast
        or address.is_reserved
        or address.is_link_local
        or getattr(address, "is_site_local", False)
    )
    if special:
        assert why_not_public(address)


@given(st.ip_addresses(v=4))
@settings(max_examples=500)
def test_every_other_ipv4_address_is_public(address: IPv4Address) -> None:
    in_table = any(address in block.network for block in NOT_PUBLIC)
    assert (why_not_public(address) is None) is not in_table


@given(st.ip_addresses(network=GLOBAL_UNICAST))
@settings(max_examples=500)
def test_of_ipv6_only_global_unicast_beside_the_table_is_public(address: IPv6Address) -> None:
    in_table = any(address in block.network for block in NOT_PUBLIC)
    isatap = int(address) >> 32 & 0xFFFF_FFFF in ISATAP_IDS
    assert (why_not_public(address) is None) is not (in_table or isatap)


@given(st.ip_addresses(v=6).filter(lambda address: address not in GLOBAL_UNICAST))
def test_no_ipv6_address_beyond_global_unicast_is_public(address: IPv6Address) -> None:
    assert why_not_public(address)


def test_networks_are_cidrs_by_commas() -> None:
    expected = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("10.1.2.3/32"))
    assert networks_of(" 10.0.0.0/8, fd00::/8,,10.1.2.3 ") == expected
    assert networks_of("") == ()


@pytest.mark.parametrize("text", ["10.0.0.1/8", "localhost", "10.0.0.0/33", "10.0.0.0/8;::/0"])
def test_what_is_no_cidr_is_refused_with_the_name_of_the_setting(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"REMIT_WEBHOOK_NETWORKS: .* such as"):
        networks_of(f"192.168.0.0/16,{text}")


def test_a_named_network_is_allowed_by_both_schemes_and_nothing_else_is_by_http() -> None:
    named = networks_of("10.0.0.0/8,fd00::/8")
    for text in ("10.1.2.3", "fd00::1"):
        for scheme in ("https", "http"):
            assert why_refused(ip_address(text), scheme, named) is None
            assert why_refused(ip_address(text), scheme, ())
    for text in PUBLIC:
        assert why_refused(ip_address(text), "https", named) is None
        assert why_refused(ip_address(text), "http", named)
    assert why_refused(ip_address("192.168.0.1"), "https", named) == "private"


def test_a_mapped_address_is_in_a_named_network_if_its_ipv4_address_is() -> None:
    named = networks_of("10.0.0.0/8")
    assert why_refused(ip_address("::ffff:10.0.0.1"), "http", named) is None
    assert why_refused(ip_address("::ffff:127.0.0.1"), "https", named)
    # All of IPv6 is named, but a mapped address is IPv4.
    assert why_refused(ip_address("::ffff:127.0.0.1"), "https", networks_of("::/0"))
    for spelling in ("::a00:1", "64:ff9b::a00:1", "2002:a00:1::"):
        assert why_refused(ip_address(spelling), "https", named)


def test_an_address_with_a_zone_is_refused_in_a_named_network_too() -> None:
    address = ip_address("fe80::1%eth0")
    assert why_refused(address, "https", networks_of("fe80::/10")) == "an address with a zone"


def resolver(*addresses: str, scheme: str = "https", networks: str = "") -> CheckedResolver:
    """One for which every name has these addresses."""
    return CheckedResolver(scheme, networks_of(networks), lambda _: addresses)


async def test_the_resolver_gives_exactly_the_checked_addresses() -> None:
    found = await resolver(*PUBLIC).resolve("hooks.example.com", 443)
    assert [one["host"] for one in found] == PUBLIC
    assert [one["family"] for one in found] == [socket.AF_INET, socket.AF_INET6]
    assert {one["hostname"] for one in found} == {"hooks.example.com"}
    assert {one["port"] for one in found} == {443}
    assert {one["flags"] for one in found} == {socket.AI_NUMERICHOST | socket.AI_NUMERICSERV}


async def test_the_resolver_gives_one_family_where_it_is_asked_for() -> None:
    found = await resolver(*PUBLIC).resolve("hooks.example.com", 443, socket.AF_INET6)
    assert [one["host"] for one in found] == PUBLIC[1:]
    with pytest.raises(socket.gaierror):
        await resolver(PUBLIC[0]).resolve("hooks.example.com", 443, socket.AF_INET6)


@pytest.mark.parametrize("text", ["127.0.0.1", "::ffff:7f00:1", "fe80::1%1", "64:ff9b::7f00:1"])
@pytest.mark.parametrize("position", range(3))
async def test_a_name_is_refused_whole_for_one_address(text: str, position: int) -> None:
    addresses = [*PUBLIC[:position], text, *PUBLIC[position:]]
    with pytest.raises(AddressRefused) as refusal:
        await resolver(*addresses).resolve("hooks.example.com", 443)
    assert refusal.value.address == text
    assert refusal.value.why in str(refusal.value)


async def test_a_name_over_http_has_addresses_in_named_networks_alone() -> None:
    plain = resolver("10.0.0.1", scheme="http", networks="10.0.0.0/8")
    assert [one["host"] for one in await plain.resolve("hooks.internal")] == ["10.0.0.1"]
    with pytest.raises(AddressRefused):
        await resolver("10.0.0.1", PUBLIC[0], scheme="http", networks="10.0.0.0/8").resolve("a.b")


async def test_a_name_without_addresses_is_an_error_of_the_resolver() -> None:
    with pytest.raises(socket.gaierror):
        await resolver().resolve("hooks.example.com", 443)


@dataclass
class HangingNames:
    """A name server that does not answer until it is let go."""

    asked: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    answered: list[str] = field(default_factory=list)

    def __call__(self, host: str) -> list[str]:
        self.asked.set()
        self.let_go.wait(10)
        self.answered.append(host)
        return PUBLIC


@pytest.fixture
def hanging() -> Iterator[HangingNames]:
    names = HangingNames()
    yield names
    names.let_go.set()


async def test_lookups_that_hang_leave_the_loops_own_threads_to_others(
    hanging: HangingNames,
) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    checked = CheckedResolver("https", (), hanging)
    lookups = [asyncio.create_task(checked.resolve(f"{n}.example.com")) for n in range(4)]
    async with asyncio.timeout(5):
        await asyncio.to_thread(hanging.asked.wait, 5)
        await asyncio.to_thread(int)
    assert hanging.answered == []
    hanging.let_go.set()
    assert [len(found) for found in await asyncio.gather(*lookups)] == [len(PUBLIC)] * 4
    await checked.close()


def test_a_lookup_that_hangs_does_not_hold_up_the_end(hanging: HangingNames) -> None:
    async def give_up() -> None:
        checked = CheckedResolver("https", (), hanging)
        lookup = asyncio.create_task(checked.resolve("hooks.example.com"))
        await asyncio.to_thread(hanging.asked.wait, 5)
        lookup.cancel()
        with suppress(asyncio.CancelledError):
            await lookup
        await checked.close()

    asyncio.run(give_up())
    assert hanging.answered == []


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", ".example"])
def test_what_can_be_no_name_does_not_resolve(host: str) -> None:
    with pytest.raises(OSError):
        addresses_of(host)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost"])
def test_spellings_that_the_machine_takes_for_loopback_resolve_to_what_is_refused(
    host: str,
) -> None:
    assert all(why_not_public(ip_address(text)) == "loopback" for text in addresses_of(host))


def test_no_socket_is_opened_for_an_address_that_was_not_allowed() -> None:
    checked = resolver()
    info = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
    with pytest.raises(AddressRefused):
        checked.open_socket((*info, ("127.0.0.1", 443)))
    with checked.open_socket((*info, (PUBLIC[0], 443))) as opened:
        assert opened.family == socket.AF_INET
