from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import remit
from remit.audit import Actor, AuditLog, Via, Wanted
from remit.aws.transactions import TransactionCanceled, transact
from remit.errors import AlreadyExists
from remit.services import Services
from tests.support.audit import Entry, entries_of
from tests.support.clock import ManualClock

MERCHANT = "merchant-1"


@pytest.fixture
def log(services: Services) -> AuditLog:
    return AuditLog(services)


def write(services: Services, log: AuditLog, *actions: str) -> None:
    entries = [
        log.entry(MERCHANT, one, actor=Actor("ada@example.com"), target="ep-1") for one in actions
    ]
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


def test_an_entry_is_kept_for_as_long_as_is_set(services: Services, clock: ManualClock) -> None:
    settings = replace(services.settings, audit_retention=timedelta(days=90))
    for one in (services, replace(services, settings=settings)):
        write(one, AuditLog(one), "one")

    found = services.tables.audit_log.query("#merchantID = :merchant", {"merchant": MERCHANT})

    kept = {item["expiresAt"] - int(clock().timestamp()) for item in found}
    assert kept == {400 * 86_400, 90 * 86_400}


def test_the_table_forgets_entries_whose_time_is_up(services: Services) -> None:
    name = services.tables.audit_log.name
    ttl = services.tables.client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiresAt"}


def test_what_changes_nothing_is_written_alone(services: Services, log: AuditLog) -> None:
    log.write(MERCHANT, "exports.link.minted", actor=Actor("ada", Via.HOOK), target="export-1")
    (entry,) = entries_of(services, MERCHANT)
    assert (entry.action, entry.target, entry.details) == ("exports.link.minted", "export-1", {})


def test_an_entry_that_is_written_alone_takes_no_others_place(services: Services) -> None:
    log = AuditLog(services, suffix=lambda: "always the same")
    log.write(MERCHANT, "the first", actor=Actor("ada"), target="x")
    with pytest.raises(AlreadyExists):
        log.write(MERCHANT, "the second", actor=Actor("ada"), target="x")
    assert actions_of(services) == ["the first"]


def test_nothing_in_the_package_changes_or_removes_an_entry() -> None:
    """The table is used in one module, which only creates and reads."""
    package = Path(remit.__file__).parent
    users = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\baudit_log\b", path.read_text(encoding="utf-8"))
    }
    assert users == {"aws/tables.py", "audit.py"}
    source = (package / "audit.py").read_text(encoding="utf-8")
    used = set(re.findall(r"self\._table\.(\w+)", source))
    assert used == {"create_action", "create", "query_page"}
    assert source.count("tables.audit_log") == 1


def page(log: AuditLog, wanted: Wanted, limit: int = 100) -> tuple[list[str], int]:
    """The actions of all pages, and how many pages there were."""
    actions: list[str] = []
    after, pages = None, 0
    while True:
        items, after = log.page(MERCHANT, wanted, limit=limit, after=after)
        assert len(items) <= limit
        actions += [item["action"] for item in items]
        pages += 1
        if after is None:
            return actions, pages


def test_pages_join_without_gap_and_a_filter_makes_them_no_longer(
    services: Services, log: AuditLog, clock: ManualClock
) -> None:
    for number in range(60):
        write(services, log, f"exports.export.n{number}", f"webhooks.endpoint.n{number}")
        clock.advance(1)
    newest_first = [f"exports.export.n{number}" for number in reversed(range(60))]

    assert page(log, Wanted("exports.*"), limit=7)[0] == newest_first
    assert page(log, Wanted("exports.export.n7"), limit=7)[0] == ["exports.export.n7"]
    assert page(log, Wanted("exports.export.n"), limit=7)[0] == []
    everything, pages = page(log, Wanted(), limit=50)
    assert (len(everything), pages) == (120, 3)
    assert sorted(everything) == sorted({*everything})


def test_the_window_is_half_open(services: Services, log: AuditLog, clock: ManualClock) -> None:
    start = clock()
    for number in range(4):
        write(services, log, f"n{number}")
        clock.advance(1)
    after, before = start + timedelta(seconds=1), start + timedelta(seconds=3)

    assert page(log, Wanted(after=after, before=before))[0] == ["n2", "n1"]
    assert page(log, Wanted(after=before, before=after))[0] == []


def test_a_filter_that_matches_little_gives_a_short_page(
    services: Services, log: AuditLog, clock: ManualClock
) -> None:
    write(services, log, "rare")
    for _ in range(6):
        clock.advance(1)
        write(services, log, *["common"] * 100)

    items, after = log.page(MERCHANT, Wanted("rare"), limit=10, after=None)

    assert items == []
    assert after
    assert page(log, Wanted("rare")) == (["rare"], 2)
