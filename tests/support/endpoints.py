"""Builders for tests of endpoints: services with a key for secrets, and a store on them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from remit.audit import REFUSED, Actor
from remit.services import Services
from remit.webhooks.endpoint import Endpoint
from remit.webhooks.endpoints import EndpointStore
from remit.webhooks.urls import check_url
from tests.support.audit import Entry, entries_of

KEY = "a2V5IG9uZSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzIS4="
OTHER_KEY = "a2V5IHR3byBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzIS4="
SECRET = "whsec_b25lIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGU="
URL = "https://receiver.example.com/hooks"
MERCHANT = "merchant-1"
ACTOR = Actor("ada@example.com")

WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["url"]),
    ({"url": None}, ["url"]),
    ({"url": 5}, ["url"]),
    ({"url": "http://receiver.example.com"}, ["url"]),
    ({"url": "https://user:pass@receiver.example.com"}, ["url"]),
    ({"url": "https://" + "x" * 2048}, ["url"]),
    ({"url": "https://receiver.example.com/\ud800"}, ["url"]),
    ({"url": URL, "description": "x" * 501}, ["description"]),
    ({"url": URL, "description": "a\nb"}, ["description"]),
    ({"url": URL, "description": "\ud800"}, ["description"]),
    ({"url": URL, "description": 7}, ["description"]),
    ({"url": URL, "events": []}, ["events"]),
    ({"url": URL, "events": "payment.*"}, ["events"]),
    ({"url": URL, "events": ["payment.*"] * 101}, ["events"]),
    ({"url": URL, "events": ["payment*"]}, ["events"]),
    ({"url": URL, "events": ["a." + "x" * 127]}, ["events"]),
    ({"url": URL, "events": [["a.b"]]}, ["events"]),
    ({"url": URL, "events": [None]}, ["events"]),
    ({"url": URL, "rate": 0}, ["rate"]),
    ({"url": URL, "rate": 10_001}, ["rate"]),
    ({"url": URL, "rate": True}, ["rate"]),
    ({"url": URL, "rate": 1.5}, ["rate"]),
    ({"url": URL, "rate": "5"}, ["rate"]),
    ({"url": URL, "concurrency": 0}, ["concurrency"]),
    ({"url": URL, "concurrency": 65}, ["concurrency"]),
    ({"url": URL, "schedule": []}, ["schedule"]),
    ({"url": URL, "schedule": [1] * 51}, ["schedule"]),
    ({"url": URL, "schedule": [1, 0]}, ["schedule"]),
    ({"url": URL, "schedule": [86_401]}, ["schedule"]),
    ({"url": URL, "schedule": 5}, ["schedule"]),
    ({"url": URL, "secret": "whsec_c2hvcnQ="}, ["secret"]),
    ({"url": URL, "secret": "sixteen-letters!"}, ["secret"]),
    ({"url": URL, "secret": ""}, ["secret"]),
    ({"url": URL, "secret": ["a"]}, ["secret"]),
    ({"url": URL, "id": "ep-mine"}, ["id"]),
    ({"url": URL, "secrets": []}, ["secrets"]),
    ({"url": URL, "disabledReason": "x", "failingSince": "y"}, ["disabledReason", "failingSince"]),
    ({"URL": URL}, ["URL", "url"]),
    (
        {"color": 1, "rate": 0, "events": ["x"], "secret": "s", "concurrency": 0, "url": "ftp://x"},
        ["color", "events", "rate", "concurrency", "secret", "url"],
    ),
]
"""Endpoints as nobody may ask for them, with the fields that are wrong, in the order of the
answer."""


def with_keys(services: Services, keys: str = KEY, **settings: Any) -> Services:
    """The services of a deployment with these keys for secrets."""
    return replace(services, settings=replace(services.settings, secret_keys=keys, **settings))


def store_on(services: Services, **parts: Any) -> EndpointStore:
    """A store that lets every address pass; `services` have a key for secrets."""
    parts = {"check_url": partial(check_url, allow_http=False), **parts}
    return EndpointStore(services, services.vault, **parts)


@pytest.fixture
def store(services: Services) -> EndpointStore:
    """A store that lets every address pass."""
    return store_on(services)


def add_endpoint(store: EndpointStore, merchant: str = MERCHANT, **fields: Any) -> Endpoint:
    """A new endpoint of a merchant."""
    return store.create(merchant, {"url": URL, **fields}, actor=ACTOR).endpoint


def entries(services: Services, verb: str = "") -> list[Entry]:
    """The audit log, or its entries of one kind. Those of one instant are in no order."""
    found = entries_of(services, MERCHANT)
    return [entry for entry in found if entry.action.endswith(verb)]


def stored(services: Services, endpoint_id: str) -> dict[str, Any]:
    """An endpoint's record."""
    record = services.tables.endpoints.get((MERCHANT, endpoint_id))
    assert record is not None
    return record


def everything(services: Services) -> list[dict[str, Any]]:
    """All records of endpoints, and of the audit log of what was done."""
    client, names = services.tables.client, ("WebhookEndpoints", "AuditLog")
    found = [item for name in names for item in client.scan(TableName=name)["Items"]]
    return [item for item in found if item.get("result") != {"S": REFUSED}]
