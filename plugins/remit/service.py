"""The trigger hook as a service of its own: `python -m remit serve`.

It needs no Airflow in its process, only its public REST API, and is mounted where Airflow's API
server mounts it, so that every path is the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from fastapi import FastAPI

from remit.api import problems
from remit.api.app import create_app
from remit.auth import TokenSettings, Verifier
from remit.aws.session import FOR_REQUESTS, Aws
from remit.metrics import LoggedMetrics
from remit.services import Services
from remit.settings import Settings
from remit.triggers.rest import RestTrigger
from remit.triggers.settings import AirflowSettings

MOUNTED_AT = "/remit"


def service() -> FastAPI:
    """The app of one process. Nothing is asked of AWS, Airflow or anybody else before it starts.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """
    connect = partial(_connect, Settings.from_environment())
    verifier = Verifier.of(TokenSettings.from_environment(), connect)
    trigger = RestTrigger.of(AirflowSettings.from_environment())
    hook = create_app(connect, trigger, verifier, LoggedMetrics())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        verifier.start()
        async with hook.router.lifespan_context(hook):  # nobody else calls a mounted app's own
            yield
        verifier.stop()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    problems.install(app)  # what is asked for elsewhere is a 404, and a problem document, too
    app.mount(MOUNTED_AT, hook)
    return app


def _connect(settings: Settings) -> Services:
    """AWS from the default credentials chain."""
    aws = Aws.from_environment(settings.region)
    return Services(settings, replace(aws, patience=FOR_REQUESTS))
