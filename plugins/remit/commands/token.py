"""`python -m remit token`: tokens for development, what a token says, and revocation.

python -m remit token mint --merchant merchant-001    a token; `mint` may be left out
python -m remit token show < token                    what it says, and whether it is accepted here
python -m remit token revoke --jti ID                 refuse it from now on
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from remit.audit import Actor
from remit.clock import format_instant, system_clock
from remit.commands.command import show
from remit.commands.webhook_endpoints import operator
from remit.errors import ConfigurationError, NotAuthenticated, RemitError

if TYPE_CHECKING:
    from remit.auth import Verifier

HELP = "mint a token for development, show what one says, revoke one"

_MOST_READ = 64 * 1024
"""Characters of standard input that may be a token, and whitespace around it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which token. Without an action it is `mint`."""
    _add_mint(parser, required=False)
    actions = parser.add_subparsers(dest="action")
    _add_mint(actions.add_parser("mint", help="a token, signed with the first key"), required=True)
    actions.add_parser("show", help="the token on standard input: what it says, and if it is good")
    revoke = actions.add_parser("revoke", help="refuse a token from now on (JWT_REVOCATION)")
    revoke.add_argument("--jti", required=True, help="its id, as `show` and the audit log have it")
    revoke.add_argument("--merchant", help="whose token it is, and whose audit log says so")
    revoke.add_argument(
        "--actor", type=Actor, default=operator(), help="who the audit log says it was"
    )


def run(options: argparse.Namespace) -> None:
    """Do what the action says.

    Raises:
        NotAuthenticated: the token that is shown is not accepted here.
    """
    _ACTIONS[options.action or "mint"](options)


def _mint(options: argparse.Namespace) -> None:
    from remit.auth import TokenSettings, compact, mint
    from remit.auth.claims import Rules
    from remit.auth.strict_json import parse_object

    if options.merchant is None:
        raise ConfigurationError("--merchant must be given: the merchant that the token speaks for")
    settings = TokenSettings.from_environment()
    lifetime = settings.max_lifetime
    if options.minutes is not None:
        longest = lifetime // timedelta(minutes=1)
        if not 1 <= options.minutes <= longest:
            raise ConfigurationError(
                f"--minutes is {options.minutes}: the hook takes no token that lives longer than "
                f"{longest} minutes, and none that lives less than 1 is of use"
            )
        lifetime = timedelta(minutes=options.minutes)
    now = system_clock()
    token = mint(
        settings,
        options.merchant,
        permissions=[name for one in options.permissions.split(",") if (name := one.strip())],
        now=now,
        lifetime=lifetime,
        email=options.email,
        kid=options.kid,
        token_id=options.jti,
    )
    # What the hook would refuse is not made.
    Rules(settings).caller(parse_object(compact.parse(token).payload), now.timestamp())
    print(token)


def _show(options: argparse.Namespace) -> None:  # noqa: ARG001 - the token is not an argument
    from remit.auth import TokenSettings, Verifier
    from remit.services import Services

    token = sys.stdin.read(_MOST_READ).strip()
    verifier = Verifier.of(TokenSettings.from_environment(), Services.from_environment)
    verifier.renew()
    reason = _reason(verifier, token)
    document = {**_contents(token), "accepted": reason is None, "reason": reason}
    # Escaped: what a token says may not write to the terminal of who looks at it.
    print(json.dumps(document, indent=2))
    if reason is not None:
        raise NotAuthenticated(reason)


def _reason(verifier: Verifier, token: str) -> str | None:
    """Why a token is not accepted; None: it is."""
    try:
        verifier.verify(token)
    except RemitError as error:
        return str(error)
    finally:
        verifier.stop()
    return None


def _contents(token: str) -> dict[str, Any]:
    """Its header and claims, whether they are true or not; never its signature. None: unreadable,
    as all of an encrypted one is."""
    parts = token.split(".")
    header, claims = parts[:2] if len(parts) == 3 else ("", "")
    return {"header": _object(header), "claims": _object(claims)}


def _object(part: str) -> dict[str, Any] | None:
    from remit.auth.compact import decoded
    from remit.auth.strict_json import NotAnObject, parse_object

    try:
        return parse_object(decoded(part.encode(), "part"))
    except (NotAuthenticated, NotAnObject, ValueError):
        return None


def _revoke(options: argparse.Namespace) -> None:
    from remit.auth import TokenSettings
    from remit.auth.revocation import revoke
    from remit.services import Services

    settings = TokenSettings.from_environment()
    if not settings.revocation:
        raise ConfigurationError(
            "JWT_REVOCATION is not set here: where it is not set to true, nobody looks at the list"
        )
    until = revoke(
        Services.from_environment(),
        settings,
        options.jti,
        actor=options.actor,
        merchant_id=options.merchant,
    )
    show({"revoked": options.jti, "until": format_instant(until)})


_ACTIONS: Mapping[str, Callable[[argparse.Namespace], None]] = MappingProxyType(
    {"mint": _mint, "show": _show, "revoke": _revoke}
)
"""Action to what it does."""


def _add_mint(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--merchant", required=required, help="the merchant it speaks for")
    parser.add_argument("--permissions", default="payments,refunds", help="comma-separated")
    parser.add_argument("--minutes", type=int, help="lifetime; as long as may be unless given")
    parser.add_argument("--email", help="who asked for it")
    parser.add_argument("--kid", help="the key that signs it; the first one unless given")
    parser.add_argument("--jti", help="its id; a random one unless given")
