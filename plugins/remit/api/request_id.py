"""A request's id: taken from `X-Request-ID` or new, and in every line that the request logs.

The id is in a context variable, which `Backend.run` takes along into its threads. So what the core
logs on behalf of a request has it as well, and need not know of it.
"""

from __future__ import annotations

import logging
import re
import secrets
from contextvars import ContextVar
from typing import Any

from starlette.datastructures import Headers

HEADER = "X-Request-ID"

_SAFE = re.compile(r"[A-Za-z0-9._:/=@+~-]{1,128}")
"""What a caller may choose: UUIDs, ULIDs and the trace ids of load balancers, and nothing that
could forge a line of a log or hold a formatting directive."""

_current: ContextVar[str | None] = ContextVar("remit_request_id", default=None)

enter, leave = _current.set, _current.reset
"""Begin and end to work on a request: `leave` takes what `enter` returned."""


def current() -> str | None:
    """The id of the request that is worked on; None: there is none."""
    return _current.get()


def request_id_of(headers: Headers) -> str:
    """The id that the caller chose, if it is one and safe to log; otherwise a new one."""
    chosen = headers.getlist(HEADER)
    if len(chosen) == 1 and _SAFE.fullmatch(chosen[0]):
        return chosen[0]
    return secrets.token_hex(16)


class _Prefix(logging.Handler):
    """Puts the id before the message of each record, and into its `request_id`. It writes nothing:
    a logger's own handlers come before those of its parents, which write what it has changed."""

    def handle(self, record: logging.LogRecord) -> bool:
        request_id = _current.get()
        if request_id is not None and not hasattr(record, "request_id"):
            record.request_id = request_id
            message: Any = record.msg
            record.msg = f"[{request_id}] {message}"
        return True


def mark_log_lines() -> None:
    """Have every line of Remit's loggers begin with the id of the request that it belongs to."""
    logger = logging.getLogger("remit")
    if not any(isinstance(handler, _Prefix) for handler in logger.handlers):
        logger.addHandler(_Prefix())
