"""Starting processes and, above all, stopping them: every one of them and no other.

Each process that is started here leads a session of its own. Whatever it forks stays in that
session, also where it forms new process groups (Airflow's task processes do), so a session is
exactly "what this process started". A process is remembered by its id and its start time, because
an id alone may belong to another process by the time it is stopped.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from demo.errors import DemoError
from demo.signals import uninterrupted

_POLL_SECONDS = 0.05
_START_TIME_TOLERANCE = 2.0  # seconds: the boot time that start times are relative to is rounded
_PR_SET_CHILD_SUBREAPER = 36  # <sys/prctl.h>


@dataclass(frozen=True)
class ProcessRecord:
    """A started process as it is saved: `started` is in seconds since 1970.

    A higher `stage` is stopped earlier: a client ends in order while its servers still answer.
    """

    name: str
    pid: int
    started: float
    stage: int = 0


class Processes:
    """The processes of one stack, with one log file each."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self.records: list[ProcessRecord] = []

    def log(self, name: str) -> Path:
        """The log file of a process."""
        return self._logs / f"{name}.log"

    def start(
        self, name: str, argv: Sequence[str], environment: Mapping[str, str], stage: int = 0
    ) -> None:
        """Start a process in its own session, its output in its log file."""
        with uninterrupted(), self.log(name).open("ab") as log:
            child = subprocess.Popen(
                argv,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._children[name] = child
            self.records.append(ProcessRecord(name, child.pid, _start_time(child.pid), stage))

    def wait(self, name: str, timeout: float) -> None:
        """Wait for a process that ends by itself.

        Raises:
            DemoError: it failed, or did not end in time.
        """
        try:
            code = self._children[name].wait(timeout)
        except subprocess.TimeoutExpired:
            raise DemoError(f"{name} is not done after {timeout:.0f} s", self.log(name)) from None
        if code != 0:
            raise DemoError(f"{name} failed with exit code {code}", self.log(name))
        del self._children[name]
        self.records = [record for record in self.records if record.name != name]

    def check(self) -> None:
        """Raise `DemoError` if one of the servers has ended."""
        for name, child in self._children.items():
            if (code := child.poll()) is not None:
                raise DemoError(f"{name} ended with exit code {code}", self.log(name))

    def stop(self, grace: float) -> None:
        """Stop everything that was started, and whatever that started."""
        with uninterrupted():  # a second Ctrl-C does not leave half of them running
            stop(self.records, grace)
            for child in self._children.values():
                child.wait()
            self._children.clear()
            self.records.clear()


def stop(records: Iterable[ProcessRecord], grace: float) -> None:
    """Stop these processes and all that they started, stage by stage; returns when none is left.

    Each stage has `grace` seconds: SIGTERM to each process, at half time to whatever is left of
    its session, at last SIGKILL. A process whose id now belongs to another one is left alone.
    """
    ours = [record for record in records if not _recycled(record)]
    for stage in sorted({record.stage for record in ours}, reverse=True):
        _stop_sessions({record.pid for record in ours if record.stage == stage}, grace)


def _stop_sessions(sessions: set[int], grace: float) -> None:
    for leader in sessions:
        # A leader ends its own children, and in better order than if they were all signalled.
        _signal([leader] if _alive(leader) else _members({leader}), signal.SIGTERM)
    if _ended(sessions, grace / 2):
        return
    _signal(_members(sessions), signal.SIGTERM)
    if _ended(sessions, grace / 2):
        return
    while members := _members(sessions):
        _signal(members, signal.SIGKILL)
        _ended(sessions, 1)


def is_running(record: ProcessRecord) -> bool:
    """Whether that very process still runs."""
    return not _recycled(record) and _alive(record.pid)


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent ends, so that none is left a zombie.

    Containers often have no init process that would collect them. Linux only; elsewhere the
    system's init does it.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _start_time(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return time.time()


def _recycled(record: ProcessRecord) -> bool:
    try:
        started = psutil.Process(record.pid).create_time()
    except psutil.NoSuchProcess:
        return False
    return abs(started - record.started) > _START_TIME_TOLERANCE


def _ended(sessions: set[int], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while _members(sessions):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _signal(pids: Iterable[int], signum: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signum)


def _members(sessions: set[int]) -> list[int]:
    """Living processes of these sessions; those that have ended are collected on the way."""
    members = []
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) in sessions and _alive(pid):
                members.append(pid)
    return members


def _alive(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # collects it if it is ours and has ended
    try:
        return str(psutil.Process(pid).status()) != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
