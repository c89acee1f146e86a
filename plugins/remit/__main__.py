"""`python -m remit`: tokens for development, the tables and the bucket, webhooks.

python -m remit token mint --merchant merchant-001   a token for development; `show`, `revoke`
python -m remit infra apply                          create and complete what infra/ declares
python -m remit infra adopt                          add Remit's indexes to existing tables
python -m remit webhooks                             endpoints, their keys, dead letters, replays
python -m remit export --start D --end D             an export, from its request to the file
python -m remit serve                                the hook as a service beside Airflow
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from remit.commands import export, serve, token, webhooks
from remit.errors import FieldError, InvalidRequest, RemitError
from remit.stop import stop_on_sigterm


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        COMMANDS[options.command](options)
    except InvalidRequest as error:
        for wrong in error.errors:
            print(f"remit {options.command}: {_told(wrong)}", file=sys.stderr)
        return 1
    except RemitError as error:
        print(f"remit {options.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _told(wrong: FieldError) -> str:
    allowed = wrong.allowed if isinstance(wrong.allowed, str) else ", ".join(wrong.allowed)
    return f"{wrong.field}: {wrong.message}; allowed: {allowed}"


def _infra(options: argparse.Namespace) -> None:
    from remit.aws import cloudformation
    from remit.services import Services

    services = Services.from_environment()
    parameters = cloudformation.parameters_of(services.settings)
    if options.action == "apply":
        done = cloudformation.apply(services.aws, parameters)
    else:
        with stop_on_sigterm() as stop:
            done = cloudformation.adopt(services.aws, parameters, stop)
    print("\n".join(done) or "nothing was missing")


COMMANDS: Mapping[str, Callable[[argparse.Namespace], None]] = MappingProxyType(
    {
        "token": token.run,
        "infra": _infra,
        "webhooks": webhooks.run,
        "export": export.run,
        "serve": serve.run,
    }
)
"""Command to what it does."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="remit", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    token.add_arguments(commands.add_parser("token", help=token.HELP))
    infra = commands.add_parser("infra", help="the tables and the bucket")
    infra.add_argument("action", choices=("apply", "adopt"))
    webhooks.add_arguments(commands.add_parser("webhooks", help=webhooks.HELP))
    export.add_arguments(commands.add_parser("export", help=export.HELP))
    serve.add_arguments(commands.add_parser("serve", help=serve.HELP))
    return parser


if __name__ == "__main__":
    sys.exit(main())
