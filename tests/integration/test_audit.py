from __future__ import annotations

import pytest

from remit.audit import Actor, AuditLog
from remit.aws.transactions import TransactionCanceled, transact
from remit.services import Services
from tests.support.audit import Entry, entries_of
from tests.support.clock import ManualClock

MERCHANT = "merchant-1"


@pytest.fixture
def log(services: Services) -> AuditLog:
    return AuditLog(services)


def write(services: Services, log: AuditLog, *actions: str) -> None:
    entries = [log.entry(MERCHANT, one, actor=Actor("ada@example.com"), target="ep-1") for one in actions]
    transact(services.tables.client, entries)


def actions_of(services: Services) -> list[str]:
    return [entry.action for entry in entries_of(services, MERCHANT)]


def test_an_entry_says_who_did_what_and_when(services: Services, clock: ManualClock) -> None:
    log = AuditLog(services, suffix=lambda: "a1")
    details = {"rate": {"old": None, "new": 5}, "events": ["payment.*"]}
    changed = "webhooks.endpoint.changed"
    transact(
        services.tables.client,
        [log.entry(MERCHANT, changed, actor=Actor("ada"), target="ep-1", details=details)],
    )
    assert entries_of(services, MERCHANT) == [
        Entry(
            merchant_id=MERCHANT,
            id="2026-11-23T12:00:00.000000Z#a1",
            at=clock(),
            action=changed,
            actor=Actor("ada"),
            target="ep-1",
            details=details,
        )
    ]


def test_a_merchants_entries_are_in_the_order_of_time(
    services: Services, log: AuditLog, clock: ManualClock
) -> None:
    for action in ("one", "two", "three"):
        write(services, log, action)
        clock.advance(1)
    assert actions_of(services) == ["three", "two", "one"]
    assert entries_of(services, "merchant-2") == []


def test_entries_of_one_instant_are_all_kept(services: Services, log: AuditLog) -> None:
    write(services, log, *(f"{number}" for number in range(20)))
    assert len({entry.id for entry in entries_of(services, MERCHANT)}) == 20


def test_an_entry_never_takes_the_place_of_another(services: Services) -> None:
    log = AuditLog(services, suffix=lambda: "always the same")
    write(services, log, "the first")
    with pytest.raises(TransactionCanceled):
        write(services, log, "the second")
    assert actions_of(services) == ["the first"]


def test_an_entry_and_its_change_are_written_together_or_not_at_all(
    services: Services, log: AuditLog
) -> None:
    client, merchants = services.tables.client, services.tables.merchants
    merchants.put({"id": MERCHANT, "name": "old"})

    def rename(name: str, condition: str) -> None:
        update = merchants.update_action(
            MERCHANT, set={"name": name}, condition=condition, values={"old": "old"}
        )
        entry = log.entry(MERCHANT, "renamed", actor=Actor("ada"), target=MERCHANT)
        transact(client, [{"Update": update}, entry])

    with pytest.raises(TransactionCanceled):
        rename("new", "#name <> :old")
    assert actions_of(services) == []
    rename("new", "#name = :old")
    assert actions_of(services) == ["renamed"]
