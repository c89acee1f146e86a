"""Keeps what requests and answers carry out of botocore's own log.

At DEBUG botocore logs every body, and with it what KMS seals and opens, merchants' secrets and the
payloads of webhooks. Who turns that on, to see why a call fails, still sees operation, address,
headers and sizes.
"""

from __future__ import annotations

import logging
from typing import Any

_LOGGERS = ("botocore.endpoint", "botocore.parsers")
"""Those that log bodies. A filter is asked by its own logger alone, not by those below it."""

_SHOWN = ("method", "url", "url_path", "query_string", "headers")
"""Of a request. The rest of it is its body, and a context in which parameters may be once more."""


class _WithoutBodies(logging.Filter):
    """Lets every record pass, without bodies."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_body(argument) for argument in record.args)
        elif record.args:  # logging makes a single mapping the arguments themselves
            record.args = _without_body(record.args)
        return True


_FILTER = _WithoutBodies()


def redact_botocore() -> None:
    """Leave bodies out of botocore's log, in the whole process and from now on."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # the same one is not added twice


def _without_body(argument: Any) -> Any:
    match argument:
        case {"body": body, **rest}:
            shown = {name: rest[name] for name in _SHOWN if name in rest}
            return {**shown, "body": _size_of(body)}
        case bytes() | bytearray():
            return _size_of(argument)
        case _:
            return argument


def _size_of(body: Any) -> str:
    if isinstance(body, bytes | bytearray | str):
        return f"{len(body)} bytes, not shown"
    return "not shown"
