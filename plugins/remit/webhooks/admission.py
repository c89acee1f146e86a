"""Who is sent next: whether there is a place for a webhook now, and what becomes of it if not."""

from __future__ import annotations

from datetime import datetime, timedelta

from remit.clock import Clock, format_instant
from remit.recent import Recent
from remit.webhooks import moves
from remit.webhooks.courier import Courier
from remit.webhooks.endpoint import EndpointKey
from remit.webhooks.feed import Feed
from remit.webhooks.health import ADMIT, Admit, Defer, HealthBook, Probe
from remit.webhooks.lanes import Lane, Parked
from remit.webhooks.moves import Move
from remit.webhooks.prepare import Ready
from remit.webhooks.recorder import Open, Recorder
from remit.webhooks.results import Result

_UNPROVEN_SHARE = 0.5
_FIRST_PLACES_SHARE = 0.9
_ENOUGH_PARKED = 200
_LOOK_EVERY = timedelta(seconds=0.5)  # for what is overdue
_MOST_SETTLED = 10_000  # ids that are not looked at again: a megabyte
_MOST_PARKED = 10_000
_PARKED_CHARACTERS = 4096  # of a payload in a record: what is parked takes up to 40 megabytes


class Admission:
    """Gives places in the lanes of endpoints. Up to `chunk` webhooks are held at a time.

    What finds no place is parked in its lane for a moment, left in the queue, or put off; the moves
    that this takes are added to `done`.
    """

    def __init__(
        self,
        courier: Courier,
        recorder: Recorder,
        health: HealthBook,
        *,
        feed: Feed,
        chunk: int,
        clock: Clock,
    ) -> None:
        self._courier = courier
        self._recorder = recorder
        self._health = health
        self._feed = feed
        self._chunk = chunk
        self._clock = clock
        self._parking: dict[EndpointKey, Lane[Open, Ready]] = {}
        self._look_at = clock()
        self._parked: set[str] = set()
        self._settled = Recent(_MOST_SETTLED)

    @property
    def parks(self) -> bool:
        """Whether something is parked."""
        return bool(self._parking)

    def expects(self) -> bool:
        """Whether something is parked, or what was put off until its turn comes due in a moment."""
        now = self._clock()
        return self.parks or any(lane.expects(now) for lane in self._courier.lanes())

    def is_news(self, key: str) -> bool:
        """Whether this try has not had it lately: the index lags behind."""
        recorder = self._recorder
        return not (
            key in recorder.open
            or key in recorder.kept
            or key in self._parked
            or self._settled.has(key, 0)
            or recorder.had_lately(key)
        )

    def admits(self, ready: Ready, done: list[Move]) -> bool:
        """Whether there is a place for it now; if not, it is parked, left or put off."""
        lane, now = self._courier.lane(ready), self._clock()
        admission = self._admission_of(ready, now)
        if isinstance(admission, Defer):
            done.append(moves.defer(ready.seen, ready.webhook, admission.until))
            return False
        ready.probes = isinstance(admission, Probe)
        if lane.room(now) > 0 and self._may_begin(lane):
            lane.hold()
            return True
        if lane.parks(now) and _is_small(ready) and len(self._parked) < _MOST_PARKED:
            lane.parked.append(Parked(ready, now))
            self._parking[ready.known.key] = lane
            self._parked.add(ready.webhook.id)
        else:
            self._leave_or_put_off(ready, lane, done)
        return False

    def _admission_of(self, ready: Ready, now: datetime) -> Admit | Probe | Defer:
        if not ready.goes_to_its_endpoint:
            return ADMIT  # it would be no probe: its outcome tells nothing about the endpoint
        return self._health.admission(ready.known.key, now)

    def _may_begin(self, lane: Lane[Open, Ready]) -> bool:
        """Endpoints that have not answered yet never have all the places, and those that hang leave
        some for the first request to another."""
        if lane.answered:
            return True
        share = _UNPROVEN_SHARE if lane.held else _FIRST_PLACES_SHARE
        return self._courier.tally.unproven < max(1, self._chunk * share)

    def enough_is_parked(self) -> bool:
        """Whether lanes that move have enough to do: what is read beyond that only to find no place
        would have to be put off, and is as well left where it is."""
        now = self._clock()
        return sum(lane.soon(now) for lane in self._parking.values()) >= _ENOUGH_PARKED

    def unpark(self, room: int, done: list[Move]) -> list[Ready]:
        taken: list[Ready] = []
        now = self._clock()
        for lane in self._parking.values():
            while lane.parked and lane.room(now) > 0 and len(taken) < room:
                if not self._may_begin(lane):
                    break
                ready = lane.parked.popleft().item
                self._parked.discard(ready.webhook.id)
                if not self._still_may(ready, done):
                    continue
                lane.hold()
                taken.append(ready)
        self._leave_parking()
        return taken

    def _still_may(self, ready: Ready, done: list[Move]) -> bool:
        """Whether the breaker has not opened since it was parked."""
        if ready.probes or not ready.goes_to_its_endpoint:
            return True
        until = self._health.shut_until(ready.known.key, self._clock())
        if until is not None:
            done.append(moves.defer(ready.seen, ready.webhook, until))
        return until is None

    def overdue(self) -> list[Move]:
        """What is parked with a lane that has become slower than it was: it has no place after all.

        Looked for now and then, so that it is put off many together: whoever asks waits for that.
        """
        now, done = self._clock(), list[Move]()
        if now < self._look_at:
            return done
        self._look_at = now + _LOOK_EVERY
        for lane in self._parking.values():
            for ready in lane.overdue(now):
                self._parked.discard(ready.webhook.id)
                self._leave_or_put_off(ready, lane, done)
        self._leave_parking()
        return done

    def _leave_or_put_off(self, ready: Ready, lane: Lane[Open, Ready], done: list[Move]) -> None:
        now = self._clock()
        due = ready.seen.due_at <= format_instant(now)  # not one that an earlier attempt keeps
        if due and lane.leaves(now, self._feed.passes):
            self._feed.leave()
        else:
            done.append(moves.defer(ready.seen, ready.webhook, lane.put_off(now)))

    def _leave_parking(self) -> None:
        self._parking = {key: lane for key, lane in self._parking.items() if lane.parked}

    def ended(self, key: str, result: Result) -> None:
        """It is not looked at again in this try, whatever the index says; or, if it was put off or
        another's, not before the index can know."""
        self._recorder.counts[result] += 1
        if result in {Result.DEFERRED, Result.LOST}:
            self._settled.forget(key)
            self._recorder.remember(key)
            return
        self._settled.note(key, 0)

    def kept_claims(self) -> list[Move]:
        """What is parked is due as it is, but for what an earlier attempt keeps claimed: that is
        given back."""
        now = self._clock()
        return [
            moves.defer(parked.item.seen, parked.item.webhook, now)
            for lane in self._parking.values()
            for parked in lane.parked
            if parked.item.seen.due_at > format_instant(now)
        ]


def _is_small(ready: Ready) -> bool:
    """Remit's own have no payload yet."""
    return len(ready.webhook.payload or "") <= _PARKED_CHARACTERS
