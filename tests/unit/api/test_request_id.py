from __future__ import annotations

import logging

import anyio
import anyio.lowlevel
import pytest
from starlette.datastructures import Headers

from remit.api import request_id
from remit.api.request_id import mark_log_lines, request_id_of


def of(*values: str) -> str:
    return request_id_of(Headers(raw=[(b"x-request-id", value.encode()) for value in values]))


@pytest.mark.parametrize(
    "chosen",
    [
        "a",
        "8b0e5c1e-7f0a-4b06-9d0e-1c2f3a4b5c6d",
        "01JDF5Z0000000000000000000",
        "Root=1-67891233-abcdef012345678912345678",
        "a" * 128,
    ],
)
def test_a_safe_id_is_taken_over(chosen: str) -> None:
    assert of(chosen) == chosen


@pytest.mark.parametrize(
    "chosen", ["", " ", "a b", "a\tb", "a%sb", "a" * 129, "é", '"', "a\x00", "[a]", "a\n"]
)
def test_another_is_replaced_by_a_new_one(chosen: str) -> None:
    new = of(chosen)
    assert new != chosen
    assert len(new) == 32
    assert int(new, 16)


def test_of_two_none_is_taken() -> None:
    assert of("a", "b") not in {"a", "b"}


def test_each_new_id_is_another() -> None:
    assert len({of() for _ in range(100)}) == 100


@pytest.fixture
def marked(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    mark_log_lines()
    mark_log_lines()  # again: nothing is marked twice
    caplog.set_level(logging.INFO)
    return caplog


def test_every_line_of_remits_loggers_begins_with_the_id(
    marked: pytest.LogCaptureFixture,
) -> None:
    entered = request_id.enter("id-1")
    try:
        logging.getLogger("remit.exports.store").info("%d of %s", 1, "two")
        logging.getLogger("another.library").info("mine alone")
    finally:
        request_id.leave(entered)
    logging.getLogger("remit.exports.store").info("outside")

    assert marked.messages == ["[id-1] 1 of two", "mine alone", "outside"]
    assert [getattr(record, "request_id", None) for record in marked.records] == [
        "id-1",
        None,
        None,
    ]


async def test_the_id_goes_along_into_threads(marked: pytest.LogCaptureFixture) -> None:
    entered = request_id.enter("id-2")
    try:
        await anyio.to_thread.run_sync(logging.getLogger("remit.x").info, "from a thread")
    finally:
        request_id.leave(entered)

    assert marked.messages == ["[id-2] from a thread"]
    assert request_id.current() is None


async def test_requests_at_once_do_not_mix_up_their_ids(
    marked: pytest.LogCaptureFixture,
) -> None:
    async def request(number: int) -> None:
        entered = request_id.enter(f"id-{number}")
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
            logging.getLogger("remit.x").info("%d", number)
        request_id.leave(entered)

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(request, number)

    assert len(marked.messages) == 30
    assert all(line == f"[id-{line[-1]}] {line[-1]}" for line in marked.messages)
