"""The app alone under uvicorn, on the stand-in: with its token check, or with one that checks
nothing, by which its cost is known."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from collections.abc import Mapping
from typing import Any

import botocore.session
import uvicorn

from remit.api.app import create_app
from remit.auth import Caller, TokenSettings, Verifier
from remit.aws.session import FOR_REQUESTS, Aws
from remit.services import Services
from remit.settings import Settings


class Unchecked(Verifier):
    """Takes every token for the merchant's, and does not look at it."""

    def __init__(self, merchant_id: str) -> None:
        self._caller = Caller(merchant_id, frozenset({"payments"}))

    def verify(self, token: str) -> Caller:  # noqa: ARG002 - that is the point
        """The merchant."""
        return self._caller


class NoTrigger:
    """Starts nothing."""

    def start(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> None:
        """Nothing."""

    def wake_delivery(self) -> None:
        """Nothing."""

    def check(self, dag_id: str) -> None:
        """Nothing."""


def main() -> None:
    """Serve on a port of the system's choice, which is printed as JSON, until SIGTERM."""
    options = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.WARNING)
    session = botocore.session.get_session()
    session.set_credentials("testing", "testing")
    settings = Settings(api_rate=1_000_000)
    services = Services(
        settings, Aws(session, "us-east-1", {"dynamodb": options["dynamodb"]}, FOR_REQUESTS)
    )
    verifier: Verifier = Verifier(TokenSettings(**options["tokens"]))
    if options["unchecked"]:
        verifier = Unchecked(options["merchant"])
    app = create_app(lambda: services, NoTrigger(), verifier)
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    print(json.dumps({"url": url, "pid": os.getpid()}), flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
