from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from remit.aws import write_behind
from remit.aws.write_behind import WriteBehind

PATIENCE = 5


def test_everything_is_sent_in_order() -> None:
    sent: list[int] = []
    behind = WriteBehind(sent.append)
    for n in range(100):
        behind.put(n)
    behind.finish()
    assert sent == list(range(100))


def test_one_element_waits_while_another_is_sent_and_the_third_blocks() -> None:
    sending, gate, all_put = threading.Semaphore(0), threading.Event(), threading.Event()

    def send(element: int) -> None:
        sending.release()
        gate.wait(PATIENCE)

    behind = WriteBehind(send)

    def put() -> None:
        for n in range(3):
            behind.put(n)
        all_put.set()

    behind.put(-1)
    assert sending.acquire(timeout=PATIENCE)
    behind.put(-2)  # returns at once: it waits in the queue
    thread = threading.Thread(target=put)
    thread.start()
    assert not all_put.wait(0.05)
    gate.set()
    assert all_put.wait(PATIENCE)
    behind.finish()
    thread.join(PATIENCE)


def test_an_error_is_raised_by_what_comes_next_and_nothing_is_sent_any_more() -> None:
    sent: list[int] = []

    def send(element: int) -> None:
        if element == 1:
            raise OSError("reset")
        sent.append(element)

    behind = WriteBehind(send)
    behind.put(0)
    behind.put(1)
    with pytest.raises(OSError, match="reset"):
        behind.finish()
    for call in [behind.check, behind.finish, lambda: behind.put(2)]:
        with pytest.raises(OSError, match="reset"):
            call()
    assert sent == [0]


def test_abort_waits_for_what_is_being_sent_and_drops_what_waits() -> None:
    sent: list[int] = []
    sending, gate, aborted = threading.Event(), threading.Event(), threading.Event()

    def send(element: int) -> None:
        sending.set()
        gate.wait(PATIENCE)
        sent.append(element)

    def abort() -> None:
        behind.abort()
        aborted.set()

    behind = WriteBehind(send)
    behind.put(0)
    assert sending.wait(PATIENCE)
    behind.put(1)
    thread = threading.Thread(target=abort)
    thread.start()
    assert not aborted.wait(0.05)
    gate.set()
    assert aborted.wait(PATIENCE)
    thread.join(PATIENCE)
    assert sent == [0]


class _Lost(Exception):
    pass


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What is being sent waits for it; nobody waits long for anything else."""
    monkeypatch.setattr(write_behind, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(write_behind, "LEAVE_SECONDS", 0.01)
    opened = threading.Event()
    yield opened
    opened.set()


def held(gate: threading.Event) -> WriteBehind[int]:
    """One that sends nothing before the gate is open, and has to leave at its third look."""
    looks = iter(range(2))

    def look_out() -> None:
        if next(looks, None) is None:
            raise _Lost

    behind: WriteBehind[int] = WriteBehind(lambda _: gate.wait(PATIENCE) and None, look_out)
    behind.put(0)
    return behind


def test_what_the_look_out_raises_ends_the_wait_for_a_place(gate: threading.Event) -> None:
    behind = held(gate)
    with pytest.raises(_Lost):
        behind.put(1), behind.put(2)
    behind.abort()


def test_what_the_look_out_raises_ends_the_wait_for_the_end(gate: threading.Event) -> None:
    behind = held(gate)
    with pytest.raises(_Lost):
        behind.finish()
    behind.abort()


def test_abort_does_not_wait_for_long_and_what_waits_is_never_sent(gate: threading.Event) -> None:
    sent: list[int] = []
    sending = threading.Event()

    def send(element: int) -> None:
        sending.set()
        gate.wait(PATIENCE)
        sent.append(element)

    behind = WriteBehind(send)
    behind.put(0)
    assert sending.wait(PATIENCE)
    behind.put(1)
    behind.abort()
    assert sent == []
    gate.set()
    behind._thread.join(PATIENCE)
    assert not behind._thread.is_alive()
    assert sent == [0]


def test_it_can_be_aborted_after_an_error_and_twice() -> None:
    def send(element: int) -> None:
        raise OSError("reset")

    behind = WriteBehind(send)
    behind.put(0)
    behind.abort()
    behind.abort()
    assert not behind._thread.is_alive()
