from __future__ import annotations

import logging
import re
import sys

from remit.log_lines import OneLine

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def record(message: str, error: bool = False) -> logging.LogRecord:
    info = sys.exc_info() if error else None
    return logging.LogRecord("remit.x", logging.ERROR, __file__, 1, message, None, info)


def fail() -> None:
    raise ValueError("one\r\ntwo")


def test_a_record_has_its_time_in_utc() -> None:
    made = record("fine")
    made.created, made.msecs = 1_795_608_000.5, 500.0
    assert OneLine(FORMAT).format(made) == "2026-11-25T12:00:00.500Z ERROR remit.x fine"


def test_a_traceback_and_line_breaks_stay_on_one_line() -> None:
    try:
        fail()
    except ValueError:
        line = OneLine(FORMAT).format(record("a\nb", error=True))
    assert "\n" not in line
    assert "\r" not in line
    assert re.search(r" a\\nb\\nTraceback .*ValueError: one\\r\\ntwo$", line)
