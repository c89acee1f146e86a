from __future__ import annotations

import pytest

from remit.errors import InvalidRequest
from remit.webhooks.urls import check_url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://example.com/",
        "ftp://example.com/",
        "https:///path",
        "https://user@example.com/",
        "https://:pw@example.com/",
        "https://[::1/",
        "https://example.com:99999/",
        "https://example.com/" + "a" * 2048,
        "javascript:alert(1)",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest):
        check_url(url, allow_http=False)


def test_http_is_for_those_who_allow_it() -> None:
    check_url("http://127.0.0.1:8080/hook", allow_http=True)
    check_url("https://example.com/hook?x=1", allow_http=False)
