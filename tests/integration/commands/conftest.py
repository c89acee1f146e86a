"""Commands on stand-ins, as they find them."""

from __future__ import annotations

import pytest

from remit.services import Services
from tests.support.endpoints import store
from tests.support.standins import services, standins

__all__ = ["of_commands", "services", "standins", "store"]


@pytest.fixture(autouse=True)
def of_commands(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands take `services` for those of their environment."""
    monkeypatch.setattr(Services, "from_environment", lambda: services)
