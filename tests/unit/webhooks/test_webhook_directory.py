"""What a deliverer knows of endpoints: read in batches, believed for ten seconds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

import remit.webhooks.directory
from remit.errors import SecretUnreadable, StoreUnavailable
from remit.settings import Settings
from remit.webhooks.directory import FRESH, MOMENT, Directory, Known
from remit.webhooks.endpoint import EndpointKey
from tests.support.clock import ManualClock
from tests.support.webhooks import SECRET

SETTINGS = Settings(webhook_networks="127.0.0.0/8")
KEY = ("merchant-1", "ep-1")
DEFAULT = ("merchant-1", "default")


class Records:
    """The two tables, and how often which of their keys was asked for."""

    def __init__(self) -> None:
        self.stored: dict[EndpointKey, dict[str, Any]] = {}
        self.merchant: dict[str, Any] = {
            "id": "merchant-1",
            "webhookURL": "http://127.0.0.1:1/",
            "webhookSecret": SECRET,
        }
        self.asked: list[EndpointKey | str] = []

    def add(self, key: EndpointKey = KEY, **changes: Any) -> None:
        secrets = [{"id": "s-1", "sealed": SECRET}]
        record = {"url": "http://127.0.0.1:1/", "secrets": secrets, **changes}
        self.stored[key] = {"merchantID": key[0], "id": key[1], **record}

    async def endpoints(self, keys: Iterable[EndpointKey]) -> dict[EndpointKey, dict[str, Any]]:
        keys = list(keys)
        self.asked += keys
        return {key: self.stored[key] for key in keys if key in self.stored}

    async def merchants(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        keys = list(keys)
        self.asked += keys
        return {key: self.merchant for key in keys if self.merchant.get("id") == key}


class Health:
    """What the book of health was told."""

    def __init__(self) -> None:
        self.loaded: list[tuple[EndpointKey, dict[str, Any], str]] = []

    def load(self, key: EndpointKey, record: dict[str, Any], url: str) -> None:
        self.loaded.append((key, record, url))


class Vault:
    """Opens what is not broken."""

    def __init__(self) -> None:
        self.reachable = True

    def open(self, sealed: str) -> str:
        if sealed == "far" and not self.reachable:
            raise StoreUnavailable("KMS is out of reach")
        if sealed == "peculiar":
            raise RuntimeError("s3cret")
        if sealed == "broken":
            raise SecretUnreadable("no key opens it")
        return sealed


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def directory(records: Records, clock: ManualClock, health: Health, vault: Vault) -> Directory:
    return Directory(records, SETTINGS, clock, vault, health)  # type: ignore[arg-type]


async def found(directory: Directory, key: EndpointKey = KEY) -> Known:
    await directory.load([key])
    known = directory.find(key)
    assert known is not None
    return known


async def test_an_endpoint_is_read_once_in_ten_seconds(
    directory: Directory, records: Records, clock: ManualClock
) -> None:
    records.add()
    await found(directory)
    records.add(disabledReason="tired")
    clock.advance(FRESH.total_seconds() - 1)
    assert (await found(directory)).endpoint.enabled
    assert records.asked == [KEY]
    clock.advance(1)
    assert not (await found(directory)).endpoint.enabled


async def test_one_that_was_deleted_is_not_found(
    directory: Directory, records: Records, clock: ManualClock
) -> None:
    records.add()
    await found(directory)
    records.stored.clear()
    clock.advance(FRESH.total_seconds())
    await directory.load([KEY])
    assert directory.find(KEY) is None


async def test_a_record_without_a_url_is_no_endpoint(
    directory: Directory, records: Records
) -> None:
    records.add(url=None)
    await directory.load([KEY])
    assert directory.find(KEY) is None


async def test_making_room_forgets_none_of_those_that_are_wanted_now(
    directory: Directory, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wanted and not found is taken for deleted, and its webhooks are set aside."""
    monkeypatch.setattr(remit.webhooks.directory, "MOST_KNOWN", 2)
    keys = [("merchant-1", f"ep-{n}") for n in range(4)]
    for key in keys:
        records.add(key)
    await directory.load(keys[:3])
    await directory.load(keys)  # three of them are known, and fresh
    assert all(directory.find(key) for key in keys)


async def test_the_book_of_health_is_told_what_was_read(
    directory: Directory, records: Records, health: Health
) -> None:
    records.add(breakerOpens=2, url="https://ep-1.example.com/")
    await directory.load([KEY, DEFAULT])
    told = {key: (record, url) for key, record, url in health.loaded}
    assert told == {
        KEY: (records.stored[KEY], "https://ep-1.example.com/"),
        DEFAULT: ({}, "http://127.0.0.1:1/"),
    }
    await directory.load([KEY, DEFAULT])
    assert len(health.loaded) == 2


async def test_the_book_of_health_is_told_of_no_url_where_there_is_none(
    directory: Directory, records: Records, health: Health
) -> None:
    del records.merchant["webhookURL"]
    await directory.load([KEY, DEFAULT])
    assert {key: url for key, _, url in health.loaded} == {KEY: "", DEFAULT: ""}


async def test_only_live_secrets_sign_and_are_told(
    directory: Directory, records: Records, clock: ManualClock
) -> None:
    past, future = (clock.now + timedelta(seconds=s) for s in (-1, 60))
    records.add(
        secrets=[
            {"id": "s-0", "sealed": SECRET, "expiresAt": past.isoformat()},
            {"id": "s-1", "sealed": SECRET, "expiresAt": future.isoformat()},
            {"id": "s-2", "sealed": SECRET},
        ]
    )
    known = await found(directory)
    assert known.secret_ids == ("s-1", "s-2")
    assert len(known.signing_keys) == 2


async def test_a_secret_that_cannot_be_opened_is_a_fault_that_is_told_once(
    directory: Directory, records: Records, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    records.add(secrets=[{"id": "s-1", "sealed": "broken"}])
    for _ in range(3):
        assert "no key opens it" in ((await found(directory)).fault or "")
        clock.advance(FRESH.total_seconds())
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"secrets": [{"id": "s-1"}]},
        {"secrets": [{"id": "s-1", "sealed": SECRET, "expiresAt": "soon"}]},
        {"secrets": [{"id": "s-1", "sealed": "peculiar"}]},
        {"schedule": [None]},
        {"events": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize("key", [KEY, DEFAULT], ids=["own", "default"])
async def test_what_is_wrong_with_a_record_is_a_fault_of_that_endpoint_alone(
    directory: Directory,
    records: Records,
    caplog: pytest.LogCaptureFixture,
    key: EndpointKey,
    changes: dict[str, Any],
) -> None:
    other = ("merchant-1", "ep-2")
    records.add(key, **changes)
    records.add(other)
    await directory.load([key, other])
    odd, fine = directory.find(key), directory.find(other)
    assert odd is not None
    assert odd.fault
    assert fine is not None
    assert fine.fault is None
    assert fine.signing_keys
    (logged,) = caplog.messages
    assert f"merchant={key[0]} endpoint={key[1]}: " in logged
    assert SECRET not in logged
    assert "s3cret" not in caplog.text


async def test_an_outage_of_kms_is_a_fault_for_a_moment_of_what_needs_it(
    directory: Directory, records: Records, clock: ManualClock, vault: Vault
) -> None:
    other = ("merchant-1", "ep-2")
    records.add(secrets=[{"id": "s-1", "sealed": "far"}])
    records.add(other)
    vault.reachable = False
    await directory.load([KEY, other])
    assert (await found(directory)).fault == "KMS is out of reach"
    assert (await found(directory, other)).fault is None
    vault.reachable = True
    clock.advance(MOMENT.total_seconds())
    known = await found(directory)
    assert (known.fault, len(known.signing_keys)) == (None, 1)


async def test_a_fault_that_comes_back_is_told_again(
    directory: Directory, records: Records, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for events in (5, ["*"], 5):
        records.add(events=events)
        await found(directory)
        clock.advance(FRESH.total_seconds())
    assert len(caplog.records) == 2


async def test_its_own_schedule_is_used_and_remits_says_how_long_a_task_waits(
    directory: Directory, records: Records
) -> None:
    records.add(schedule=[5, 300])
    known = await found(directory)
    assert [known.schedule.wait(n, 0).total_seconds() for n in (1, 2, 3)] == [5, 300, 300]
    assert [known.burst.wait(n, 0).total_seconds() for n in (1, 2, 3)] == [2, 4, 8]


async def test_a_url_that_no_endpoint_may_have_is_refused(
    directory: Directory, records: Records
) -> None:
    records.add(url="ftp://127.0.0.1/")
    assert (await found(directory)).refused


async def test_the_default_endpoint_is_the_merchants_own(
    directory: Directory, records: Records
) -> None:
    records.stored[DEFAULT] = {"merchantID": "merchant-1", "id": "default", "concurrency": 3}
    known = await found(directory, DEFAULT)
    assert (known.endpoint.url, known.endpoint.concurrency) == ("http://127.0.0.1:1/", 3)
    assert known.is_there


async def test_without_a_url_the_merchants_secret_still_signs(
    directory: Directory, records: Records
) -> None:
    del records.merchant["webhookURL"]
    known = await found(directory, DEFAULT)
    assert not known.is_there
    assert known.signing_keys


async def test_a_merchant_that_is_not_there_has_no_default_endpoint(
    directory: Directory, records: Records
) -> None:
    records.merchant = {}
    await directory.load([DEFAULT])
    assert directory.find(DEFAULT) is None
