"""A small threaded HTTP/1.1 server on the loopback interface, made to cost little.

One thread per connection, kept alive. An answer's head and body leave in one `sendmsg` of memory
that is there already; see `reading` for what comes in.
"""

from __future__ import annotations

import http
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from benchmarks.standins.reading import BufferPool, MalformedRequest, Request, RequestReader

log = logging.getLogger(__name__)

Part = bytes | bytearray | memoryview

_FEW_PARTS = 64  # of more parts, one copy costs less than the system call that gathers them
_ACCEPT_PAUSE_SECONDS = 0.1  # after an error: too many open files, for one
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in http.HTTPStatus
}


class Reset(Exception):
    """Raised by a handler: no answer, the connection is reset."""


@dataclass(slots=True)
class Response:
    """An answer; its body is the parts, end to end. `Content-Length` is added if it is not there
    (an answer to HEAD has its own)."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[Part] = ()


Handler = Callable[[Request], Response]


class Server:
    """Serves a handler on 127.0.0.1; port 0 is any. A context manager: from `start` to `stop`."""

    def __init__(self, handler: Handler, port: int = 0, name: str = "stand-in") -> None:
        self.handler = handler
        self.pool = BufferPool()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._name = name
        self._acceptor = threading.Thread(target=self._accept, name=f"{name} accept", daemon=True)
        self._connections: set[_Connection] = set()
        self._lock = threading.Lock()
        self.stopping = False

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Server:
        """Accept connections from now on."""
        self._acceptor.start()
        return self

    def stop(self, grace: float = 5.0) -> None:
        """Accept nothing more, answer the requests that have arrived, close every connection.

        What is still arriving, or is not answered within `grace` seconds, is cut off.
        """
        self.stopping = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        except OSError:
            log.debug("%s was not listening", self._name)
        self._listener.close()
        if self._acceptor.ident is not None:
            self._acceptor.join()
        with self._lock:
            open_ones = list(self._connections)
        for connection in open_ones:
            connection.shut(socket.SHUT_RD)
        deadline = time.monotonic() + grace
        for connection in open_ones:
            connection.thread.join(max(0.0, deadline - time.monotonic()))
            if connection.thread.is_alive():
                connection.shut(socket.SHUT_RDWR)

    def forget(self, connection: _Connection) -> None:
        """A connection has ended."""
        with self._lock:
            self._connections.discard(connection)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                if self.stopping:
                    return
                log.exception("%s accepts no connection for now", self._name)
                time.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(self, accepted, self._name)
            with self._lock:
                self._connections.add(connection)
            connection.thread.start()


class _Connection:
    """One connection and its thread."""

    def __init__(self, server: Server, accepted: socket.socket, name: str) -> None:
        self._server = server
        self._socket = accepted
        self._reader = RequestReader(accepted, server.pool)
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def shut(self, how: int) -> None:
        """Wake the thread: it will read, or also send, nothing more."""
        try:
            self._socket.shutdown(how)
        except OSError:
            log.debug("the connection was closed already")

    def _serve(self) -> None:
        try:
            while self._serve_one():
                pass
        except MalformedRequest as error:
            if not self._server.stopping:
                log.warning("%s", error)
        except OSError as error:
            log.debug("a connection ended: %s", error)
        finally:
            self._reader.release()
            self._socket.close()
            self._server.forget(self)

    def _serve_one(self) -> bool:
        """Answer one request; False: it was the last one."""
        request = self._reader.next()
        if request is None:
            return False
        try:
            response = self._server.handler(request)
        except Reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            return False
        except Exception:
            log.exception("%s %s failed", request.method, request.target)
            response = Response(500)
        last = self._server.stopping or request.headers.get("connection", "").lower() == "close"
        self._send(response, request.method == "HEAD", last)
        return not last

    def _send(self, response: Response, head_only: bool, last: bool) -> None:
        lines = [_STATUS_LINES[response.status]]
        lines += [f"{name}: {value}\r\n" for name, value in response.headers.items()]
        if "Content-Length" not in response.headers and response.status != 204:
            lines.append(f"Content-Length: {sum(map(len, response.parts))}\r\n")
        if last:
            lines.append("Connection: close\r\n")
        lines.append("\r\n")
        head = "".join(lines).encode("latin-1")
        self._send_all([head] if head_only else [head, *response.parts])

    def _send_all(self, parts: list[Part]) -> None:
        if len(parts) > _FEW_PARTS:
            parts = [b"".join(parts)]
        sent = self._socket.sendmsg(parts)
        for part in parts:  # if a signal interrupted the call, or it could not take all
            if sent < len(part):
                self._socket.sendall(memoryview(part)[sent:])
            sent = max(0, sent - len(part))
