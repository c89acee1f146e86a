"""`python -m remit`: tokens for development, the tables and the bucket, webhooks.

python -m remit token --merchant merchant-001        a token, made with JWT_SECRET and its kin
python -m remit infra apply                          create and complete what infra/ declares
python -m remit infra adopt                          add Remit's indexes to existing tables
python -m remit webhooks                             endpoints, their keys, dead letters, replays
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType

from remit.clock import system_clock
from remit.commands import webhooks
from remit.errors import ConfigurationError, FieldError, InvalidRequest, RemitError
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


def _token(options: argparse.Namespace) -> None:
    from remit.auth import TokenSettings, mint

    settings = TokenSettings.from_environment()
    longest = settings.max_lifetime // timedelta(minutes=1)
    if not 1 <= options.minutes <= longest:
        raise ConfigurationError(
            f"--minutes is {options.minutes}: the hook takes no token that lives longer than "
            f"{longest} minutes, and none that lives less than 1 is of use"
        )
    token = mint(
        settings,
        options.merchant,
        permissions=options.permissions.split(","),
        now=system_clock(),
        lifetime=timedelta(minutes=options.minutes),
        email=options.email,
    )
    print(token)


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
    {"token": _token, "infra": _infra, "webhooks": webhooks.run}
)
"""Command to what it does."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="remit", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    token = commands.add_parser("token", help="mint a token for development")
    token.add_argument("--merchant", required=True, help="the merchant it speaks for")
    token.add_argument("--permissions", default="payments,refunds", help="comma-separated")
    token.add_argument("--minutes", type=int, default=60, help="lifetime, at most 60")
    token.add_argument("--email", help="who asked for it")
    infra = commands.add_parser("infra", help="the tables and the bucket")
    infra.add_argument("action", choices=("apply", "adopt"))
    webhooks.add_arguments(commands.add_parser("webhooks", help=webhooks.HELP))
    return parser


if __name__ == "__main__":
    sys.exit(main())
