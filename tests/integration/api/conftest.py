"""The hook's app on the tables of `services`, which are stand-ins."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from remit.api import limits, starts
from remit.api.app import create_app
from remit.auth import Verifier
from remit.services import Services
from remit.settings import REPORTS_DIRECTORY
from tests.support.api import TOKENS, NotedRuns
from tests.support.clock import ManualClock
from tests.support.standins import services, standins

__all__ = [
    "client",
    "folder",
    "folder_client",
    "runs",
    "services",
    "services_on_folder",
    "standins",
]


@pytest.fixture(autouse=True)
def _no_wait_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy host what is quick may take seconds: nobody passes, or is left, for that."""
    monkeypatch.setattr(limits, "ASK_SECONDS", 30.0)
    monkeypatch.setattr(starts, "WAIT_SECONDS", 30.0)


@pytest.fixture
def runs() -> NotedRuns:
    """The runs that the hook has started."""
    return NotedRuns()


@pytest.fixture
def client(services: Services, runs: NotedRuns, clock: ManualClock) -> Iterator[TestClient]:
    """Calls the hook."""
    app = create_app(lambda: services, runs, Verifier(TOKENS, clock))
    with TestClient(app, root_path="/remit", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the report files, to add to."""
    return Path(shutil.copytree(REPORTS_DIRECTORY, tmp_path / "sql"))


@pytest.fixture
def services_on_folder(services: Services, folder: Path) -> Services:
    """Services whose reports lie in `folder`."""
    return replace(services, settings=replace(services.settings, reports=folder))


@pytest.fixture
def folder_client(
    services_on_folder: Services, runs: NotedRuns, clock: ManualClock
) -> Iterator[TestClient]:
    """Calls a hook whose reports lie in `folder`."""
    app = create_app(lambda: services_on_folder, runs, Verifier(TOKENS, clock))
    with TestClient(app, root_path="/remit", raise_server_exceptions=False) as client:
        yield client
