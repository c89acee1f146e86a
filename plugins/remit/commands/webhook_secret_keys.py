"""`python -m remit webhooks secret-keys`: the keys that seal the secrets of endpoints."""

from __future__ import annotations

import argparse

from remit.commands.command import show
from remit.errors import Interrupted, SecretUnreadable
from remit.stop import stop_on_sigterm

HELP = "after a new first key: seal all secrets with it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with them."""
    parser.add_argument("action", choices=("reseal",))


def run(options: argparse.Namespace) -> None:  # noqa: ARG001 - there is one action
    """Seal all secrets anew. It can be stopped, and goes on where it was.

    Raises:
        SecretUnreadable: some of them could not be opened; all the others are done.
        Interrupted: it was stopped.
    """
    from remit.services import Services
    from remit.webhooks.resealing import reseal_secrets

    services = Services.from_environment()
    with stop_on_sigterm() as stop:
        done = reseal_secrets(services, services.vault, stop)
    show(
        {
            "resealed": done.resealed,
            "unchanged": done.unchanged,
            "unreadable": [{"merchant": m, "endpoint": e} for m, e in done.unreadable],
            "complete": done.complete,
        }
    )
    if done.unreadable:
        raise SecretUnreadable(
            "the keys of some secrets are not there any more: put the keys back behind the first "
            "one, or rotate those secrets"
        )
    if not done.complete:
        raise Interrupted("asked to stop: begin again to go on")
