"""Several requests at once, none of which keeps its caller for longer than it wants to wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TypeVar

from remit.stop import CHECK_SECONDS

T = TypeVar("T")


def at_once(tasks: Sequence[Callable[[], T]], check: Callable[[], None]) -> list[T]:
    """The results of the tasks, in their order, each of a thread of its own.

    The end of the wait (see `results_of`) does not end the tasks: they have to be told. Their
    threads do not keep the process, as those of an executor would.
    """
    futures: list[Future[T]] = [Future() for _ in tasks]
    for future, task in zip(futures, tasks, strict=True):
        threading.Thread(target=_run, args=(future, task), daemon=True).start()
    return results_of(futures, check)


def results_of(futures: Sequence[Future[T]], check: Callable[[], None]) -> list[T]:
    """The results, in order. `check` is called whenever one is there, and twice a second while none
    comes: what it raises ends the wait, as the first error among the results does."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, CHECK_SECONDS, FIRST_COMPLETED)
        for one in done:
            one.result()
        check()
    return [one.result() for one in futures]


def _run(future: Future[T], task: Callable[[], T]) -> None:
    try:
        future.set_result(task())
    except Exception as error:  # noqa: BLE001 - handed over to the caller, which raises it
        future.set_exception(error)
