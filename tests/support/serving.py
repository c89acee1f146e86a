"""The hook served over HTTP, as Airflow's API server and `serve` do it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI


@contextmanager
def served(hook: FastAPI) -> Iterator[str]:
    """Serve it on a port of its own for the length of the block; yields where it is."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with hook.router.lifespan_context(hook):
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/remit", hook)
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="on", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="hook")
    thread.start()
    wait = threading.Event()
    while not server.started:
        assert thread.is_alive()
        wait.wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/remit"
    finally:
        server.should_exit = True
        thread.join()
