"""Writing behind: a thread sends what is finished while the next is being made."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from remit.stop import CHECK_SECONDS

T = TypeVar("T")

LEAVE_SECONDS = 1.5
"""How long whoever has to leave waits for what is on its way."""


class _End:
    pass


class WriteBehind(Generic[T]):
    """Calls `send` with what is put, in order, from a thread of its own.

    One element waits while another is being sent; `put` blocks when a third comes, which is what
    bounds the memory. After an error nothing is sent any more, and every later call raises it.
    Either `finish` or `abort` has to end it. `look_out` is called twice a second while `put` or
    `finish` waits: what it raises ends the wait.
    """

    def __init__(
        self, send: Callable[[T], None], look_out: Callable[[], None] = lambda: None
    ) -> None:
        self._send = send
        self._look_out = look_out
        self._waiting: queue.Queue[T | _End] = queue.Queue(maxsize=1)
        self._aborted = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="write-behind", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise the error of an element that could not be sent."""
        if self._error is not None:
            raise self._error

    def put(self, element: T) -> None:
        """Hand an element over; it belongs to the thread from now on."""
        self.check()
        self._put(element)

    def finish(self) -> None:
        """Wait until everything is sent; the thread has ended then."""
        if self._thread.is_alive():
            self._put(_End())
        while not self._ended_in(CHECK_SECONDS):
            self._look_out()
        self.check()

    def abort(self) -> None:
        """Drop what waits, and wait for what is being sent, but not for long: the thread may go on
        with that when this returns, and ends after it."""
        self._aborted.set()
        with suppress(queue.Empty):
            self._waiting.get_nowait()
        self._waiting.put(_End())
        self._thread.join(LEAVE_SECONDS)

    def _ended_in(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _put(self, element: T | _End) -> None:
        while True:
            try:
                return self._waiting.put(element, timeout=CHECK_SECONDS)
            except queue.Full:
                self._look_out()

    def _run(self) -> None:
        # It goes on taking elements after an error: whoever puts must not wait for ever.
        while not isinstance(element := self._waiting.get(), _End):
            if self._error is None and not self._aborted.is_set():
                try:
                    self._send(element)
                except Exception as error:  # noqa: BLE001 - handed over to whoever puts
                    self._error = error
            del element  # not kept while waiting for the next one
