"""Rotation of a secret: the old ones sign beside the new one until the overlap ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from remit.aws.items import Item
from remit.clock import format_instant, parse_instant
from remit.errors import Conflict, FieldError

MAX_OVERLAP = timedelta(days=7)
MAX_SECRETS = 5
"""Live ones of one endpoint: every delivery carries a signature for each."""


def check_overlap(overlap: timedelta) -> Iterator[FieldError]:
    """What is wrong with the time that old secrets are to sign on."""
    if not timedelta() <= overlap <= MAX_OVERLAP:
        seconds, most = overlap.total_seconds(), MAX_OVERLAP.total_seconds()
        message = f"it is {seconds:.0f} seconds"
        yield FieldError("overlap", message, f"0 (the old ones end now) to {most:.0f} seconds")


def rotated(
    secrets: Iterable[Mapping[str, Any]], fresh: Item, now: datetime, overlap: timedelta
) -> list[Item]:
    """The secrets as they are stored after a rotation, the fresh one last.

    No old one signs longer than the overlap, nor longer than it would have without the rotation.
    Those that have ended are left out.

    Raises:
        Conflict: too many old ones would be live.
    """
    end = now + overlap
    ends = [(secret, min(end, _end(secret) or end)) for secret in secrets]
    kept = [{**secret, "expiresAt": format_instant(at)} for secret, at in ends if at > now]
    if len(kept) >= MAX_SECRETS:
        raise Conflict(
            f"{MAX_SECRETS} secrets are live, the most that an endpoint can have, and the next one "
            f"ends at {min(secret['expiresAt'] for secret in kept)}: rotate after that, or with "
            "an overlap of 0, which ends all of them"
        )
    return [*kept, fresh]


def _end(secret: Mapping[str, Any]) -> datetime | None:
    expires_at = secret.get("expiresAt")
    return None if expires_at is None else parse_instant(str(expires_at))
