"""Settings: read once from the environment, checked, and passed in from there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from remit.environment import read
from remit.environment import secret as _secret
from remit.environment import setting as _setting
from remit.errors import ConfigurationError

REPORTS_DIRECTORY = Path(__file__).resolve().parents[2] / "include" / "sql"


@dataclass(frozen=True)
class Settings:
    """Everything a deployment can set, beside the token settings in `remit.auth`."""

    region: str = _setting("AWS_REGION", "us-east-1", "AWS region of the tables and the bucket")
    bucket: str = _setting("REMIT_BUCKET", "remit-exports", "S3 bucket of the exported files")
    kms_key: str = _setting(
        "REMIT_KMS_KEY",
        "",
        "KMS key (id, ARN or alias) that encrypts the exported files; empty: SSE-S3",
    )
    table_prefix: str = _setting("REMIT_TABLE_PREFIX", "", "put before every table name")
    aws_conn_id: str = _setting(
        "REMIT_AWS_CONN_ID", "aws_default", "Airflow connection that holds the AWS credentials"
    )
    reports: Path = _setting("REMIT_REPORTS", REPORTS_DIRECTORY, "folder of the report files")
    link_lifetime: timedelta = _setting(
        "REMIT_LINK_SECONDS", timedelta(hours=1), "lifetime of a download link (at most 7 days)"
    )
    export_retention: timedelta = _setting(
        "REMIT_EXPORT_RETENTION_SECONDS",
        timedelta(days=7),
        "how long a job and its file are kept; `RetentionDays` of the bucket: a day more",
    )
    audit_retention: timedelta = _setting(
        "REMIT_AUDIT_RETENTION_SECONDS",
        timedelta(days=400),
        "how long an entry of the audit log is kept",
    )
    export_destinations: str = _setting(
        "REMIT_EXPORT_DESTINATIONS",
        "",
        "where schedules may put files, too: s3://bucket/prefix/, by commas; `{merchant}` is the"
        " id",
    )
    max_range_days: int = _setting(
        "REMIT_MAX_RANGE_DAYS",
        366,
        "the longest range of a merchant's export; the permission `history` lifts it",
    )
    export_lease: timedelta = _setting(
        "REMIT_EXPORT_LEASE_SECONDS",
        timedelta(seconds=60),
        "a renderer that gives no sign of life for so long has lost its export",
    )
    export_handover: timedelta = _setting(
        "REMIT_EXPORT_HANDOVER_SECONDS",
        timedelta(seconds=30),
        "how long the poller leaves a new job to the run that was started for it",
    )
    export_queue_lease: timedelta = _setting(
        "REMIT_EXPORT_QUEUE_LEASE_SECONDS",
        timedelta(minutes=15),
        "how long a large export's slices wait before the poller asks whether their run is there",
    )
    export_attempts: int = _setting(
        "REMIT_EXPORT_ATTEMPTS", 5, "an export claimed so often without a result has failed"
    )
    small_export_rows: int = _setting(
        "REMIT_SMALL_EXPORT_ROWS", 200_000, "up to this estimate one task does the whole export"
    )
    slice_rows: int = _setting(
        "REMIT_SLICE_ROWS", 500_000, "rows that a slice of a large export should hold"
    )
    max_slices: int = _setting("REMIT_MAX_SLICES", 64, "slices of one export (at most 1000)")
    settle_lag: timedelta = _setting(
        "REMIT_SETTLE_SECONDS",
        timedelta(seconds=5),
        "an export leaves out what was created so shortly before its request: an index lags",
    )
    read_budget: int = _setting(
        "REMIT_READ_UNITS_PER_SECOND",
        0,
        "capacity units per second that one export reads; unset: any number",
    )
    max_rejects: int = _setting(
        "REMIT_MAX_REJECTS", 100, "an export with more records that cannot be read has failed"
    )
    rejects_whole: bool = _setting(
        "REMIT_REJECTS_WHOLE",
        False,
        "the rejects file holds whole records, as no transform has masked them",
    )
    transform: str = _setting(
        "REMIT_TRANSFORM", "", "`module:function` from frame to frame, applied to every export"
    )
    poll_chunk: int = _setting(
        "REMIT_POLL_CHUNK", 50, "exports that one mapped task of poll_exports takes"
    )
    webhook_chunk: int = _setting(
        "REMIT_WEBHOOK_CHUNK", 500, "webhooks that one delivery task claims"
    )
    webhook_timeout: timedelta = _setting(
        "REMIT_WEBHOOK_TIMEOUT_SECONDS",
        timedelta(seconds=15),
        "one deadline over connect, TLS, headers and body",
    )
    webhook_lease: timedelta = _setting(
        "REMIT_WEBHOOK_LEASE_SECONDS",
        timedelta(seconds=60),
        "then another deliverer takes a webhook over; at least the timeout and two margins",
    )
    webhook_lease_margin: timedelta = _setting(
        "REMIT_WEBHOOK_LEASE_MARGIN_SECONDS",
        timedelta(seconds=10),
        "a lease has it twice: before an attempt, for its turn, and after it, for its record",
    )
    webhook_backoff: timedelta = _setting(
        "REMIT_WEBHOOK_BACKOFF_SECONDS",
        timedelta(seconds=2),
        "wait after a webhook's first attempt; it doubles up to the fifth",
    )
    webhook_lifetime: timedelta = _setting(
        "REMIT_WEBHOOK_LIFETIME_SECONDS", timedelta(hours=24), "then a webhook expires"
    )
    webhook_retention: timedelta = _setting(
        "REMIT_WEBHOOK_RETENTION_SECONDS",
        timedelta(days=7),
        "how long a webhook, its attempts and its event are kept after its end, for a replay",
    )
    webhook_networks: str = _setting(
        "REMIT_WEBHOOK_NETWORKS",
        "",
        "CIDRs, by commas, that webhooks may go to though they are not public, by http:// too",
    )
    # A secret: the URL may hold the proxy's password.
    webhook_proxy: str = _secret(
        "REMIT_WEBHOOK_PROXY",
        "URL of a proxy for all webhooks, which then has to refuse private addresses itself",
    )
    webhook_concurrency: int = _setting(
        "REMIT_WEBHOOK_CONCURRENCY", 8, "requests at once to an endpoint that sets no number"
    )
    webhook_merchant_rate: int = _setting(
        "REMIT_WEBHOOK_MERCHANT_RATE", 0, "webhooks per second to one merchant; unset: any number"
    )
    webhook_queue_limit: int = _setting(
        "REMIT_WEBHOOK_QUEUE_LIMIT",
        100_000,
        "webhooks of one merchant that wait for delivery; beyond it events are refused",
    )
    webhook_disable_after: timedelta = _setting(
        "REMIT_WEBHOOK_DISABLE_AFTER_SECONDS",
        timedelta(days=5),
        "an endpoint that failed for so long without one success is disabled",
    )
    webhook_secret_overlap: timedelta = _setting(
        "REMIT_WEBHOOK_SECRET_OVERLAP_SECONDS",
        timedelta(hours=24),
        "how long an old secret signs beside the new one, unless the rotation says otherwise",
    )
    webhook_signing_key: str = _secret(
        "REMIT_WEBHOOK_SIGNING_KEY", "Ed25519 key (`whsk_…`) that adds a v1a signature"
    )
    secret_keys: str = _secret(
        "REMIT_SECRET_KEYS",
        "Fernet keys, by commas, that seal endpoints' secrets; the first one seals, all open",
    )
    secret_kms_key: str = _setting(
        "REMIT_SECRET_KMS_KEY", "", "KMS key that seals endpoints' secrets instead"
    )
    api_rate: int = _setting(
        "REMIT_API_RATE",
        50,
        "requests per second of one merchant to the hook; as many may come at once",
    )
    max_active_exports: int = _setting(
        "REMIT_MAX_ACTIVE_EXPORTS",
        20,
        "exports of one merchant that are pending or processing; beyond it no more are taken",
    )
    idempotency_retention: timedelta = _setting(
        "REMIT_IDEMPOTENCY_RETENTION_SECONDS",
        timedelta(hours=24),
        "how long an answer is kept for a request that comes again with its `Idempotency-Key`",
    )
    grace: timedelta = _setting(
        "REMIT_GRACE_SECONDS",
        timedelta(seconds=4),
        "time to finish what is in flight after SIGTERM (Airflow kills after 5 s)",
    )

    def __post_init__(self) -> None:
        # The margin after an attempt alone would leave no moment at which one may begin.
        shortest = self.webhook_timeout + 2 * self.webhook_lease_margin
        if (lease := self.webhook_lease) < shortest:
            raise ConfigurationError(
                f"REMIT_WEBHOOK_LEASE_SECONDS is {lease.total_seconds():g}: it must be at least "
                f"{shortest.total_seconds():g}, REMIT_WEBHOOK_TIMEOUT_SECONDS and twice "
                "REMIT_WEBHOOK_LEASE_MARGIN_SECONDS, or a webhook would be delivered by two "
                "workers at once, or by none"
            )
        if not timedelta() < self.link_lifetime <= timedelta(days=7):
            raise ConfigurationError("REMIT_LINK_SECONDS must be between 1 and 604800 (7 days)")
        if not timedelta() <= self.webhook_secret_overlap <= timedelta(days=7):
            raise ConfigurationError(
                "REMIT_WEBHOOK_SECRET_OVERLAP_SECONDS must be at most 604800 (7 days)"
            )
        if not 1 <= self.max_slices <= 1000:
            raise ConfigurationError("REMIT_MAX_SLICES must be between 1 and 1000")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings.

        Raises:
            ConfigurationError: a value does not parse or contradicts another.
        """
        return read(cls, environment)
