from __future__ import annotations

from email.utils import format_datetime

import pytest
import requests

from remit.client import (
    Conflict,
    NotFound,
    NotReached,
    RemitApiError,
    RetryPolicy,
    TooManyRequests,
    Unavailable,
)
from remit.client.retrying import Polling
from remit.webhooks.backoff import RETRY_AFTER_CAP
from tests.unit.client.scripts import (
    Reply,
    Script,
    Time,
    broken,
    client_of,
    export_document,
    problem,
    reply,
)

REPORTS = reply({"reports": []})
ACCEPTED = reply({"export_id": "export-1", "status": "pending"}, 202)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_is_tried_again(status: int) -> None:
    script = Script(problem(status), problem(status), REPORTS)
    assert client_of(script).reports() == []
    assert len(script.asked) == 3


@pytest.mark.parametrize(
    "failure",
    [
        broken(),
        requests.ConnectTimeout(),
        requests.ReadTimeout(),
        requests.exceptions.ChunkedEncodingError(),
        requests.exceptions.ProxyError(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_connection_that_fails_is_tried_again(failure: Exception) -> None:
    script = Script(failure, REPORTS)
    assert client_of(script).reports() == []
    assert len(script.asked) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 405, 410, 413, 415, 422, 501])
def test_a_refusal_is_final(status: int) -> None:
    script = Script(problem(status))
    with pytest.raises(RemitApiError):
        client_of(script).reports()
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "failure",
    [requests.exceptions.SSLError("certificate"), requests.exceptions.InvalidURL("no URL")],
    ids=["certificate", "URL"],
)
def test_what_stays_as_it_is_is_not_tried_again(failure: Exception) -> None:
    script = Script(failure)
    with pytest.raises(NotReached):
        client_of(script).reports()
    assert len(script.asked) == 1


def test_a_key_whose_first_request_is_under_way_is_sent_again_and_another_conflict_is_not() -> None:
    script = Script(problem(409, "idempotency-key-in-use"), ACCEPTED)
    assert client_of(script).export("2026-01-01", "2026-01-31").id == "export-1"
    with pytest.raises(Conflict):
        client_of(Script(problem(409, "conflict"))).export("2026-01-01", "2026-01-31")


def test_the_tries_are_bounded_and_the_last_error_is_raised() -> None:
    script, time = Script(*[problem(503)] * 3, problem(429)), Time()
    with pytest.raises(TooManyRequests):
        client_of(script, time, retries=RetryPolicy(tries=4)).reports()
    assert len(script.asked) == 4
    assert len(time.slept) == 3


def test_the_time_is_bounded() -> None:
    script, time = Script(*[problem(503)] * 50), Time()
    policy = RetryPolicy(tries=50, longest_total=20, first_wait=8, longest_wait=8)
    with pytest.raises(Unavailable):
        client_of(script, time, retries=policy).reports()
    assert time.slept == [4.0] * 5
    assert time.monotonic() == 20


def test_waits_have_a_bound_that_doubles_and_full_jitter() -> None:
    policy = RetryPolicy(first_wait=0.5, longest_wait=30)
    bounds = [policy.wait(tries, 1.0) for tries in range(1, 10)]
    assert bounds == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert [policy.wait(tries, 0.0) for tries in (1, 9)] == [0, 0]
    assert policy.wait(10_000, 0.5) == 15


def test_a_script_of_failures_waits_as_the_policy_says() -> None:
    script, time = Script(problem(500), broken(), problem(502), REPORTS), Time()
    client_of(script, time).reports()
    assert time.slept == [0.25, 0.5, 1.0]


def test_retry_after_in_seconds_is_waited_for_and_a_little_more() -> None:
    script, time = Script(problem(429), REPORTS), Time()
    script.steps[0] = Reply(429, b"", {"Retry-After": "7"})
    client_of(script, time).reports()
    assert time.slept == [7.25]


def test_retry_after_as_a_date_is_waited_for() -> None:
    time = Time()
    moment = time.clock.now.replace(second=12)
    script = Script(Reply(503, b"", {"Retry-After": format_datetime(moment, usegmt=True)}), REPORTS)
    client_of(script, time).reports()
    assert time.slept == [12.25]


def test_retry_after_is_capped() -> None:
    policy = RetryPolicy(longest_retry_after=120, longest_total=10_000)
    for asked in ("121", "999999999", "Fri, 31 Dec 9999 23:59:59 GMT"):
        script, time = Script(Reply(503, b"", {"Retry-After": asked}), REPORTS), Time()
        client_of(script, time, retries=policy).reports()
        assert time.slept == [120.25]
    assert policy.longest_retry_after < RETRY_AFTER_CAP.total_seconds()


def test_retry_after_beyond_the_time_that_is_left_ends_the_tries_at_once() -> None:
    script, time = Script(Reply(429, b"", {"Retry-After": "100"})), Time()
    with pytest.raises(TooManyRequests) as caught:
        client_of(script, time, retries=RetryPolicy(longest_total=60)).reports()
    assert time.slept == []
    assert caught.value.retry_after == 100


@pytest.mark.parametrize("asked", ["soon", "", "-1", "1.5", "Mon, 99 Foo 2026"])
def test_retry_after_that_says_nothing_leaves_the_wait_to_the_policy(asked: str) -> None:
    script, time = Script(Reply(503, b"", {"Retry-After": asked}), REPORTS), Time()
    client_of(script, time).reports()
    assert time.slept == [0.25]


def test_a_post_is_sent_again_with_the_same_key_and_body() -> None:
    script = Script(broken(), problem(503), problem(429), ACCEPTED)
    client_of(script).export("2026-01-01", "2026-01-31")
    assert len(set(script.header("Idempotency-Key"))) == 1
    assert script.bodies() == [script.bodies()[0]] * 4


def test_every_post_has_a_key_of_its_own() -> None:
    script = Script(ACCEPTED, ACCEPTED, reply(export_document("canceled")))
    client = client_of(script)
    client.export("2026-01-01", "2026-01-31")
    client.export("2026-01-01", "2026-01-31").cancel()
    keys = script.header("Idempotency-Key")
    assert len({*keys}) == 3
    assert all(key is not None and len(key) == 32 for key in keys)


def test_a_program_may_bring_its_own_key() -> None:
    script = Script(broken(), ACCEPTED)
    client_of(script).export("2026-01-01", "2026-01-31", idempotency_key="nightly-2026-01")
    assert script.header("Idempotency-Key") == ["nightly-2026-01"] * 2


def test_what_a_lost_try_has_deleted_is_deleted() -> None:
    script = Script(broken(), problem(404))
    client_of(script).endpoints.delete("ep-1")
    assert len(script.asked) == 2


def test_what_was_never_there_is_not_deleted() -> None:
    with pytest.raises(NotFound):
        client_of(Script(problem(404))).endpoints.delete("ep-1")


def test_nobody_there_is_an_error_that_says_why_and_shows_no_query() -> None:
    script = Script(*[broken()] * 2)
    with pytest.raises(NotReached) as caught:
        client_of(script, retries=RetryPolicy(tries=2)).reports()
    assert str(caught.value) == ("GET https://hook.test/remit/reports: no answer (reset by peer)")


def test_pauses_between_looks_grow_up_to_a_bound() -> None:
    polling = Polling(first=1, growth=2, longest=5)
    assert [polling.pause(looks) for looks in (1, 2, 3, 4, 10_000)] == [1, 2, 4, 5, 5]
