from __future__ import annotations

from datetime import timedelta

import pytest

from remit.audit import AuditLog, Entry
from remit.aws.table import TransactionCanceled, transact
from remit.errors import AlreadyExists
from remit.services import Services
from tests.support.clock import ManualClock

MERCHANT = "merchant-1"


@pytest.fixture
def log(services: Services) -> AuditLog:
    return AuditLog(services)


def write(log: AuditLog, *actions: str, merchant: str = MERCHANT) -> None:
    for action in actions:
        log.write(merchant, action, actor="ada@example.com", target="ep-1")


def actions_of(entries: list[Entry]) -> list[str]:
    return [entry.action for entry in entries]


def test_an_entry_is_read_as_it_was_written(services: Services, clock: ManualClock) -> None:
    log = AuditLog(services, suffix=lambda: "a1")
    details = {"rate": {"old": None, "new": 5}, "events": ["payment.*"]}
    log.write(MERCHANT, "webhooks.endpoint.changed", actor="ada", target="ep-1", details=details)
    assert log.entries_of(MERCHANT) == [
        Entry(
            merchant_id=MERCHANT,
            id="2026-11-23T12:00:00.000000Z#a1",
            at=clock(),
            action="webhooks.endpoint.changed",
            actor="ada",
            target="ep-1",
            details=details,
        )
    ]


def test_the_newest_entries_come_first_and_of_one_merchant(
    log: AuditLog, clock: ManualClock
) -> None:
    for action in ("one", "two", "three"):
        write(log, action)
        clock.advance(1)
    write(log, "of another", merchant="merchant-2")
    assert actions_of(log.entries_of(MERCHANT)) == ["three", "two", "one"]
    assert actions_of(log.entries_of(MERCHANT, limit=2)) == ["three", "two"]
    assert log.entries_of("merchant-3") == []


def test_entries_since_an_instant_are_those_from_it_on(log: AuditLog, clock: ManualClock) -> None:
    write(log, "before")
    clock.advance(0.000001)
    since = clock()
    write(log, "then")
    clock.advance(1)
    write(log, "after")
    assert actions_of(log.entries_of(MERCHANT, since=since)) == ["after", "then"]
    assert log.entries_of(MERCHANT, since=since + timedelta(hours=1)) == []


def test_entries_of_one_instant_are_all_kept(log: AuditLog) -> None:
    write(log, *(f"{number}" for number in range(20)))
    assert len({entry.id for entry in log.entries_of(MERCHANT)}) == 20


def test_an_entry_never_takes_the_place_of_another(services: Services) -> None:
    log = AuditLog(services, suffix=lambda: "always the same")
    write(log, "the first")
    with pytest.raises(AlreadyExists):
        write(log, "the second")
    again = log.entry(MERCHANT, "the third", actor="eve", target="ep-1")
    with pytest.raises(TransactionCanceled):
        transact(services.tables.client, [again])
    assert actions_of(log.entries_of(MERCHANT)) == ["the first"]


def test_an_entry_and_its_change_are_written_together_or_not_at_all(
    services: Services, log: AuditLog
) -> None:
    client, merchants = services.tables.client, services.tables.merchants
    merchants.put({"id": MERCHANT, "name": "old"})

    def rename(name: str, condition: str) -> None:
        update = merchants.update_action(
            MERCHANT, set={"name": name}, condition=condition, values={"old": "old"}
        )
        entry = log.entry(MERCHANT, "renamed", actor="ada", target=MERCHANT)
        transact(client, [{"Update": update}, entry])

    with pytest.raises(TransactionCanceled):
        rename("new", "#name <> :old")
    assert log.entries_of(MERCHANT) == []
    rename("new", "#name = :old")
    assert actions_of(log.entries_of(MERCHANT)) == ["renamed"]
