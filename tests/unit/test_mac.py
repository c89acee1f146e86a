"""HMAC-SHA256, held to the standard library's."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from remit.mac import Mac


@given(st.binary(max_size=200), st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_every_text_is_signed_as_the_standard_library_signs_it(
    key: bytes, texts: list[bytes]
) -> None:
    mac = Mac(key)
    for text in texts:
        assert mac.digest(text) == hmac.digest(key, text, "sha256")


def test_nothing_of_the_key_is_shown() -> None:
    assert "secret" not in repr(Mac(b"secret"))
