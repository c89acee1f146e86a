from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import ConfigurationError, InvalidRequest
from remit.settings import Settings
from remit.webhooks.addresses import Resolve, networks_of
from remit.webhooks.urls import check_address, check_url, url_check, url_fault

PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://example.com/",
        "ftp://example.com/",
        "ws://example.com/",
        "https:///path",
        "https:/example.com",
        "//example.com/",
        "https://user@example.com/",
        "https://:pw@example.com/",
        "https://example.com@127.0.0.1/",
        "https://[::1/",
        "https://[]@",
        "https://[127.0.0.1]/",
        "https://example.com:99999/",
        "https://example.com:80:90/",
        "https://example.com/" + "a" * 2048,
        "javascript:alert(1)",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        check_url(url, allow_http=False)


@pytest.mark.parametrize(
    "url",
    [
        " https://example.com/",
        "https://example.com/\r\nX: y",
        "https://exa\tmple.com/",
        "https://example.com/a b",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/\x00",
        "https://example.com/\u3000",
        "https://example.com/\ud800",
    ],
)
def test_urls_that_parsers_read_in_different_ways_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        check_url(url, allow_http=True)


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0X7F000001.",
        "0177.0.0.1",
        "256.1.1.1",
        "1.2.3",
        "a.1",
        "%31%32%37.0.0.1",
        "example.com%00.evil",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
    ],
)
def test_hosts_in_a_misleading_spelling_are_refused(host: str) -> None:
    with pytest.raises(InvalidRequest):
        check_url(f"https://{host}/", allow_http=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook?x=1",
        "https://example.com:8443",
        "https://bücher.example/ü",
        "https://93.184.216.34/hook",
        "https://[2606:2800:220:1:248:1893:25c8:1946]:8443/hook",
        "https://4chan.example/",
        "https://example.com./hook",
        "HTTPS://EXAMPLE.COM/",
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    check_url(url, allow_http=False)


def test_http_is_for_those_who_allow_it() -> None:
    check_url("http://127.0.0.1:8080/hook", allow_http=True)
    check_url("https://example.com/hook?x=1", allow_http=True)


def resolving(*addresses: str) -> Resolve:
    """Every name has these addresses."""
    return lambda _: addresses


def unresolved(host: str) -> list[str]:
    raise OSError(f"{host} is not known")


def never(host: str) -> list[str]:
    raise AssertionError(f"{host} is looked up")


def test_a_host_with_public_addresses_is_taken() -> None:
    check_address("https://hooks.example.com/", (), resolving(*PUBLIC))


@pytest.mark.parametrize("address", ["10.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"])
def test_a_host_with_one_refused_address_is_refused_and_nothing_is_told_of_it(address: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        check_address("https://hooks.example.com/", (), resolving(*PUBLIC, address))
    (error,) = refusal.value.errors
    assert error.field == "url"
    assert "hooks.example.com has an address" in error.message
    assert address not in str(refusal.value)


def test_a_host_that_does_not_resolve_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"hooks\.example\.com does not resolve"):
        check_address("https://hooks.example.com/", (), unresolved)


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("127。0。0。1", "loopback"),
        ("①②⑦.0.0.1", "loopback"),
        ("[::ffff:127.0.0.1]", "IPv4-mapped"),
        ("[::ffff:7f00:1]", "IPv4-mapped"),
        ("[::]", "unspecified"),
        ("[64:ff9b::7f00:1]", "NAT64"),
    ],
)
def test_an_address_for_a_host_is_checked_without_a_lookup(host: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        check_address(f"https://{host}/", (), never)
    check_address("https://93.184.216.34/", (), never)


def test_http_needs_named_networks_behind_the_host() -> None:
    named = networks_of("10.0.0.0/8")
    check_address("http://hooks.internal/", named, resolving("10.0.0.1"))
    for addresses in (PUBLIC, ["10.0.0.1", *PUBLIC]):
        with pytest.raises(InvalidRequest):
            check_address("http://hooks.internal/", named, resolving(*addresses))
    check_address("https://hooks.internal/", named, resolving("10.0.0.1", *PUBLIC))


def test_the_whole_check_goes_by_the_settings() -> None:
    check = url_check(Settings(), resolving(*PUBLIC))
    check("https://hooks.example.com/")
    for url in ("http://hooks.example.com/", "https://10.0.0.1/", "https://user@example.com/"):
        with pytest.raises(InvalidRequest):
            check(url)
    inside = url_check(Settings(webhook_networks="10.0.0.0/8"), resolving("10.0.0.1"))
    inside("http://hooks.internal/")
    with pytest.raises(ConfigurationError):
        url_check(Settings(webhook_networks="10.0.0.0/99"))


def test_behind_a_proxy_names_are_left_to_it_and_addresses_are_not() -> None:
    check = url_check(replace(Settings(), webhook_proxy="http://proxy.internal:3128"), never)
    check("https://hooks.example.com/")
    with pytest.raises(InvalidRequest, match="loopback"):
        check("https://127.0.0.1/")


def test_behind_a_proxy_http_goes_to_addresses_of_named_networks_alone() -> None:
    settings = Settings(webhook_networks="10.0.0.0/8", webhook_proxy="http://proxy.internal:3128")
    check = url_check(settings, never)
    check("http://10.1.2.3/hook")
    check("https://hooks.example.com/")
    for url, why in [
        ("http://example.com/hook", "only the proxy knows"),
        ("http://hooks.internal/hook", "only the proxy knows"),
        ("http://93.184.216.34/hook", "not in a network"),
    ]:
        with pytest.raises(InvalidRequest, match=why):
            check(url)


@pytest.mark.parametrize(("proxy", "refused"), [("", False), ("http://proxy:3128", True)])
def test_a_url_with_a_name_that_http_is_not_for_is_refused_before_it_is_sent_to(
    proxy: str, refused: bool
) -> None:
    settings = Settings(webhook_networks="10.0.0.0/8", webhook_proxy=proxy)
    assert (url_fault("http://hooks.internal/hook", settings) is not None) == refused
    assert url_fault("http://10.1.2.3/hook", settings) is None
    assert url_fault("https://hooks.internal/hook", settings) is None


PIECES = st.sampled_from(
    ["https", "http", ":", "//", "/", "[", "]", "@", "%", "%5B", "..", "::1", "127.0.0.1", "a", "?"]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=9).map("".join)))
def test_whatever_a_url_is_it_may_be_used_or_there_is_a_reason(url: str) -> None:
    fault = url_fault(url, Settings())
    if fault is None:
        check_url(url, allow_http=False)
    else:
        with pytest.raises(InvalidRequest, match=re.escape(fault)):
            check_url(url, allow_http=False)
