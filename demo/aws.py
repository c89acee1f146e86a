"""The AWS of the demo and of the tests: moto's server, one request after the other.

    python -m demo.aws --port 5055

moto looks at a condition and writes in two steps, and no lock holds them together: of two requests
at once both may find the condition true, which DynamoDB rules out. Remit's claims rest on that.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterable
from io import BytesIO
from threading import Lock
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from demo import expressions, transactions
from demo.ports import HOST

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class OneAtATime:
    """A WSGI application that never sees two requests at once, however slowly they come in."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lock = Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        # Read before the lock: a client that stops in the middle holds up nobody else.
        environ["wsgi.input"] = BytesIO(_body(environ))
        with self._lock:
            return list(self._application(environ, start_response))


def aws_server(host: str = HOST, port: int = 0) -> BaseWSGIServer:
    """A server that listens (on any free port for 0) and does not serve yet."""
    transactions.install()
    expressions.install()
    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    return make_server(host, port, application, threaded=True, request_handler=MotoRequestHandler)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.aws")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    aws_server(given.host, given.port).serve_forever()


def _body(environ: dict[str, Any]) -> bytes:
    """The whole body: of the length that is given, or up to the end of its chunks."""
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        body: bytes = stream.read()
    else:
        body = stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    return body


if __name__ == "__main__":
    main()
