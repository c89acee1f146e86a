"""Where renderers write to."""

from __future__ import annotations

from typing import Any, Protocol


class Sink(Protocol):
    """The writing half of a binary file."""

    @property
    def closed(self) -> bool:
        """Whether writing is over."""

    def write(self, data: Any, /) -> int:
        """Take bytes."""

    def flush(self) -> None:
        """Nothing that a renderer depends on."""

    def close(self) -> None:
        """End of writing; not a commit."""
