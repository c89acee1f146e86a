"""`python -m remit webhooks replay`: webhooks go into the queue once more, with the same ids.

One (`--webhook`) goes at once. Many (`--since`, and a filter) are a replay that the survey of
`survey_webhooks` works at, every minute; `--replay` shows how far it is. `--dry-run` says what
would be done, and changes nothing.
"""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import TYPE_CHECKING, Any

from remit.audit import Actor
from remit.clock import parse_instant
from remit.commands.command import show
from remit.commands.webhook_endpoints import operator
from remit.errors import FieldError, InvalidRequest

if TYPE_CHECKING:
    from remit.services import Services
    from remit.webhooks.replay_filter import ReplayFilter

HELP = "deliver once more: one webhook, or those of a filter"

_OF_MANY = ("until", "endpoint", "type", "status", "reason", "rate")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which webhooks, and how fast."""
    parser.add_argument("--merchant", required=True, help="whose webhooks")
    parser.add_argument(
        "--actor", type=Actor, default=operator(), help="who the audit log says it was"
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--webhook", help="one, by its id")
    which.add_argument("--since", help="those created since then: 2026-01-31T23:59:59Z")
    which.add_argument("--replay", help="none: show a replay that was asked for")
    parser.add_argument("--until", help="and created before then; unless given, now")
    parser.add_argument("--endpoint", help="of this endpoint")
    parser.add_argument("--type", action="append", help="of this type: 'payment.*'; repeatable")
    parser.add_argument(
        "--status", action="append", help="failed, expired (both unless given) or delivered"
    )
    parser.add_argument("--reason", action="append", help="ended for this reasonCode; repeatable")
    parser.add_argument("--rate", type=int, help="webhooks per second; 50 unless given")
    parser.add_argument("--dry-run", action="store_true", help="count, and change nothing")


def run(options: argparse.Namespace) -> None:
    """Replay, or say what a replay would do.

    Raises:
        Refusal: it cannot be; nothing was changed.
    """
    from remit.services import Services

    services = Services.from_environment()
    if options.since is not None:
        _replay_many(services, options)
        return
    _refuse_filter(options)
    if options.webhook is not None:
        _replay_one(services, options)
    else:
        from remit.webhooks.replay_job import find_replay

        show(find_replay(services, options.merchant, options.replay))


def _replay_one(services: Services, options: argparse.Namespace) -> None:
    from remit.webhooks.replay import replay_one, replayable

    one = (services, options.merchant, options.webhook)
    if options.dry_run:
        webhook, outcome = replayable(*one).webhook, "replayable"
    else:
        webhook, outcome = replay_one(*one, actor=options.actor), "replayed"
    show({"webhook": webhook.id, "was": webhook.status.value, outcome: 1})


def _replay_many(services: Services, options: argparse.Namespace) -> None:
    from remit.webhooks.replay_filter import DEFAULT_RATE
    from remit.webhooks.replay_job import count_replay, request_replay

    wanted = _filter(options)
    rate = DEFAULT_RATE if options.rate is None else options.rate
    if not options.dry_run:
        show(request_replay(services, options.merchant, wanted, actor=options.actor, rate=rate))
        return
    count = count_replay(services, options.merchant, wanted, rate=rate)
    show(
        {
            "matched": count.matched if count.complete else f"at least {count.matched}",
            "replayable": count.replayable,
            "skipped": {why.value: number for why, number in count.skipped.items()},
        }
    )


def _filter(options: argparse.Namespace) -> ReplayFilter:
    from remit.webhooks.replay_filter import DEAD, ReplayFilter

    errors: list[FieldError] = []

    def instant(name: str) -> datetime | None:
        text = getattr(options, name)
        try:
            return None if text is None else parse_instant(text)
        except ValueError as error:
            errors.append(FieldError(name, str(error), "2026-01-31T23:59:59Z, or with an offset"))
            return None

    since, until = instant("since"), instant("until")
    if errors or since is None:
        raise InvalidRequest(*errors)
    return ReplayFilter(
        since=since,
        until=until,
        endpoint_id=options.endpoint,
        event_types=tuple(options.type or ()),
        statuses=tuple(options.status or DEAD),
        reason_codes=tuple(options.reason or ()),
    )


def _refuse_filter(options: argparse.Namespace) -> None:
    """What narrows a filter says nothing about one webhook, or one replay."""
    given: list[Any] = [name for name in _OF_MANY if getattr(options, name) is not None]
    if given:
        allowed = "with --since alone"
        raise InvalidRequest(*(FieldError(name, "it narrows a filter", allowed) for name in given))
