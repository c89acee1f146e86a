from __future__ import annotations

import logging
from typing import Any

import pytest

from remit.audit import Actor
from remit.errors import ConditionFailed
from remit.services import Services
from remit.webhooks.dead_letters import dead_letters
from remit.webhooks.disabling import MOST_TOLD, disable_and_tell
from remit.webhooks.endpoints import EndpointStore
from remit.webhooks.replay import replay_one
from remit.webhooks.urls import url_check
from tests.support.audit import entries_of
from tests.support.webhooks import add_endpoint, add_merchant

MERCHANT = "merchant-1"
KEY = (MERCHANT, "ep-1")


def disable(services: Services) -> None:
    disable_and_tell(services, KEY, "it has failed for long", Actor("remit"), new_id=lambda _: "1")


def told(services: Services) -> dict[str, str]:
    """Status by endpoint of what was made of the event."""
    names = ["endpointID", "status", "eventType"]
    found = services.tables.webhooks.scan("#attempts >= :n", {"n": 0}, attributes=names)
    return {one["endpointID"]: one["status"] for one in found}


def stored(services: Services) -> dict[str, Any]:
    return services.tables.endpoints.get(KEY) or {}


def actions(services: Services) -> list[str]:
    """What the audit log has of the merchant."""
    return [entry.action for entry in entries_of(services, MERCHANT)]


def test_the_only_endpoint_can_be_told_by_a_replay_once_it_is_enabled(services: Services) -> None:
    add_endpoint(services, "ep-1")
    disable(services)
    assert told(services) == {"ep-1": "failed"}
    (letter,) = dead_letters(services, MERCHANT)
    assert (letter["event"], letter["reasonCode"]) == ("evt-1", "endpoint_disabled")
    store = EndpointStore(services, services.vault, url_check(services.settings))
    store.enable(MERCHANT, "ep-1", actor=Actor("ada"))
    replay_one(services, MERCHANT, letter["id"], actor=Actor("ada"))
    assert services.webhook_queue.due(10) == [letter["id"]]


def test_the_default_endpoint_is_kept_what_nobody_else_hears(services: Services) -> None:
    add_merchant(services, "https://example.com/hook")
    disable_and_tell(services, (MERCHANT, "default"), "it is gone", Actor("remit"))
    assert told(services) == {"default": "failed"}


@pytest.mark.parametrize("events", [["payment.*"], ["*"]], ids=str)
def test_others_that_do_not_hear_of_it_leave_it_to_the_endpoint_itself(
    services: Services, events: list[str]
) -> None:
    add_endpoint(services, "ep-1")
    disabled = {"disabledReason": "by hand"} if events == ["*"] else {}
    add_endpoint(services, "ep-2", events=events, **disabled)
    disable(services)
    assert told(services) == {"ep-1": "failed"} | ({"ep-2": "failed"} if disabled else {})


def test_where_another_is_told_nothing_is_kept_for_the_endpoint_itself(services: Services) -> None:
    for name in ("ep-1", "ep-2"):
        add_endpoint(services, name)
    add_endpoint(services, "ep-0", disabledReason="by hand")
    disable(services)
    assert told(services) == {"ep-2": "pending", "ep-0": "failed"}


def test_one_that_wants_no_such_event_leaves_an_entry_and_a_line_of_the_log(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    add_endpoint(services, "ep-1", events=["payment.*"])
    disable(services)
    assert told(services) == {}
    assert services.tables.events.get("evt-1") is None
    assert actions(services) == ["webhooks.endpoint.disabled"]
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert line == (
        "endpoint ep-1 of merchant-1 gets nothing until it is enabled again: it has failed for "
        "long; told of it: 0 others, not told for want of room in a transaction: 0"
    )


def test_more_endpoints_than_a_transaction_holds_do_not_keep_one_from_being_disabled(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(130):
        off = {"disabledReason": "by hand"} if number % 10 == 0 else {}
        add_endpoint(services, f"ep-{number}", **off)
    disable(services)
    assert stored(services)["disabledReason"] == "it has failed for long"
    assert actions(services) == ["webhooks.endpoint.disabled"]
    assert list(told(services).values()) == ["pending"] * MOST_TOLD
    assert "told of it: 97 others, not told for want of room in a transaction: 32" in caplog.text


@pytest.mark.parametrize("name", ["ep-1", "default"])
def test_only_the_url_that_it_is_about_is_disabled(services: Services, name: str) -> None:
    add_merchant(services, "https://example.com/hook")
    add_endpoint(services, "ep-1", url="https://example.com/hook")
    key = (MERCHANT, name)
    with pytest.raises(ConditionFailed):
        disable_and_tell(
            services, key, "it is gone", Actor("remit"), url="https://old.example.com/hook"
        )
    assert told(services) == {}
    assert actions(services) == []
    disable_and_tell(services, key, "it is gone", Actor("remit"), url="https://example.com/hook")
    assert (services.tables.endpoints.get(key) or {})["disabledReason"] == "it is gone"


def test_a_default_endpoint_without_a_url_is_not_disabled_for_the_one_that_it_had(
    services: Services,
) -> None:
    add_merchant(services, "")
    key = (MERCHANT, "default")
    with pytest.raises(ConditionFailed):
        disable_and_tell(
            services, key, "it is gone", Actor("remit"), url="https://example.com/hook"
        )
    assert services.tables.endpoints.get(key) is None


def test_one_that_is_disabled_already_is_told_nobody_again(services: Services) -> None:
    add_endpoint(services, "ep-1", disabledReason="by hand")
    add_endpoint(services, "ep-2")
    with pytest.raises(ConditionFailed):
        disable(services)
    assert told(services) == {}
    assert actions(services) == []
