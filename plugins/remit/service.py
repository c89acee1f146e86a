"""The trigger hook as a service of its own: `python -m remit serve`.

It needs no Airflow in its process, only its public REST API, and is mounted where Airflow's API
server mounts it, so that every path is the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from remit.api.app import create_app
from remit.api.conduct import Conduct
from remit.api.problems import problem
from remit.auth import TokenSettings, Verifier
from remit.aws.session import FOR_REQUESTS, Aws
from remit.errors import NotFound
from remit.metrics import LoggedMetrics
from remit.services import Services
from remit.settings import Settings
from remit.triggers.rest import RestTrigger
from remit.triggers.settings import AirflowSettings

MOUNTED_AT = "/remit"


def service() -> Starlette:
    """The app of one process. Nothing is asked of AWS, Airflow or anybody else before it starts.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """
    connect = partial(_connect, Settings.from_environment())
    verifier = Verifier.of(TokenSettings.from_environment(), connect)
    trigger = RestTrigger.of(AirflowSettings.from_environment())
    hook = create_app(connect, trigger, verifier, LoggedMetrics())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        verifier.start()
        async with hook.router.lifespan_context(hook):  # nobody else calls a mounted app's own
            yield
        verifier.stop()

    return Starlette(
        routes=[Mount(MOUNTED_AT, hook), Mount("/", Conduct(_nothing))], lifespan=lifespan
    )


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """What is elsewhere. Its answers have the hook's form, too."""
    answer = problem(NotFound(f"there is nothing here: the hook is at {MOUNTED_AT}"))
    await answer(scope, receive, send)


def _connect(settings: Settings) -> Services:
    """AWS from the default credentials chain."""
    aws = Aws.from_environment(settings.region)
    return Services(settings, replace(aws, patience=FOR_REQUESTS))
