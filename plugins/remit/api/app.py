"""The app, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from remit import __version__
from remit.api import (
    audit,
    downloads,
    endpoints,
    events,
    export_lists,
    exports,
    health,
    openapi,
    problems,
    replays,
    reports,
    schedules,
    webhooks,
)
from remit.api.backend import Backend
from remit.api.conduct import Conduct
from remit.api.guard import Guard
from remit.api.intake import Intake
from remit.api.limits import RateLimit
from remit.api.refused import Refused
from remit.auth import Verifier
from remit.errors import ConfigurationError
from remit.metrics import NO_METRICS, Metrics
from remit.services import Services
from remit.triggers import Trigger

RESOURCES = (
    exports,
    export_lists,
    downloads,
    reports,
    audit,
    events,
    endpoints,
    replays,
    webhooks,
    schedules,
    health,
    openapi,
)
"""Modules with a `router(backend)`: one for each kind of thing that the hook has routes for."""


def create_app(
    connect: Callable[[], Services],
    trigger: Trigger,
    verifier: Verifier | ConfigurationError,
    metrics: Metrics = NO_METRICS,
) -> FastAPI:
    """The hook. With a `ConfigurationError` in place of a verifier it answers 503 to everyone."""
    backend = Backend(connect, trigger, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await backend.close()

    # The interactive pages would stand outside the guard.
    app = FastAPI(
        title="Remit",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # They would send the caller to whatever host the request named.
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.configured = not isinstance(verifier, ConfigurationError)
    problems.install(app)
    for resource in RESOURCES:
        app.include_router(resource.router(backend))
    # The last one is the outermost.
    app.add_middleware(Intake)
    app.add_middleware(RateLimit, backend=backend)
    app.add_middleware(Guard, verifier=verifier)
    app.add_middleware(Conduct)
    app.add_middleware(Refused, backend=backend)
    return app
