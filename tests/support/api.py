"""The hook as tests call it: the real app on real tables, with DAG runs that are only noted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import jwt

from remit.auth import TokenSettings, mint
from remit.errors import TriggerUnavailable
from tests.support.clock import ManualClock

TOKENS = TokenSettings(secret="s" * 48, issuer="tests", audience="payment-api")


class NotedRuns:
    """Notes the runs that it is asked to start, or refuses them."""

    def __init__(self) -> None:
        self.started: list[tuple[str, str, Mapping[str, Any]]] = []
        self.down = False
        self.wakes = 0

    def start(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> None:
        if self.down:
            raise TriggerUnavailable("the scheduler's database is down")
        self.started.append((dag_id, run_id, conf))

    def wake_delivery(self) -> None:
        if self.down:
            raise TriggerUnavailable("the scheduler's database is down")
        self.wakes += 1

    def check(self, dag_id: str) -> None:
        if self.down:
            raise TriggerUnavailable(f"the DAG {dag_id} is paused")


def token(clock: ManualClock, merchant: str = "merchant-1", *permissions: str) -> str:
    """A valid token; for payments unless said otherwise."""
    return mint(TOKENS, merchant, permissions=permissions or ("payments",), now=clock())


def forged(
    clock: ManualClock, *, secret: str = TOKENS.secret, without: str = "", **claims: Any
) -> str:
    """A token with other claims, or one claim missing."""
    now = clock()
    body: dict[str, Any] = {
        "merchant_id": "merchant-1",
        "permissions": ["payments"],
        "iss": "tests",
        "aud": ["payment-api"],
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(minutes=30)).timestamp()),
        **claims,
    }
    body.pop(without, None)
    return jwt.encode(body, secret, algorithm="HS256")


def bearer(value: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {value}"}
