"""The tables by name; `infra/` declares their keys and indexes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remit.aws.table import Table


@dataclass(frozen=True)
class Tables:
    """Every table that Remit reads or writes, on one client."""

    client: Any
    prefix: str
    payments: Table
    merchants: Table
    export_jobs: Table
    webhooks: Table
    events: Table

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
        )

    def name_of(self, table: str) -> str:
        """The name that a table of `infra/` has in this deployment."""
        return f"{self.prefix}{table}"
