from __future__ import annotations

import anyio
import pytest
from starlette.types import Message, Scope

from remit.api.call import CALLER
from remit.api.intake import BODY_BYTES, DEFAULT_BODY_BYTES, MAX_PATH, Intake
from remit.auth import Caller
from tests.support.asgi import Echo, call, chunks

JSON = {"Content-Type": "application/json"}
PUBLISHER = {CALLER: Caller("merchant-1", frozenset({"events"}))}
OTHER = {CALLER: Caller("merchant-1", frozenset({"payments"}))}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_request_without_a_body_needs_no_content_type(method: str) -> None:
    answer = await call(Intake(Echo()), method=method)
    assert answer.document == {"body": ""}


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON ;charset=x"],
)
async def test_a_body_arrives_whole(content_type: str) -> None:
    headers = {"Content-Type": content_type, "Transfer-Encoding": "chunked"}
    answer = await call(Intake(Echo()), headers=headers, receive=chunks(b'{"a"', b": ", b"1}"))
    assert answer.document == {"body": '{"a": 1}'}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/jsonx"},
        {"Content-Type": "application/json, text/plain"},
        {"Content-Type": "application/merge-patch+json"},
        {**JSON, "Content-Encoding": "gzip"},
    ],
)
@pytest.mark.parametrize("framing", [{"Content-Length": "2"}, {"Transfer-Encoding": "chunked"}, {}])
async def test_a_body_that_is_not_json_is_415(
    headers: dict[str, str], framing: dict[str, str]
) -> None:
    app = Echo()
    answer = await call(Intake(app), headers={**headers, **framing}, body=b"{}")
    assert (answer.status, app.calls) == (415, 0)
    assert answer.document["type"].endswith("unsupported-media-type")


async def test_two_content_types_are_none() -> None:
    raw = [(b"content-type", b"application/json")] * 2
    answer = await call(Intake(Echo()), body=b"{}", raw=raw)
    assert answer.status == 415


@pytest.mark.parametrize("path", ["/payments/export", *BODY_BYTES])
async def test_a_body_as_large_as_may_be_is_taken_and_a_larger_one_refused(path: str) -> None:
    limit = BODY_BYTES.get(path, DEFAULT_BODY_BYTES)
    app = Echo()
    taken = await call(Intake(app), path, headers=JSON, body=b"x" * limit, **PUBLISHER)
    body = b"x" * (limit + 1)
    refused = await call(Intake(app), path, headers=JSON, body=body, **PUBLISHER)
    assert (taken.status, refused.status, app.calls) == (200, 413, 1)
    assert str(limit) in refused.document["detail"]


async def test_a_length_beyond_the_limit_is_refused_before_a_byte_is_read() -> None:
    async def receive() -> Message:
        raise AssertionError("read")

    for length in (str(DEFAULT_BODY_BYTES + 1), "9" * 5000):
        headers = {**JSON, "Content-Length": length}
        assert (await call(Intake(Echo()), headers=headers, receive=receive)).status == 413


async def test_no_more_is_read_than_shows_that_it_is_too_much() -> None:
    read = 0

    async def receive() -> Message:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    answer = await call(Intake(Echo()), headers=JSON, receive=receive)
    assert answer.status == 413
    assert read == DEFAULT_BODY_BYTES // 1000 + 1


async def test_the_limit_of_a_route_holds_where_the_app_is_mounted() -> None:
    body = b"x" * (DEFAULT_BODY_BYTES + 1)
    there = {"root_path": "/remit", **PUBLISHER}
    mounted = await call(Intake(Echo()), "/remit/events", headers=JSON, body=body, **there)
    other = await call(Intake(Echo()), "/x/events", headers=JSON, body=body, **there)
    assert (mounted.status, other.status) == (200, 413)


async def test_a_body_that_does_not_come_is_408() -> None:
    async def receive() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    app = Echo()
    answer = await call(Intake(app, seconds=0.01), headers=JSON, receive=receive)
    assert (answer.status, app.calls) == (408, 0)
    assert answer.document["type"].endswith("request-timeout")


async def test_a_caller_who_goes_away_reaches_no_route() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    app = Echo()
    answer = await call(Intake(app), headers=JSON, receive=receive)
    assert (answer.sent, app.calls) == ([], 0)


@pytest.mark.parametrize(
    "path",
    [
        "/exports/\x00",
        "/exports/a\nb",
        "/exports/a\x7f",
        "/exports/\N{REPLACEMENT CHARACTER}",
        "/exports/\N{RIGHT-TO-LEFT OVERRIDE}",
        "/exports/..",
        "/exports/../download",
        "/exports/./cancel",
        "/../etc/passwd",
        "/exports/" + "a" * MAX_PATH,
    ],
)
async def test_a_path_that_nothing_of_ours_has_reaches_no_route(path: str) -> None:
    app = Echo()
    answer = await call(Intake(app), path)
    assert (answer.status, app.calls) == (404, 0)
    assert "passwd" not in answer.document["detail"]


@pytest.mark.parametrize("path", ["/exports/a..b", "/exports/...", "/exports/é%20", "/x"])
async def test_any_other_path_does(path: str) -> None:
    assert (await call(Intake(Echo()), path)).status == 200


async def test_a_nul_in_the_query_is_422() -> None:
    app = Echo()
    answer = await call(Intake(app), query_string=b"report=%00")
    assert (answer.status, app.calls) == (422, 0)
    assert answer.document["errors"][0]["field"] == "query"


async def test_what_is_no_request_is_left_alone() -> None:
    seen = []

    async def app(scope, receive, send) -> None:
        seen.append(scope["type"])

    await call(Intake(app), type="lifespan")
    assert seen == ["lifespan"]


async def test_a_large_body_is_for_whoever_has_the_permission_of_its_route() -> None:
    async def receive() -> Message:
        raise AssertionError("read")

    for path in BODY_BYTES:
        answer = await call(Intake(Echo()), path, headers=JSON, receive=receive, **OTHER)
        assert (answer.status, answer.document["type"]) == (403, "/remit/problems/not-permitted")
        assert "'events'" in answer.document["detail"]


async def test_large_bodies_have_so_much_room_and_small_ones_always() -> None:
    large = DEFAULT_BODY_BYTES + 600
    within: list[int] = []

    async def before(_: Scope) -> None:
        if len(within) < 1:  # the first one is under way while the others come
            within.append(0)
            within.append(await status(large))
            within.append(await status(DEFAULT_BODY_BYTES))
            within.append(await status(DEFAULT_BODY_BYTES + 400))

    app = Intake(Echo(before=before), room=1000)

    async def status(size: int) -> int:
        answer = await call(app, "/events/batch", headers=JSON, body=b"x" * size, **PUBLISHER)
        if answer.status == 503:
            assert answer.document["type"] == "/remit/problems/overloaded"
            assert int(answer.headers["retry-after"]) > 0
        return answer.status

    assert await status(large) == 200
    assert within[1:] == [503, 200, 200]
    assert await status(DEFAULT_BODY_BYTES + 1000) == 200, "all of the room is free again"


async def test_a_body_that_breaks_off_gives_its_room_back() -> None:
    app = Intake(Echo(), room=1000)
    gone: list[Message] = [
        {"type": "http.request", "body": b"x" * (DEFAULT_BODY_BYTES + 900), "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return gone.pop(0)

    await app(_scope(), receive, _nowhere)
    body = b"x" * (DEFAULT_BODY_BYTES + 1000)
    answer = await call(app, "/events", headers=JSON, body=body, **PUBLISHER)
    assert answer.status == 200


def _scope() -> Scope:
    headers = [(b"content-type", b"application/json")]
    return {"type": "http", "path": "/events", "method": "POST", "headers": headers, **PUBLISHER}


async def _nowhere(_: Message) -> None:
    """Takes an answer that nobody waits for."""
