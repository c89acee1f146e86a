"""The trigger hook inside Airflow's API server."""

from __future__ import annotations

import logging
from functools import cache

from fastapi import FastAPI

from remit.airflow.services import services
from remit.airflow.trigger import InProcessRuns
from remit.api.app import create_app
from remit.auth import TokenSettings, Verifier
from remit.errors import ConfigurationError

log = logging.getLogger(__name__)


@cache
def hook() -> FastAPI:
    """The app of this process. Without a usable secret it refuses everyone, and says why here."""
    verifier: Verifier | ConfigurationError
    try:
        verifier = Verifier(TokenSettings.from_environment())
    except ConfigurationError as error:
        log.error("the trigger hook serves nobody: %s", error)  # noqa: TRY400 - no stack to show
        verifier = error
    return create_app(services, InProcessRuns(), verifier)
