"""Several requests at once, none of which keeps its caller for longer than it wants to wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_CHECK_SECONDS = 0.5


@dataclass(frozen=True)
class _Done(Generic[T]):
    number: int
    result: T


def at_once(tasks: Sequence[Callable[[], T]], check: Callable[[], None]) -> list[T]:
    """The results of the tasks, in their order, each of a thread of its own.

    `check` is called twice a second while one is waited for. What it raises, and the first error of
    a task, ends the wait. It does not end the other tasks: they have to be told.
    """
    ended: queue.SimpleQueue[_Done[T] | Exception] = queue.SimpleQueue()
    for number, task in enumerate(tasks):
        threading.Thread(target=_run, args=(number, task, ended), daemon=True).start()
    results: dict[int, T] = {}
    while len(results) < len(tasks):
        try:
            one = ended.get(timeout=_CHECK_SECONDS)
        except queue.Empty:
            check()
            continue
        if isinstance(one, Exception):
            raise one
        results[one.number] = one.result
    return [results[number] for number in range(len(tasks))]


def _run(
    number: int, task: Callable[[], T], ended: queue.SimpleQueue[_Done[T] | Exception]
) -> None:
    try:
        ended.put(_Done(number, task()))
    except Exception as error:  # noqa: BLE001 - handed over to the caller, which raises it
        ended.put(error)
