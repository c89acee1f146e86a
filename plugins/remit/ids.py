"""Identifiers: ULIDs (https://github.com/ulid/spec), so that ids sort by the time of creation."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from datetime import datetime

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_RUN_ID_SAFE = re.compile(r"[A-Za-z0-9_~:+-][A-Za-z0-9_.~:+-]{0,180}")

RandomBits = Callable[[int], int]
"""Returns an integer of so many random bits."""


def ulid(now: datetime, random_bits: RandomBits = secrets.randbits) -> str:
    """26 lower-case characters: 48 bits of milliseconds since 1970, then 80 random bits."""
    value = (int(now.timestamp() * 1000) << 80) | random_bits(80)
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def export_id(now: datetime, random_bits: RandomBits = secrets.randbits) -> str:
    """A new export's id. Random, so that two requests in one second never share it."""
    return f"export-{ulid(now, random_bits)}"


def export_run_id(export: str, generation: int) -> str:
    """The id of the DAG run that produces `generation` of an export.

    Airflow allows `[A-Za-z0-9_.~:+-]`, no `..` and 250 characters in a run id; an export id from
    elsewhere that does not fit is replaced by its digest.
    """
    if _RUN_ID_SAFE.fullmatch(export) is None or ".." in export:
        export = hashlib.sha256(export.encode()).hexdigest()
    return f"export__{export}__{generation}"
