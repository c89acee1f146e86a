from __future__ import annotations

import pytest

from remit.aws.items import decode_item
from remit.exports.announce import announcement
from remit.services import Services
from tests.support.webhooks import add_endpoint, add_merchant, publish, with_settings

URL = "https://example.com/hook"


def announced_ids(services: Services, export_id: str) -> list[str]:
    """The ids of what is written when an export is completed, the event's first."""
    actions = announcement(services, "merchant-1", export_id, "completed", {"rows": 5})
    return [decode_item(action["Put"]["Item"])["id"] for action in actions]


def test_an_export_is_announced_though_the_queue_is_full(services: Services) -> None:
    services = with_settings(services, webhook_queue_limit=1)
    add_merchant(services, URL)
    publish(services)
    assert len(announced_ids(services, "export-1")) == 2


def test_only_endpoints_that_want_it_are_told(services: Services) -> None:
    add_endpoint(services, "payments", events=["payment.*"])
    assert announced_ids(services, "export-1") == []
    add_endpoint(services, "exports", events=["export.*"])
    assert len(announced_ids(services, "export-1")) == 2


@pytest.mark.parametrize("export_id", ["with a space", "x" * 200, "\u00e9xport"])
def test_an_export_with_a_strange_id_is_announced_by_its_digest(
    services: Services, export_id: str
) -> None:
    add_merchant(services, URL)
    assert announced_ids(services, "export-1")[0] == "evt-export-1-completed"
    first, again = announced_ids(services, export_id), announced_ids(services, export_id)
    assert first == again
    assert first[0].startswith("evt-")
    assert len(first[0]) < 128
    assert first[0] != announced_ids(services, f"{export_id}!")[0]


@pytest.mark.parametrize("news", [{"rows": 0.5}, {"message": "x" * 300_000}], ids=["float", "long"])
def test_what_cannot_be_announced_is_in_the_log_and_holds_nothing_up(
    services: Services, news: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    add_merchant(services, URL)
    assert announcement(services, "merchant-1", "export-1", "failed", news) == []
    assert "export 'export-1' is failed, which is not announced" in caplog.text
