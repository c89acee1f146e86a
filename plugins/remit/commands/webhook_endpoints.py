"""`python -m remit webhooks endpoints`: a merchant's endpoints, for operators.

Options have the names of an endpoint's fields. `create` and `rotate` print the secret, this once; a
secret of one's own is read from a file, as the arguments of a process are for all to see.
"""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from remit.audit import Actor
from remit.clock import format_instant
from remit.commands.command import show
from remit.errors import ConfigurationError

if TYPE_CHECKING:
    from remit.webhooks.endpoint import Endpoint, Secret
    from remit.webhooks.endpoints import EndpointStore

HELP = "a merchant's endpoints: list, create, change, disable, enable, rotate, delete"

_FIELDS = ("url", "description", "events", "rate", "concurrency", "schedule")
_DEFAULTED = _FIELDS[1:]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The merchant, the action, and what it needs."""
    parser.add_argument("--merchant", required=True, help="whose endpoints")
    parser.add_argument(
        "--actor", type=Actor, default=operator(), help="who the audit log says it was"
    )
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="all of them, with their health")
    create = actions.add_parser("create", help="a new one; prints its secret")
    _add_fields(create, url_required=True)
    _add_secret(create)
    change = _of_one(actions, "change", "set some of its fields, and unset others")
    _add_fields(change, url_required=False)
    change.add_argument(
        "--unset", nargs="+", choices=_DEFAULTED, default=[], help="back to their defaults"
    )
    disable = _of_one(actions, "disable", "send nothing to it")
    disable.add_argument("--reason", required=True, help="which the merchant is shown")
    _of_one(actions, "enable", "send to it again")
    rotate = _of_one(actions, "rotate", "a new secret, which is printed")
    rotate.add_argument(
        "--overlap", type=int, help="seconds that the old secrets sign on; 0 ends them now"
    )
    _add_secret(rotate)
    _of_one(actions, "delete", "delete it; what waits for it is set aside")


def run(options: argparse.Namespace) -> None:
    """Do what the action says."""
    from remit.services import Services
    from remit.webhooks.endpoints import EndpointStore

    _ACTIONS[options.action](EndpointStore.of(Services.from_environment()), options)


def document(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as it is printed, without what is not set."""
    found = {
        "id": endpoint.id,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": list(endpoint.events),
        "rate": endpoint.rate,
        "concurrency": endpoint.concurrency,
        "schedule": [int(wait.total_seconds()) for wait in endpoint.schedule],
        "disabledReason": endpoint.disabled_reason,
        "disabledAt": _text(endpoint.disabled_at),
        "createdAt": _text(endpoint.created_at),
        "updatedAt": _text(endpoint.updated_at),
        "failingSince": _text(endpoint.health.failing_since),
        "lastSuccessAt": _text(endpoint.health.last_success_at),
        "breakerOpenUntil": _text(endpoint.health.breaker_open_until),
        "secrets": [_secret_document(secret) for secret in endpoint.secrets],
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def _secret_document(secret: Secret) -> dict[str, Any]:
    found = {
        "id": secret.id,
        "createdAt": _text(secret.created_at),
        "expiresAt": _text(secret.expires_at),
        "lastUsedAt": _text(secret.last_used_at),
    }
    return {name: value for name, value in found.items() if value is not None}


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _list(store: EndpointStore, options: argparse.Namespace) -> None:
    for endpoint in store.list(options.merchant):
        show(document(endpoint))


def _create(store: EndpointStore, options: argparse.Namespace) -> None:
    values = _given(options)
    if (secret := _own_secret(options)) is not None:
        values["secret"] = secret
    created = store.create(options.merchant, values, actor=options.actor)
    show({**document(created.endpoint), "secret": created.secret})


def _change(store: EndpointStore, options: argparse.Namespace) -> None:
    values = {**_given(options), **dict.fromkeys(options.unset)}
    key = (options.merchant, options.endpoint)
    show(document(store.change(*key, values, actor=options.actor)))


def _disable(store: EndpointStore, options: argparse.Namespace) -> None:
    key = (options.merchant, options.endpoint)
    show(document(store.disable(*key, options.reason, actor=options.actor)))


def _enable(store: EndpointStore, options: argparse.Namespace) -> None:
    show(document(store.enable(options.merchant, options.endpoint, actor=options.actor)))


def _rotate(store: EndpointStore, options: argparse.Namespace) -> None:
    overlap = None if options.overlap is None else timedelta(seconds=options.overlap)
    rotated = store.rotate_secret(
        options.merchant,
        options.endpoint,
        actor=options.actor,
        overlap=overlap,
        secret=_own_secret(options),
    )
    show({**document(rotated.endpoint), "secret": rotated.secret})


def _delete(store: EndpointStore, options: argparse.Namespace) -> None:
    store.delete(options.merchant, options.endpoint, actor=options.actor)
    show({"deleted": options.endpoint})


_ACTIONS: Mapping[str, Callable[[EndpointStore, argparse.Namespace], None]] = MappingProxyType(
    {
        "list": _list,
        "create": _create,
        "change": _change,
        "disable": _disable,
        "enable": _enable,
        "rotate": _rotate,
        "delete": _delete,
    }
)
"""Action to what it does."""


def _of_one(actions: Any, name: str, meaning: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=meaning)
    parser.add_argument("--endpoint", required=True, help="the endpoint's id")
    return parser


def _add_fields(parser: argparse.ArgumentParser, *, url_required: bool) -> None:
    """Those that are not given are not there."""
    given: dict[str, Any] = {"default": argparse.SUPPRESS}
    parser.add_argument("--url", required=url_required, help="where webhooks are posted", **given)
    parser.add_argument("--description", help="what it is, in words", **given)
    parser.add_argument("--events", nargs="+", help="which: payment.succeeded 'refund.*'", **given)
    parser.add_argument("--rate", type=int, help="webhooks per second", **given)
    parser.add_argument("--concurrency", type=int, help="requests at once", **given)
    parser.add_argument(
        "--schedule", nargs="+", type=int, help="waits between attempts, in seconds", **given
    )


def _add_secret(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--secret-file", help="a file (or /dev/stdin) with the secret to use")


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in _FIELDS if hasattr(options, name)}


def _own_secret(options: argparse.Namespace) -> str | None:
    if options.secret_file is None:
        return None
    try:
        return Path(options.secret_file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--secret-file cannot be read: {error}") from None


def operator() -> str:
    """Who the audit log says it was, unless told otherwise."""
    try:
        return f"operator {getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name, as in many containers
        return "operator"
