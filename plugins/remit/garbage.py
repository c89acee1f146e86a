"""Python's search for garbage, made rarer for the length of a busy stretch of work."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (20_000, 20, 20)
"""Objects that are made before the youngest are looked through, and how often that is done before
older ones are, too."""


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Look through new objects only, and more of them at a time.

    Work that makes thousands of objects a second and lets go of nearly all of them otherwise spends
    an eighth of its time on the search, most of it among what the imports have left.
    """
    thresholds, freezes = gc.get_threshold(), gc.get_freeze_count() == 0
    if freezes:  # else whoever started this process has done so
        gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        if freezes:
            gc.unfreeze()
