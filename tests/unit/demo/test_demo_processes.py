from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from demo.errors import DemoError
from demo.processes import Processes, ProcessRecord, is_running, stop

GRACE = 1.0

SLEEP = "import time; time.sleep(600)"

# Starts a child, which forms a process group of its own, and says its id.
WITH_CHILD = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], process_group=0)
print(child.pid, flush=True)
time.sleep(600)
"""

# Ignores SIGTERM and says that it does.
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("stubborn", flush=True)
time.sleep(600)
"""

# Ends in good order: its last word shows that it was asked, not killed.
ORDERLY = """
import signal, sys, time
def end(*_):
    print("ended in order", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    started.stop(GRACE)


def test_stop_ends_a_process_and_its_children_in_other_groups(processes: Processes) -> None:
    start(processes, "parent", WITH_CHILD)
    child = int(first_line(processes, "parent"))
    record = processes.records[0]
    processes.stop(GRACE)
    assert gone(record.pid)
    assert gone(child)


def test_stop_asks_before_it_kills(processes: Processes) -> None:
    start(processes, "orderly", ORDERLY)
    first_line(processes, "orderly")
    processes.stop(GRACE)
    assert processes.log("orderly").read_text().splitlines() == ["ready", "ended in order"]


def test_stop_kills_what_ignores_the_request(processes: Processes) -> None:
    start(processes, "stubborn", STUBBORN)
    first_line(processes, "stubborn")
    record = processes.records[0]
    processes.stop(GRACE)
    assert gone(record.pid)


def test_stop_ends_orphans_of_a_process_that_has_died(processes: Processes) -> None:
    start(processes, "parent", WITH_CHILD)
    child = int(first_line(processes, "parent"))
    record = processes.records[0]
    os.kill(record.pid, signal.SIGKILL)
    eventually(lambda: not is_running(record))
    processes.stop(GRACE)
    assert gone(child)


def test_a_higher_stage_ends_while_the_lower_one_still_runs(processes: Processes) -> None:
    start(processes, "server", SLEEP)
    server = processes.records[0]
    asks = f"""
import os, signal, sys, time
def end(*_):
    os.kill({server.pid}, 0)
    print("the server was there", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(600)
"""
    start(processes, "client", asks, stage=1)
    first_line(processes, "client")
    processes.stop(GRACE)
    assert processes.log("client").read_text().splitlines() == ["ready", "the server was there"]


def test_stop_leaves_another_process_with_the_same_id_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True) as other:
        started = psutil.Process(other.pid).create_time()
        stop([ProcessRecord("recycled", other.pid, started - 3600)], GRACE)
        alive = other.poll() is None
        other.kill()
    assert alive


def test_a_record_is_running_only_while_that_very_process_runs(processes: Processes) -> None:
    start(processes, "one", SLEEP)
    record = processes.records[0]
    assert is_running(record)
    assert not is_running(replace(record, started=record.started - 3600))
    processes.stop(GRACE)
    assert not is_running(record)


def test_check_reports_a_process_that_has_ended(processes: Processes) -> None:
    start(processes, "short", "print('the last words'); raise SystemExit(3)")
    with pytest.raises(DemoError, match="short ended with exit code 3") as ended:
        eventually(processes.check)
    assert ended.value.log_tail() == "the last words"


def test_wait_returns_when_a_process_has_done_its_work(processes: Processes) -> None:
    start(processes, "work", "print('done')")
    processes.wait("work", 30)
    processes.check()  # that it has ended is as it should be


def test_wait_reports_failure_and_lateness(processes: Processes) -> None:
    start(processes, "fails", "raise SystemExit(2)")
    with pytest.raises(DemoError, match="fails failed with exit code 2"):
        processes.wait("fails", 30)
    start(processes, "late", SLEEP)
    with pytest.raises(DemoError, match="late is not done after 0 s"):
        processes.wait("late", 0)


def start(processes: Processes, name: str, program: str, stage: int = 0) -> None:
    processes.start(name, [sys.executable, "-c", program], os.environ, stage)


def first_line(processes: Processes, name: str) -> str:
    """Waits until a process has written a line; returns it."""
    eventually(lambda: "\n" in processes.log(name).read_text())
    return processes.log(name).read_text().splitlines()[0]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
