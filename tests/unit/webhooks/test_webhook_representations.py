"""What a representation shows, in a log or a traceback: no record, no payload, no secret."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

import remit.queue
import remit.webhooks
from remit.queue import Claim
from remit.settings import Settings
from remit.webhooks.fanout import _Plan
from remit.webhooks.record import read_record
from remit.webhooks.replay import Candidate
from remit.webhooks.replay_pages import Found, Page

_WHOLE = re.compile(r"\b(Item|Action|Changes|bytes)\b|\b(Mapping|dict)\[str, Any\]")
"""Annotations of what may hold anything that is stored, or sent."""

_NAMES = {"payload", "_payload", "data", "body", "excerpt", "sealed", "secret", "secrets"}

SHOWN = {
    "Change.details": "what the audit log is told",
    "DuePage.next": "a key of an index",
    "Found.place": "a key of an index",
    "HealthUpdate.set": "instants and ids",
    "HealthUpdate.values": "instants and ids",
    "Move.change": "a change of a record's state",
    "Move.short": "what makes such a change",
    "Page.next": "a key of an index",
    "Progress.cursor": "a key of an index",
    "Rule.action": "what follows from a status",
    "Stored.attributes": "instants and ids",
}
"""Fields that match and may be shown, because of what is in them."""


def classes() -> dict[str, type]:
    """Every dataclass and structure of webhooks, and of the queue, by its name."""
    names = [f"remit.webhooks.{one.name}" for one in pkgutil.iter_modules(remit.webhooks.__path__)]
    modules = [importlib.import_module(name) for name in sorted(names)] + [remit.queue]
    return {
        f"{module.__name__}.{name}": one
        for module in modules
        for name, one in vars(module).items()
        if isinstance(one, type)
        and one.__module__ == module.__name__
        and (is_dataclass(one) or issubclass(one, msgspec.Struct))
    }


CLASSES = classes()


def test_all_modules_are_looked_at() -> None:
    found = {name.rpartition(".")[2] for name in CLASSES}
    assert {"Draft", "_Plan", "Candidate", "Webhook", "Ready", "Seen", "Claim"} <= found


def shown(one: type) -> Iterator[tuple[str, str]]:
    """Name and annotation of every field that a representation shows."""
    if is_dataclass(one):
        found: tuple[Field[Any], ...] = fields(one)
        yield from ((each.name, str(each.type)) for each in found if each.repr)
    else:
        yield from ((name, str(kind)) for name, kind in one.__annotations__.items())


def may_hold_a_payload(one: type) -> set[str]:
    return {
        f"{one.__name__}.{name}"
        for name, kind in shown(one)
        if _WHOLE.search(kind) or (name in _NAMES and kind != "int")
    }


@pytest.mark.parametrize("name", CLASSES)
def test_no_field_that_may_hold_a_record_or_a_payload_is_shown(name: str) -> None:
    assert may_hold_a_payload(CLASSES[name]) <= SHOWN.keys()


def test_what_may_be_shown_is_there() -> None:
    assert set().union(*map(may_hold_a_payload, CLASSES.values())) == SHOWN.keys()


def test_neither_a_record_nor_what_holds_one_shows_its_payload() -> None:
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    record = {
        "id": "wh-1",
        "merchantID": "merchant-1",
        "eventType": "payment.succeeded",
        "status": "failed",
        "url": "https://example.com/hook",
        "payload": '{"card":"4242"}',
        "createdAt": "2026-11-23T12:00:00.000000Z",
        "expiresAt": int(now.timestamp()) + 60,
    }
    candidate = Candidate(record, read_record(record, Settings().webhook_lifetime), None)
    page = Page([Found({"id": "wh-1"}, candidate)], None)
    for one in (candidate, page, _Plan.of(record, {}, [record]), Claim("wh-1", "t", record)):
        assert "4242" not in repr(one)
