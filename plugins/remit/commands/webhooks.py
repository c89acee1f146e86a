"""`python -m remit webhooks`: what operators do about webhooks.

python -m remit webhooks endpoints --merchant M list      and create, change, rotate, …
python -m remit webhooks secret-keys reseal               seal all secrets with the first key
python -m remit webhooks dead --merchant M                what was not delivered, and why
python -m remit webhooks replay --merchant M --since T    deliver once more; or --webhook ID
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from types import MappingProxyType

from remit.commands import (
    webhook_dead,
    webhook_endpoints,
    webhook_replay,
    webhook_secret_keys,
)
from remit.commands.command import Command

HELP = "endpoints, the keys that seal their secrets, dead letters, and replays"

COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "endpoints": webhook_endpoints,
        "secret-keys": webhook_secret_keys,
        "dead": webhook_dead,
        "replay": webhook_replay,
    }
)
"""Name to the module that does it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands below this one."""
    commands = parser.add_subparsers(dest="webhooks_command", required=True)
    for name, command in COMMANDS.items():
        command.add_arguments(commands.add_parser(name, help=command.HELP))


def run(options: argparse.Namespace) -> None:
    """Run the one that is named."""
    COMMANDS[options.webhooks_command].run(options)
