from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from remit.errors import ConfigurationError
from remit.settings import Settings


def test_without_variables_the_defaults_hold() -> None:
    assert Settings.from_environment({}) == Settings()


def test_variables_are_read_in_their_units() -> None:
    settings = Settings.from_environment(
        {
            "AWS_REGION": "eu-west-1",
            "REMIT_LINK_SECONDS": "90",
            "REMIT_POLL_CHUNK": " 7 ",
            "REMIT_REJECTS_WHOLE": "true",
            "REMIT_REPORTS": "/reports",
        }
    )
    assert settings.region == "eu-west-1"
    assert settings.link_lifetime == timedelta(seconds=90)
    assert settings.poll_chunk == 7
    assert settings.rejects_whole is True
    assert settings.reports == Path("/reports")


@pytest.mark.parametrize(
    "variable", ["REMIT_WEBHOOK_PROXY", "REMIT_WEBHOOK_SIGNING_KEY", "REMIT_SECRET_KEYS"]
)
def test_what_may_hold_a_password_or_a_key_is_not_shown(variable: str) -> None:
    settings = Settings.from_environment({variable: "http://remit:hunter2@proxy.internal:3128"})
    assert settings != Settings()
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REMIT_POLL_CHUNK", "many"),
        ("REMIT_POLL_CHUNK", "0"),
        ("REMIT_POLL_CHUNK", "1.5"),
        ("REMIT_LINK_SECONDS", "-1"),
        ("REMIT_LINK_SECONDS", "604801"),
        ("REMIT_LINK_SECONDS", "nan"),
        ("REMIT_LINK_SECONDS", "1e999"),
        ("REMIT_REJECTS_WHOLE", "perhaps"),
        ("REMIT_MAX_SLICES", "1001"),
        ("REMIT_WEBHOOK_LEASE_SECONDS", "34.9"),
        ("REMIT_WEBHOOK_SECRET_OVERLAP_SECONDS", "604801"),
    ],
)
def test_a_wrong_value_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        Settings.from_environment({variable: value})


def test_a_lease_has_room_for_an_attempt_its_turn_before_and_its_outcome_after_it() -> None:
    lease, timeout, margin = (timedelta(seconds=n) for n in (27, 7, 10))
    Settings(webhook_lease=lease, webhook_timeout=timeout, webhook_lease_margin=margin)
    for change in ({"webhook_timeout": timeout * 1.01}, {"webhook_lease_margin": margin * 1.01}):
        values = {"webhook_lease": lease, "webhook_timeout": timeout, **change}
        with pytest.raises(ConfigurationError, match=r"is 27: it must be at least 27\.\d+, "):
            Settings(**values)
