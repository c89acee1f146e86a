from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from remit.api.event_bodies import MOST_PARTS, RESERVED, parse_exactly, read_event, read_events
from remit.errors import InvalidRequest
from remit.webhooks.event import Event

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVENT: dict[str, Any] = {"id": "evt-1", "type": "payment.succeeded", "data": {}}
MANY = {f"unknown-{number}": 1 for number in range(5_000)}


def read(values: dict[str, Any]) -> Event:
    """One event."""
    return read_event(values, "merchant-1", default_id="evt-0", now=NOW)


def fields(refused: pytest.ExceptionInfo[InvalidRequest]) -> list[str]:
    """What is wrong."""
    return [error.field for error in refused.value.errors]


def of_parts(part: str, count: int) -> bytes:
    """A body of so many parts: each brings one comma or bracket, and the outermost brace another
    one, as does the list."""
    return f'{{"events":[{part * (count - 2)}'.encode()


def test_a_body_of_five_hundred_kilobytes_with_its_last_name_twice_is_refused() -> None:
    names = [f'"{number:08x}":1' for number in range(38_000)]
    body = f"{{{','.join([*names, names[-1]])}}}".encode()
    assert len(body) > 480_000
    with pytest.raises(InvalidRequest) as refused:
        parse_exactly(body)
    assert fields(refused) == [f"{37_999:08x}"]


@pytest.mark.parametrize("part", ["1,", "[", "{"])
def test_a_body_of_too_many_parts_is_not_parsed(part: str) -> None:
    with pytest.raises(InvalidRequest, match="too many commas, brackets and braces"):
        parse_exactly(of_parts(part, MOST_PARTS + 1))
    with pytest.raises(InvalidRequest) as refused:  # the text ends too early
        parse_exactly(of_parts(part, MOST_PARTS))
    assert "too many" not in str(refused.value)


def test_five_hundred_events_of_four_hundred_values_each_are_not_too_many() -> None:
    data = {"items": [{"sku": "a", "quantity": 1, "price": 1999, "tax": 0}] * 75}
    body = json.dumps({"events": [{**EVENT, "data": data}] * 500}).encode()
    events = read_events(parse_exactly(body), "merchant-1", default_id="evt-0", now=NOW)
    assert len(events) == 500


def test_of_unknown_fields_a_hundred_are_told() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read({**EVENT, **MANY})
    assert len(fields(refused)) == 100
    with pytest.raises(InvalidRequest) as refused:
        read_events({**MANY, "events": []}, "merchant-1", default_id="evt-0", now=NOW)
    assert len(fields(refused)) == 101
    assert fields(refused)[-1] == "events"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"type": "export.completed"}, "type"),
        ({"type": "endpoint.disabled"}, "type"),
        ({"id": "evt-export-01m84ekemg2w5g23n8btf52x14-completed"}, "id"),
        ({"id": "evt-test-0f5d2c7f1b9a4e37"}, "id"),
    ],
    ids=str,
)
def test_what_remit_says_itself_nobody_else_says(values: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest, match="is one of Remit's own") as refused:
        read({**EVENT, **values})
    assert fields(refused) == [field]
    assert refused.value.errors[0].allowed == (
        f"one that does not begin with {' or '.join(RESERVED[field])}"
    )


@pytest.mark.parametrize(
    "values",
    [
        {"type": "exports.completed"},
        {"type": "payment.export.completed"},
        {"id": "evt-exported-1"},
        {"id": "my-evt-test-1"},
        {"id": "export-1"},
    ],
    ids=str,
)
def test_what_only_looks_like_it_is_everybodys(values: dict[str, str]) -> None:
    event = read({**EVENT, **values})
    assert {"id": event.id, "type": event.type}.items() >= values.items()
