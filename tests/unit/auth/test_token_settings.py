from __future__ import annotations

import pytest

from remit.auth import TokenSettings
from remit.errors import ConfigurationError

GOOD = {"JWT_SECRET": "s" * 32, "JWT_ISSUER": "issuer", "JWT_AUDIENCE": "payment-api"}


def test_the_environment_of_the_payments_platform_is_enough() -> None:
    settings = TokenSettings.from_environment(GOOD)
    assert (settings.issuer, settings.audience) == ("issuer", "payment-api")


@pytest.mark.parametrize("name", GOOD)
def test_nothing_has_a_default(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        TokenSettings.from_environment({**GOOD, name: ""})


def test_a_short_secret_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"JWT_SECRET has 31 bytes.*256 bits") as caught:
        TokenSettings.from_environment({**GOOD, "JWT_SECRET": "k" * 31})
    assert "kkk" not in str(caught.value)


def test_the_secret_is_not_in_the_representation() -> None:
    assert "sss" not in repr(TokenSettings.from_environment(GOOD))
