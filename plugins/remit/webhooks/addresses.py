"""Which IP addresses webhooks may go to, and a resolver that lets no other pass.

By https:// they go to what is public and to the networks that a deployment names, by http:// to the
latter alone. A name is refused whole if one of its addresses is: who mixes a public address with a
private one has no honest reason. What is connected to is the very address that was checked.

`ipaddress` calls some of these addresses global, among them NAT64 and 6to4 spellings of 127.0.0.1:
its `is_global` decides nothing here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from remit.errors import AddressRefused, ConfigurationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

Resolve = Callable[[str], Sequence[str]]
"""From a host's name to its addresses. Raises OSError if there are none. It may block."""

_LOOKUPS = 256
"""Lookups at once: as many names as half a chunk's endpoints have may hang for the length of the
machine's own timeouts, which no deadline of an attempt ends. Threads begin as they are needed."""


@dataclass(frozen=True)
class Block:
    """Addresses that are not public, and who says so."""

    network: Network
    name: str
    source: str


NOT_PUBLIC: tuple[Block, ...] = tuple(
    Block(ip_network(network), name, source)
    for network, name, source in (
        ("0.0.0.0/8", "this network", "RFC 791, 3.2"),
        ("10.0.0.0/8", "private", "RFC 1918"),
        ("100.64.0.0/10", "shared (carrier-grade NAT)", "RFC 6598"),
        ("127.0.0.0/8", "loopback", "RFC 1122, 3.2.1.3"),
        ("168.63.129.16/32", "Azure's platform", "Azure: What is IP address 168.63.129.16?"),
        ("169.254.169.254/32", "cloud metadata", "RFC 3927; AWS, Azure, Google Cloud"),
        ("169.254.0.0/16", "link-local", "RFC 3927"),
        ("172.16.0.0/12", "private", "RFC 1918"),
        # Among them DS-Lite and Oracle Cloud's metadata. Its two anycast addresses that are
        # globally reachable (PCP, TURN) receive no webhooks.
        ("192.0.0.0/24", "IETF protocol assignments", "RFC 6890, 2.1"),
        ("192.0.2.0/24", "documentation", "RFC 5737"),
        # AS112 and AMT are globally reachable, and answered by whichever network is nearest.
        ("192.31.196.0/24", "AS112", "RFC 7535"),
        ("192.52.193.0/24", "multicast tunnelling (AMT)", "RFC 7450"),
        ("192.88.99.0/24", "6to4 relay", "RFC 7526"),
        ("192.168.0.0/16", "private", "RFC 1918"),
        ("192.175.48.0/24", "AS112", "RFC 7534"),
        ("198.18.0.0/15", "benchmarking", "RFC 2544"),
        ("198.51.100.0/24", "documentation", "RFC 5737"),
        ("203.0.113.0/24", "documentation", "RFC 5737"),
        ("224.0.0.0/4", "multicast", "RFC 5771"),
        ("255.255.255.255/32", "broadcast", "RFC 919"),
        ("240.0.0.0/4", "reserved", "RFC 1112, 4"),
        ("::1/128", "loopback", "RFC 4291, 2.5.3"),
        ("::/128", "unspecified", "RFC 4291, 2.5.2"),
        # An IPv4 address inside an IPv6 one is refused whatever it is: the same host has an
        # address without a wrapping, and what unwraps these (the kernel, a NAT64, a relay) is
        # known to the network alone. Who sits behind a NAT64 names its prefix as a network.
        ("::ffff:0:0/96", "IPv4-mapped", "RFC 4291, 2.5.5.2"),
        ("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765, 2.1"),
        ("::/96", "IPv4-compatible", "RFC 4291, 2.5.5.1"),
        ("64:ff9b::/96", "NAT64", "RFC 6052, 2.1"),
        ("64:ff9b:1::/48", "local NAT64", "RFC 8215"),
        ("::/8", "reserved", "RFC 4291, 2.4"),
        ("100::/64", "discarded", "RFC 6666"),
        ("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
        ("2001::/32", "Teredo", "RFC 4380"),
        ("2001:2::/48", "benchmarking", "RFC 5180"),
        ("2001:3::/32", "multicast tunnelling (AMT)", "RFC 7450"),
        ("2001:4:112::/48", "AS112", "RFC 7535"),
        ("2001:10::/28", "ORCHID", "RFC 4843"),
        ("2001:20::/28", "ORCHIDv2", "RFC 7343"),
        ("2001:30::/28", "drone remote ID", "RFC 9374"),
        ("2001::/23", "IETF protocol assignments", "RFC 2928"),
        ("2001:db8::/32", "documentation", "RFC 3849"),
        ("2002::/16", "6to4", "RFC 3056"),
        ("2620:4f:8000::/48", "AS112", "RFC 7534"),
        ("3fff::/20", "documentation", "RFC 9637"),
        ("5f00::/16", "segment routing (SRv6)", "RFC 9602"),
        ("fc00::/7", "unique local", "RFC 4193"),
        ("fe80::/10", "link-local", "RFC 4291, 2.5.6"),
        ("fec0::/10", "site-local", "RFC 3879"),
        ("ff00::/8", "multicast", "RFC 4291, 2.7"),
    )
)
"""IANA's registries of special-purpose addresses (2025-10), and what clouds put beside them. The
first row that holds an address names it: the narrow ones come before the wide ones."""

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA assigns of IPv6 (RFC 4291, 2.4). No other IPv6 address is public."""

ISATAP_IDS = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""The upper half of an interface id in which an IPv4 address follows, under any prefix (RFC 5214,
6.1): embedded IPv4 too."""


def networks_of(text: str) -> tuple[Network, ...]:
    """The CIDRs, by commas, of a deployment's `REMIT_WEBHOOK_NETWORKS`.

    Raises:
        ConfigurationError: one of them is not a CIDR, or has bits set beyond its prefix.
    """
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigurationError(
            f"REMIT_WEBHOOK_NETWORKS: {error}. It must be CIDRs by commas, such as "
            "10.20.0.0/16,fd12:3456:789a::/48"
        ) from None


def why_not_public(address: Address) -> str | None:
    """What an address is, if no webhook from the internet's side belongs there; None: public."""
    for block in NOT_PUBLIC:
        if address in block.network:
            return block.name
    if isinstance(address, IPv6Address):
        if address not in GLOBAL_UNICAST:
            return "not global unicast"
        if int(address) >> 32 & 0xFFFF_FFFF in ISATAP_IDS:
            return "ISATAP"
    return None


def why_refused(address: Address, scheme: str, networks: Sequence[Network]) -> str | None:
    """Why no webhook may go to an address by `https` or `http`; None: it may.

    An IPv4-mapped address is in a named network if the IPv4 address is: both lead to one place.
    """
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "an address with a zone"
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if any((mapped or address) in network for network in networks):
        return None
    if scheme != "https":
        return "not in a network that http:// is allowed for"
    return why_not_public(address)


def addresses_of(host: str) -> list[str]:
    """All addresses of a name, as the machine resolves it, for a stream.

    Raises:
        OSError: it has none, or none that can be found now.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError:  # a label is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no host name") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class CheckedResolver(AbstractResolver):
    """Resolves for a connector of aiohttp, which connects to what it is given here and still asks
    for and checks the certificate of the name.

    A connector asks for names alone and takes IP literals as they are: `open_socket` stands in the
    way of those, and of any other address that was not checked here.

    Lookups have threads of their own: those that hang hold up nothing else that the loop has a
    thread for, and nobody waits for them once the resolver is closed.
    """

    def __init__(
        self, scheme: str, networks: Sequence[Network] = (), resolve: Resolve = addresses_of
    ) -> None:
        self._scheme = scheme
        self._networks = networks
        self._resolve = resolve
        self._threads = ThreadPoolExecutor(_LOOKUPS, "lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name, all of them checked.

        Raises:
            AddressRefused: at least one of them is not allowed.
            OSError: it has none.
        """
        loop = asyncio.get_running_loop()
        texts = await loop.run_in_executor(self._threads, self._resolve, host)
        checked = [self._checked(text) for text in texts]
        found = list(_results(host, port, family, checked))
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address")
        return found

    def open_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """A socket to connect to this address with.

        Raises:
            AddressRefused: the address is not allowed.
        """
        family, kind, protocol, _, address = info
        self._checked(str(address[0]))
        return socket.socket(family=family, type=kind, proto=protocol)

    async def close(self) -> None:
        """Lookups that have not begun never do; those that have are left to themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _checked(self, text: str) -> Address:
        address = ip_address(text)
        if (why := why_refused(address, self._scheme, self._networks)) is not None:
            raise AddressRefused(text, why)
        return address


def _results(
    host: str, port: int, family: socket.AddressFamily, addresses: Sequence[Address]
) -> Iterator[ResolveResult]:
    for address in addresses:
        its_family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        if family in {socket.AF_UNSPEC, its_family}:
            yield ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=its_family,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
