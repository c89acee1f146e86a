"""Tokens that were revoked before they expired.

The list is one partition of the table `RevokedTokens`: it is short, since an entry is needed only
as long as its token could be valid, an hour by default. The hook holds all of it in memory and
reads it again every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from remit.auth.claims import is_text
from remit.auth.renewal import Pace, Renewed
from remit.auth.settings import TokenSettings
from remit.clock import epoch_seconds, format_instant
from remit.errors import FieldError, InvalidRequest

if TYPE_CHECKING:
    from remit.audit import Actor
    from remit.services import Services

PACE = Pace(period=5, least=5, most_age=60)
"""A revocation counts everywhere within some seconds. While DynamoDB is out of reach a list may be
a minute old; then tokens are refused with a 503, as the hook can do next to nothing without
DynamoDB anyway, and a token that was revoked must not outlive its revocation by an outage."""

PARTITION = "revoked"
OF_NO_MERCHANT = "-"
"""Whose log has the entry of a revocation that names no merchant."""


class RevokedTokens:
    """The list as the hook has it."""

    def __init__(
        self, connect: Callable[[], Services], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._connect = connect
        self._services: Services | None = None
        self.renewed: Renewed[frozenset[str]] = Renewed(
            "the list of revoked tokens", self._read, PACE, monotonic
        )

    def has(self, token_id: str) -> bool:
        """Whether a token was revoked.

        Raises:
            Outdated: the list has not been read for a minute, or not yet.
        """
        return token_id in self.renewed.get()

    def _read(self) -> frozenset[str]:
        if self._services is None:
            self._services = self._connect()
        now = self._services.clock()
        # DynamoDB takes days to remove what has expired.
        found = self._services.tables.revoked_tokens.query(
            "#list = :list",
            {"list": PARTITION, "now": epoch_seconds(now)},
            filter="#expiresAt > :now",
        )
        return frozenset(item["jti"] for item in found)


def revoke(
    services: Services,
    settings: TokenSettings,
    token_id: str,
    *,
    actor: Actor,
    merchant_id: str | None = None,
) -> datetime:
    """Refuse a token from now on, and say so in the audit log; returns until when the list has it.
    To do so again changes nothing but that.

    Raises:
        InvalidRequest: it cannot be a `jti`, or the merchant's id is none.
    """
    from remit.audit import AuditLog
    from remit.aws.items import encode_item
    from remit.aws.transactions import transact
    from remit.webhooks.event import is_merchant_id

    if not token_id or not is_text(token_id):
        raise InvalidRequest(FieldError("jti", "it is no id of a token", "the claim of the token"))
    if merchant_id is not None and not is_merchant_id(merchant_id):
        raise InvalidRequest(FieldError("merchant", "it is no merchant's id", "the token's"))
    # The latest that a token of now can expire: made by a clock that is ahead, and seen by one that
    # is behind.
    until = services.clock() + settings.max_lifetime + 2 * settings.leeway
    item = {
        "list": PARTITION,
        "jti": token_id,
        "revokedAt": format_instant(services.clock()),
        "expiresAt": epoch_seconds(until) + 1,
    }
    entry = AuditLog(services).entry(
        merchant_id or OF_NO_MERCHANT,
        "token.revoked",
        actor=actor,
        target=token_id,
        details={"until": format_instant(until)},
    )
    put = {"TableName": services.tables.revoked_tokens.name, "Item": encode_item(item)}
    transact(services.tables.client, [{"Put": put}, entry])
    return until
