"""The app, put together."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from remit import __version__
from remit.api import problems
from remit.api.exports import ExportApi, RunStarter, router
from remit.api.guard import Guard
from remit.auth import Verifier
from remit.errors import ConfigurationError
from remit.services import Services


def create_app(
    connect: Callable[[], Services], runs: RunStarter, verifier: Verifier | ConfigurationError
) -> FastAPI:
    """The hook. With a `ConfigurationError` in place of a verifier it answers 503 to everyone.

    `connect` is called by the first request, and again by the next one if it fails: a server that
    starts while AWS is out of reach need not be restarted.
    """
    # The interactive pages would stand outside the guard.
    app = FastAPI(
        title="Remit", version=__version__, docs_url=None, redoc_url=None, openapi_url=None
    )
    problems.install(app)
    app.include_router(router(ExportApi(connect, runs)))
    app.add_middleware(Guard, verifier=verifier)
    return app
