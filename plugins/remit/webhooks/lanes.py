"""One lane per endpoint: what is claimed for it, how many requests are out, how fast it answers.

A lane takes no more than it will send soon, so that an endpoint which hangs holds its own few
places and nobody else's. What finds no place waits in the lane unclaimed, for a moment, if the lane
moves fast enough. What should be sent within seconds is left in the queue as it is and found again:
to read it once more costs less than to write it. The rest is put off until about its turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

T = TypeVar("T")
P = TypeVar("P")

FIRST_ROOM = 4
"""Claimed at once for an endpoint that has not answered yet in this process."""

PARKING_SECONDS = 0.5
"""What waits unclaimed in a lane that moves should be sent within this."""

LEAST_PARKED = 100
"""So many may wait in a lane that has not shown its speed, because it is new."""

LEFT_SECONDS = 10.0
"""What should be sent within this is left in the queue as it is."""

LEAST_LEFT = 500
"""So many may be left for a lane that is slow, or new."""

_PATIENCE = timedelta(seconds=5)  # then what is parked is put off: the lane is slower than it was
_MIN_SPEED = 0.5  # answers per second that a lane is trusted with, however long it has not answered
_SHORTEST_SECONDS = 0.1  # of what a lane's pace is judged by
_DOUBT = timedelta(seconds=2)  # then an endpoint that has not answered is no longer just new
_FIRST_PUT_OFF = timedelta(seconds=1)
_LAST_PUT_OFF = timedelta(minutes=10)


@dataclass(slots=True)
class Parked(Generic[P]):
    """What waits in a lane, unclaimed, and since when."""

    item: P
    since: datetime


@dataclass(slots=True)
class Tally:
    """What all lanes of a process hold together for endpoints that have not answered yet."""

    unproven: int = 0


class Lane(Generic[T, P]):
    """What one endpoint is sent by this process: claimed `T`s, and parked `P`s that are not.
    `start` has one sent; whoever sent it says so with `done`."""

    def __init__(
        self,
        concurrency: int,
        start: Callable[[T], None],
        tally: Tally | None = None,
    ) -> None:
        self.concurrency = concurrency
        self.parked: deque[Parked[P]] = deque()
        self.held = 0
        """Claimed, or about to be, and without an outcome."""
        self.answered = False
        self._start = start
        self._tally = tally or Tally()
        self._queue: deque[T] = deque()
        self._running = 0
        self._second = 0
        self._answers = self._answers_before = 0  # in this second, and in the one before
        self._put_off_to: datetime | None = None
        self._pass = self._left = 0
        self._judged_from: datetime | None = None
        """The first look at it, or, if it does not answer, the last answer."""

    def speed(self, now: datetime) -> int:
        """Answers per second, lately."""
        second = int(now.timestamp())
        if second == self._second:
            return max(self._answers, self._answers_before)
        return self._answers if second == self._second + 1 else 0

    def room(self, now: datetime) -> int:
        """How many more may be claimed for it now: what it answers in a quarter of a second."""
        self._judged_from = self._judged_from or now
        if not self.answered:
            return FIRST_ROOM - self.held
        return max(2 * self.concurrency, self.speed(now) // 4) - self.held

    def moves(self, now: datetime) -> bool:
        """Whether it answers."""
        return self.speed(now) > 0

    def soon(self, now: datetime) -> float:
        """How many of those that are parked it will be sent in a moment, at its speed."""
        return min(len(self.parked), self.speed(now) * PARKING_SECONDS)

    def expects(self, now: datetime) -> bool:
        """Whether something that was put off comes due in a moment, while it answers."""
        put_off_to = self._put_off_to
        return put_off_to is not None and self.moves(now) and now <= put_off_to + _FIRST_PUT_OFF

    def parks(self, now: datetime) -> bool:
        """Whether one more may wait here, unclaimed, for a moment."""
        if self.answered and not self.moves(now):
            return False
        return len(self.parked) < max(LEAST_PARKED, self.speed(now) * PARKING_SECONDS)

    def leaves(self, now: datetime, number: int) -> bool:
        """Whether one more may stay in the queue as it is, of those found in the pass through the
        queue of that number."""
        if number != self._pass:
            self._pass, self._left = number, 0
        self._left += 1
        if not self.moves(now) and (self.answered or now - (self._judged_from or now) > _DOUBT):
            return False
        return self._left <= max(LEAST_LEFT, self.speed(now) * LEFT_SECONDS)

    def put_off(self, now: datetime) -> datetime:
        """When to look again at one that found no place: one after the other, at this speed."""
        earliest = now + _FIRST_PUT_OFF
        due_at = earliest if self._put_off_to is None else max(earliest, self._put_off_to)
        step = timedelta(seconds=1 / self._pace(now))
        self._put_off_to = min(due_at + step, now + _LAST_PUT_OFF)
        return due_at

    def _pace(self, now: datetime) -> float:
        """Answers per second: those of the last one or two seconds, or, without any, as many as
        there can be if every request takes at least as long as there was no answer."""
        answers = self._answers_lately(now)
        seconds = self._seconds_judged(now, answers=answers)
        return max((answers or self.concurrency) / seconds, _MIN_SPEED)

    def _answers_lately(self, now: datetime) -> int:
        second = int(now.timestamp())
        if second == self._second:
            return self._answers + self._answers_before
        return self._answers if second == self._second + 1 else 0

    def _seconds_judged(self, now: datetime, *, answers: int) -> float:
        judged_from = self._judged_from or now
        seconds = (now - judged_from).total_seconds()
        if answers:  # they are counted from the beginning of the second before
            seconds = min(seconds, 1 + now.timestamp() % 1)
        return max(seconds, _SHORTEST_SECONDS)

    def overdue(self, now: datetime) -> Iterator[P]:
        """Take out what has waited here for too long."""
        while self.parked and now - self.parked[0].since >= _PATIENCE:
            yield self.parked.popleft().item

    def hold(self) -> None:
        """Take a place, for one that is about to be claimed."""
        self.held += 1
        self._tally.unproven += not self.answered

    def release(self) -> None:
        """Give a place back."""
        self.held -= 1
        self._tally.unproven -= not self.answered

    def put(self, item: T) -> None:
        """Send a claimed item when its turn comes."""
        if self._running < self.concurrency:
            self._running += 1
            self._start(item)
        else:
            self._queue.append(item)

    def take_waiting(self) -> list[T]:
        """Take out what is claimed and was not started yet."""
        waiting = list(self._queue)
        self._queue.clear()
        for _ in waiting:
            self.release()
        return waiting

    def done(self, now: datetime, *, answered: bool) -> None:
        """One of those that were started has its outcome, or was not sent after all."""
        self.release()
        if self._queue:
            self._start(self._queue.popleft())
        else:
            self._running -= 1
        if not answered:
            return
        if not self.answered:
            self._tally.unproven -= self.held
        self.answered, second = True, int(now.timestamp())
        if second != self._second:
            self._answers_before = self._answers if second == self._second + 1 else 0
            self._second, self._answers = second, 0
        self._answers += 1
