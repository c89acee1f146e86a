"""The app, put together."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from remit import __version__
from remit.api import exports, openapi, problems, reports
from remit.api.backend import Backend
from remit.api.conduct import Conduct
from remit.api.guard import Guard
from remit.auth import Verifier
from remit.errors import ConfigurationError
from remit.services import Services
from remit.triggers import Trigger

RESOURCES = (exports, reports, openapi)
"""Modules with a `router(backend)`: one for each kind of thing that the hook has routes for."""


def create_app(
    connect: Callable[[], Services], trigger: Trigger, verifier: Verifier | ConfigurationError
) -> FastAPI:
    """The hook. With a `ConfigurationError` in place of a verifier it answers 503 to everyone."""
    # The interactive pages would stand outside the guard.
    app = FastAPI(
        title="Remit", version=__version__, docs_url=None, redoc_url=None, openapi_url=None
    )
    problems.install(app)
    backend = Backend(connect, trigger)
    for resource in RESOURCES:
        app.include_router(resource.router(backend))
    # The last one is the outermost.
    app.add_middleware(Guard, verifier=verifier)
    app.add_middleware(Conduct)
    return app
