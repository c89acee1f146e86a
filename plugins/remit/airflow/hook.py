"""The trigger hook inside Airflow's API server."""

from __future__ import annotations

import logging
from functools import cache, partial

from fastapi import FastAPI

from remit.airflow.metrics import AirflowMetrics
from remit.airflow.services import services
from remit.airflow.trigger import InProcessTrigger
from remit.api.app import create_app
from remit.auth import TokenSettings, Verifier
from remit.aws.session import FOR_REQUESTS
from remit.errors import ConfigurationError
from remit.settings import Settings

log = logging.getLogger(__name__)


@cache
def hook() -> FastAPI:
    """The app of this process. With a wrong setting it refuses everyone, and the log says why."""
    connect = partial(services, FOR_REQUESTS)
    verifier: Verifier | ConfigurationError
    try:
        Settings.from_environment()  # read again by `services`; a wrong one shows at the start
        verifier = Verifier.of(TokenSettings.from_environment(), connect)
        verifier.start()
    except ConfigurationError as error:
        log.error("the trigger hook serves nobody: %s", error)  # noqa: TRY400 - no stack to show
        verifier = error
    return create_app(connect, InProcessTrigger(), verifier, AirflowMetrics())
