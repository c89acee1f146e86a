"""Reading ahead: a thread keeps the next pages ready while the current one is decoded."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from remit.stop import CHECK_SECONDS

T = TypeVar("T")

_PUT_SECONDS = 0.1


@dataclass(frozen=True)
class _Failure:
    error: Exception


class _End:
    pass


def prefetched(
    source: Iterable[T], depth: int = 2, check: Callable[[], None] = lambda: None
) -> Prefetched[T]:
    """The elements of `source` in order, up to `depth` of them produced ahead of use.

    `check` is called twice a second while an element is waited for: what it raises ends the wait.
    An error of the source is raised where its element would have come. Closing the iterator early
    stops the thread after the element that it is producing.
    """
    return Prefetched(source, depth, check)


class Prefetched(Iterator[T], Generic[T]):
    """See `prefetched`."""

    def __init__(self, source: Iterable[T], depth: int, check: Callable[[], None]) -> None:
        self._check = check
        self._ready: queue.Queue[T | _Failure | _End] = queue.Queue(maxsize=depth)
        self._closed = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._produce, args=(source,), daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        if self._ended:
            raise StopIteration
        element = self._wait()
        if isinstance(element, _End):
            self._ended = True
            raise StopIteration
        if isinstance(element, _Failure):
            self._ended = True
            raise element.error
        return element

    def _wait(self) -> T | _Failure | _End:
        while True:
            try:
                return self._ready.get(timeout=CHECK_SECONDS)
            except queue.Empty:
                if self._closed.is_set():  # by another thread than the one that waits
                    return _End()
                self._check()

    def close(self) -> None:
        """Stop producing. The thread ends by itself, after the element that it is waiting for:
        whoever closes has something to do that must not wait for a slow source."""
        self._ended = True
        self._closed.set()

    def _produce(self, source: Iterable[T]) -> None:
        try:
            for element in source:
                if not self._put(element):
                    return
            self._put(_End())
        except Exception as error:  # noqa: BLE001 - handed over to the consumer, which raises it
            self._put(_Failure(error))
        finally:
            if isinstance(source, Generator):
                source.close()  # here, where it has run: it may hold what belongs to this thread

    def _put(self, element: T | _Failure | _End) -> bool:
        while not self._closed.is_set():
            try:
                self._ready.put(element, timeout=_PUT_SECONDS)
            except queue.Full:
                continue
            return True
        return False
