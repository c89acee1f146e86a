from __future__ import annotations

import os
import signal
from datetime import timedelta

import pytest

from remit.errors import Interrupted
from remit.stop import Stop, stop_on_sigterm


def test_sigterm_requests_the_stop_and_reaches_the_handler_before() -> None:
    seen: list[int] = []
    original = signal.signal(signal.SIGTERM, lambda signum, frame: seen.append(signum))
    try:
        with stop_on_sigterm() as stop:
            assert not stop.requested
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.wait(5)
            assert seen == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGTERM)
        assert seen == [signal.SIGTERM] * 2
    finally:
        signal.signal(signal.SIGTERM, original)


def test_work_in_flight_has_the_grace_period() -> None:
    now = 100.0
    stop = Stop(timedelta(seconds=4), monotonic=lambda: now)
    stop.check()
    stop.request()
    now = 103.9
    stop.check()
    stop.request()  # asking again gives no further grace
    now = 104.0
    with pytest.raises(Interrupted):
        stop.check()


def test_a_wait_ends_with_the_request() -> None:
    stop = Stop()
    assert not stop.wait(0)
    stop.request()
    assert stop.wait(60)


def test_the_seconds_of_the_grace_period_run_from_the_request() -> None:
    now = 100.0
    stop = Stop(timedelta(seconds=5), lambda: now)
    assert stop.left() == float("inf")
    stop.request()
    assert stop.left() == 5
    now += 3
    assert stop.left() == 2
    now += 3
    assert stop.left() == 0
