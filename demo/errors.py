"""What can go wrong with the local stack. Every message says what to do about it."""

from __future__ import annotations

from pathlib import Path

_TAIL_LINES = 25


class DemoError(Exception):
    """The stack or the walk failed. `log` is the file that tells more, if there is one."""

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log

    def log_tail(self) -> str:
        """The last lines of the log, for the terminal; empty if there is no log."""
        if self.log is None or not self.log.exists():
            return ""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])


class PortBusy(DemoError):
    """A port that the stack needs is taken."""


class CheckFailed(DemoError):
    """The walk got an answer, and it was not the right one."""
