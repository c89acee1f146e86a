"""What the parts of Remit need from outside, built once per process and passed in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from remit.aws.session import Aws
from remit.aws.tables import Tables
from remit.clock import Clock, system_clock
from remit.queue import DueQueue
from remit.settings import Settings
from remit.vault import Vault


@dataclass(frozen=True)
class Services:
    """Settings, time and AWS; clients are created on first use."""

    settings: Settings
    aws: Aws
    clock: Clock = system_clock

    @classmethod
    def from_environment(cls) -> Services:
        """Settings from the environment, AWS from the default credentials chain."""
        settings = Settings.from_environment()
        return cls(settings, Aws.from_environment(settings.region))

    @cached_property
    def tables(self) -> Tables:
        """The DynamoDB tables."""
        return Tables.on(self.aws.client("dynamodb", connections=32), self.settings.table_prefix)

    @cached_property
    def s3(self) -> Any:
        """The S3 client."""
        return self.aws.client("s3", connections=32)

    @cached_property
    def vault(self) -> Vault:
        """What opens the secrets of endpoints."""
        return Vault.of(self.settings, self.aws, self.clock)

    @cached_property
    def export_queue(self) -> DueQueue:
        """The queue of export jobs."""
        return DueQueue(self.tables.export_jobs, self.clock)

    @cached_property
    def webhook_queue(self) -> DueQueue:
        """The queue of webhooks."""
        return DueQueue(self.tables.webhooks, self.clock)
