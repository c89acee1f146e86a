"""`python -m remit webhooks dead`: a merchant's dead letters, one per line."""

from __future__ import annotations

import argparse

from remit.commands.command import show

HELP = "webhooks that ended without being delivered, and why"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose."""
    parser.add_argument("--merchant", required=True, help="whose webhooks")
    parser.add_argument("--endpoint", help="of this endpoint")


def run(options: argparse.Namespace) -> None:
    """List them."""
    from remit.services import Services
    from remit.webhooks.dead_letters import dead_letters

    for letter in dead_letters(Services.from_environment(), options.merchant, options.endpoint):
        show(letter)
