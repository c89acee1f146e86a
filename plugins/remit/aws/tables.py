"""The tables by name; `infra/` declares their keys and indexes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remit.aws.table import Pair, Table


@dataclass(frozen=True)
class Tables:
    """Every table that Remit reads or writes, on one client."""

    client: Any
    prefix: str
    payments: Table[str]
    merchants: Table[str]
    export_jobs: Table[str]
    webhooks: Table[str]
    events: Table[str]
    endpoints: Table[Pair]
    attempts: Table[Pair]
    replays: Table[str]
    schedules: Table[Pair]
    audit_log: Table[Pair]
    revoked_tokens: Table[Pair]
    idempotency_keys: Table[str]
    rate_limits: Table[Pair]

    @classmethod
    def on(cls, client: Any, prefix: str = "") -> Tables:
        """The tables behind a DynamoDB client, their names preceded by `prefix`."""
        return cls(
            client=client,
            prefix=prefix,
            payments=Table(client, f"{prefix}Payments"),
            merchants=Table(client, f"{prefix}Merchants"),
            export_jobs=Table(client, f"{prefix}ExportJobs"),
            webhooks=Table(client, f"{prefix}Webhooks"),
            events=Table(client, f"{prefix}Events"),
            endpoints=Table(client, f"{prefix}WebhookEndpoints", key="merchantID", sort="id"),
            attempts=Table(client, f"{prefix}WebhookAttempts", key="webhookID", sort="at"),
            replays=Table(client, f"{prefix}WebhookReplays"),
            schedules=Table(client, f"{prefix}ExportSchedules", key="merchantID", sort="id"),
            audit_log=Table(client, f"{prefix}AuditLog", key="merchantID", sort="id"),
            revoked_tokens=Table(client, f"{prefix}RevokedTokens", key="list", sort="jti"),
            idempotency_keys=Table(client, f"{prefix}IdempotencyKeys"),
            rate_limits=Table(client, f"{prefix}RateLimits", key="merchantID", sort="id"),
        )

    def name_of(self, table: str) -> str:
        """The name that a table of `infra/` has in this deployment."""
        return f"{self.prefix}{table}"
