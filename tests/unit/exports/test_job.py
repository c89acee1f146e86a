from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from remit.exports.job import FINISHED, MOVES, status_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


def test_expired_is_final_and_every_other_status_can_expire() -> None:
    assert MOVES["expired"] == frozenset()
    assert all("expired" in after for before, after in MOVES.items() if before != "expired")


def test_a_cleared_run_exports_again_what_is_finished_and_has_not_expired() -> None:
    assert {"completed", "failed", "canceled"} == FINISHED


@pytest.mark.parametrize("status", MOVES)
@pytest.mark.parametrize(
    ("expires_at", "over"),
    [(SECONDS + 1, False), (SECONDS, True), (SECONDS - 1, True), (..., False), ("soon", False)],
)
def test_time_makes_every_status_expired(status: str, expires_at: Any, over: bool) -> None:
    item = {"status": status, "expiresAt": expires_at}
    assert status_of(item, NOW) == ("expired" if over else status)
