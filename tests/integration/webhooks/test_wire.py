"""The raw way to DynamoDB: what is tried again, what is refused for good, and what is sent."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import botocore.session
import pytest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import MetadataRetrievalError

import remit.aws.wire
from benchmarks.standins.faults import FaultPlan
from benchmarks.standins.http import Response
from benchmarks.standins.reading import Request
from remit.aws.session import Aws
from remit.aws.wire import TRIES, Wire, WireRefused
from remit.errors import ConditionFailed, ConfigurationError, RecordRefused, StoreUnavailable
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop
from remit.webhooks.delivery import deliver
from remit.webhooks.outbox import Outbox
from tests.support.aws import REGION, aws_at
from tests.support.scripted import RESET, Script, answer_of, canceled, error, scripted
from tests.support.standins import stand_ins
from tests.support.webhooks import Receiver, add_merchant, event

ACTION = {"Update": {"TableName": "Webhooks"}}


def at_once(low: float, high: float) -> float:
    """In place of a random wait."""
    return low


def wire_to(url: str, aws: Aws | None = None) -> Wire:
    return Wire(aws or aws_at(url), url, uniform=at_once)


async def called(script: Script) -> dict[str, Any]:
    async with wire_to(script.url) as wire:
        return await wire.call("GetItem", {"TableName": "Webhooks"})


async def transacted(script: Script) -> Any:
    async with wire_to(script.url) as wire:
        return await wire.transact([ACTION, ACTION])


PASSING = {
    "reset": RESET,
    "500": error("InternalServerError", 500),
    "503, not by DynamoDB": answer_of(b"<html>Service Unavailable</html>", 503),
    "throttled": error("ProvisionedThroughputExceededException"),
    "throttled, as a whole": error("ThrottlingException"),
    "too many requests": error("RequestLimitExceeded"),
    "damaged": answer_of({"Item": {}}, crc32=1),
    "no JSON": answer_of(b"<html>welcome to this hotel</html>"),
    "no object": answer_of([]),
}


@pytest.mark.parametrize("first", PASSING.values(), ids=PASSING.keys())
async def test_what_passes_is_asked_again(first: Any) -> None:
    with scripted(first, first, answer_of({"Item": {"id": {"S": "wh-1"}}})) as script:
        assert await called(script) == {"Item": {"id": {"S": "wh-1"}}}
        assert len(script.asked) == 3
        assert script.asked[0].body == script.asked[2].body == {"TableName": "Webhooks"}


@pytest.mark.parametrize("calls", [called, transacted])
async def test_what_does_not_pass_in_six_tries_is_an_outage(
    calls: Callable[[Script], Awaitable[Any]],
) -> None:
    with scripted(*[error("InternalServerError", 500)] * 10) as script:
        with pytest.raises(StoreUnavailable, match="InternalServerError"):
            await calls(script)
        assert len(script.asked) == TRIES


async def test_with_patience_it_is_no_outage_before_that_has_ended() -> None:
    with scripted(*[error("InternalServerError", 500)] * 10) as script:
        async with wire_to(script.url) as wire:
            assert await wire.transact([ACTION], patience=60) is None
        assert len(script.asked) == 11


async def test_patience_ends() -> None:
    with scripted(*[error("InternalServerError", 500)] * 100_000) as script:
        async with wire_to(script.url) as wire:
            with pytest.raises(StoreUnavailable, match="InternalServerError"):
                await wire.transact([ACTION], patience=0.2)
        assert len(script.asked) > TRIES


async def test_the_waits_are_of_full_jitter_and_double() -> None:
    asked: list[tuple[float, float]] = []

    def noted(low: float, high: float) -> float:
        asked.append((low, high))
        return 0

    with scripted(*[error("ThrottlingException")] * 5) as script:
        async with Wire(aws_at(script.url), script.url, uniform=noted) as wire:
            await wire.call("GetItem", {})
    assert asked == [(0, 0.1), (0, 0.2), (0, 0.4), (0, 0.8), (0, 1.6)]


REFUSED = {
    "ConditionalCheckFailedException": ConditionFailed,
    "ValidationException": RecordRefused,
    "ResourceNotFoundException": WireRefused,
    "AccessDeniedException": WireRefused,
    "UnrecognizedClientException": WireRefused,
}


@pytest.mark.parametrize("code", REFUSED)
async def test_what_is_refused_for_good_is_asked_once(code: str) -> None:
    with scripted(error(code)) as script:
        with pytest.raises(REFUSED[code], match=code):
            await called(script)
        assert len(script.asked) == 1


async def test_a_server_that_is_not_there_is_an_outage() -> None:
    with scripted() as script:
        pass
    with pytest.raises(StoreUnavailable, match="could not reach DynamoDB"):
        await called(script)


async def test_a_transaction_that_is_repeated_is_the_same_one() -> None:
    with scripted(RESET, error("TransactionInProgressException"), answer_of({})) as script:
        assert await transacted(script) is None
        tokens = {asked.body["ClientRequestToken"] for asked in script.asked}
        assert (len(script.asked), len(tokens)) == (3, 1)


async def test_another_transaction_is_another_one() -> None:
    with scripted() as script:
        async with wire_to(script.url) as wire:
            await wire.transact([ACTION])
            await wire.transact([ACTION])
        one, other = (asked.body["ClientRequestToken"] for asked in script.asked)
        assert one != other


async def test_reasons_of_a_canceled_transaction_are_an_answer() -> None:
    with scripted(canceled(None, "ConditionalCheckFailed")) as script:
        assert await transacted(script) == [None, "ConditionalCheckFailed"]


@pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded"])
async def test_a_transaction_that_was_only_throttled_is_asked_again(code: str) -> None:
    with scripted(canceled(code, None)) as script:
        assert await transacted(script) is None
        assert len(script.asked) == 2


async def test_a_conflict_is_told_to_whoever_knows_whose_it_is() -> None:
    with scripted(canceled("TransactionConflict", "ThrottlingError")) as script:
        assert await transacted(script) == ["TransactionConflict", "ThrottlingError"]


async def test_an_answer_is_asked_for_uncompressed_since_its_crc32_is_that_of_what_is_sent() -> (
    None
):
    """DynamoDB compresses what is large for whoever accepts it, and then adds the CRC32 of the
    compressed bytes, which nobody sees who has them decompressed by the HTTP client."""

    def like_dynamodb(request: Request) -> Response:
        body = b'{"Item": {"id": {"S": "wh-1"}}}'
        headers = {}
        if "gzip" in request.headers.get("accept-encoding", ""):
            body, headers = gzip.compress(body), {"Content-Encoding": "gzip"}
        return Response(200, {**headers, "x-amz-crc32": str(zlib.crc32(body))}, [body])

    with stand_ins() as found:
        found.queries.instead = like_dynamodb
        async with wire_to(found.endpoints[0]) as wire:
            assert await wire.call("GetItem", {}) == {"Item": {"id": {"S": "wh-1"}}}


async def test_requests_are_signed_with_credentials_as_they_are_by_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remit.aws.wire, "_CREDENTIALS_SECONDS", 0)
    credentials = [("first", None), ("second", "token")]

    class Renewed:
        def get_frozen_credentials(self) -> Any:
            access, token = credentials.pop(0)
            return ReadOnlyCredentials(access, "secret", token)

    session = botocore.session.Session()
    session._credentials = Renewed()
    with scripted() as script:
        async with wire_to(script.url, Aws(session, REGION)) as wire:
            await wire.call("GetItem", {})
            await wire.call("GetItem", {})
        one, other = (asked.headers for asked in script.asked)
    assert "Credential=first/" in one["authorization"]
    assert "Credential=second/" in other["authorization"]
    assert "x-amz-security-token" not in one
    assert other["x-amz-security-token"] == "token"


async def test_credentials_that_cannot_be_fetched_now_are_an_outage() -> None:
    class OutOfReach:
        def get_frozen_credentials(self) -> Any:
            raise MetadataRetrievalError(error_msg="timed out")

    session = botocore.session.Session()
    session._credentials = OutOfReach()
    with scripted() as script:
        async with wire_to(script.url, Aws(session, REGION)) as wire:
            with pytest.raises(StoreUnavailable, match="timed out"):
                await wire.call("GetItem", {})
        assert script.asked == []


def test_without_credentials_there_is_no_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    session = botocore.session.Session()
    monkeypatch.setattr(session, "get_credentials", lambda: None)
    with pytest.raises(ConfigurationError, match="credentials"):
        Wire(Aws(session, REGION), "http://127.0.0.1:9")


async def test_the_proxy_of_the_environment_is_asked_as_botocore_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with scripted(answer_of({"through": {"S": "the proxy"}})) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with wire_to("http://dynamodb.example:8000") as wire:
            assert await wire.call("GetItem", {}) == {"through": {"S": "the proxy"}}
        assert proxy.asked[0].target == "http://dynamodb.example:8000/"


async def test_no_proxy_is_asked_for_a_host_that_is_excepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted() as proxy, scripted() as dynamodb:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        await called(dynamodb)
        assert (len(proxy.asked), len(dynamodb.asked)) == (0, 1)


def test_answers_that_are_lost_throttled_or_damaged_cost_no_delivery_and_repeat_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remit.aws.wire, "_FIRST_WAIT_SECONDS", 0.01)
    numbers: Counter[str] = Counter()

    with stand_ins() as found, Receiver().running() as receiver:

        def lose(request: Request) -> Response | None:
            operation = request.headers["x-amz-target"].rpartition(".")[2]
            numbers[operation] += 1
            if numbers[operation] % 3 == 0 and operation in {"TransactWriteItems", "BatchGetItem"}:
                found.dynamodb.handle(request)  # it is done, and nobody hears of it
                raise RESET
            if numbers[operation] % 4 == 0 and operation == "TransactWriteItems":
                return canceled("ThrottlingError")
            return None

        services = Services(Settings(region=REGION, webhook_networks="127.0.0.0/8"), found.aws)
        for number in range(4):
            add_merchant(services, receiver.url(), id=f"m{number}")
            events = (event(number * 100 + n, f"m{number}") for n in range(100))
            Outbox(services).publish_many(events)
        found.queries.instead = lose
        found.dynamodb.faults.plan = FaultPlan(
            reset_every=5, error_every=6, throttle_every=7, garbage_every=8, damage_every=9
        )
        counts: Counter[str] = Counter()
        for _ in range(20):  # a try that meets too much of it at once leaves the rest to the next
            counts += deliver(services, Stop(), save=lambda _: None, last_try=True).counts
            if counts["delivered"] == 400:
                break
        found.queries.instead = lambda _: None
        assert counts["delivered"] == 400
        assert counts.keys() <= {"delivered", "lost", "deferred"}
        assert numbers["TransactWriteItems"] > 12
        assert set(Counter(receiver.ids()).values()) == {1}
        stored = services.tables.webhooks.get_many(receiver.ids()).values()
        assert {(one["status"], one["attempts"]) for one in stored} == {("delivered", 1)}
