from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from remit.__main__ import main
from remit.aws import cloudformation
from remit.aws.session import Aws
from remit.errors import ConfigurationError, StoreUnavailable
from remit.queue import INDEX
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop

EVERYTHING = {
    "created table eu-Events", "created bucket eu-exports", "created table eu-Payments",
    "created table eu-Transactions", "created table eu-Settlements", "created table eu-Merchants",
    "created table eu-ExportJobs", "created table eu-Webhooks",
    "created table eu-WebhookEndpoints", "created table eu-WebhookAttempts",
    "created table eu-WebhookReplays", "created table eu-AuditLog",
    "created table eu-ExportSchedules", "created table eu-RevokedTokens",
    "created table eu-IdempotencyKeys", "created table eu-RateLimits",
}  # fmt: skip


def indexes(aws: Aws, table: str) -> dict[str, Any]:
    description = aws.client("dynamodb").describe_table(TableName=table)["Table"]
    return {index["IndexName"]: index for index in description["GlobalSecondaryIndexes"]}


def test_what_is_missing_is_created_and_the_rest_left_alone(services: Services) -> None:
    assert cloudformation.apply(services.aws, {}) == []
    other = {"TablePrefix": "eu-", "BucketName": "eu-exports"}
    assert set(cloudformation.apply(services.aws, other)) == EVERYTHING


def test_the_queue_index_holds_keys_only(services: Services) -> None:
    for table in ("ExportJobs", "Events", "WebhookReplays"):
        index = indexes(services.aws, table)[INDEX]
        assert index["Projection"]["ProjectionType"] == "KEYS_ONLY"
        assert [key["AttributeName"] for key in index["KeySchema"]] == ["dueShard", "dueAt"]


def test_the_index_of_due_webhooks_holds_what_delivery_needs_and_no_payload(
    services: Services,
) -> None:
    projection = indexes(services.aws, "Webhooks")[INDEX]["Projection"]
    assert projection["ProjectionType"] == "INCLUDE"
    assert {"eventID", "endpointID", "attempts", "deliverBefore"} <= set(
        projection["NonKeyAttributes"]
    )
    assert "payload" not in projection["NonKeyAttributes"]


def test_jobs_and_webhooks_expire_by_themselves(services: Services) -> None:
    client = services.aws.client("dynamodb")
    for table in ("ExportJobs", "Webhooks", "Events", "WebhookAttempts", "WebhookReplays"):
        ttl = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expiresAt")


def test_the_bucket_is_private_encrypted_and_cleans_up(services: Services) -> None:
    bucket = {"Bucket": services.settings.bucket}
    block = services.s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    rules = services.s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]
    assert rules["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    lifecycle = services.s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    abort = {rule["ID"]: rule.get("AbortIncompleteMultipartUpload") for rule in lifecycle}
    assert abort["unfinished-uploads"] == {"DaysAfterInitiation": 1}


def test_a_bucket_and_a_table_that_were_left_half_done_are_completed(services: Services) -> None:
    s3, bucket = services.s3, {"Bucket": services.settings.bucket}
    s3.delete_bucket_lifecycle(**bucket)
    s3.delete_bucket_encryption(**bucket)
    s3.delete_public_access_block(**bucket)
    client = services.aws.client("dynamodb")
    client.update_time_to_live(
        TableName="Webhooks",
        TimeToLiveSpecification={"AttributeName": "expiresAt", "Enabled": False},
    )

    assert cloudformation.apply(services.aws, {}) == [
        "updated bucket remit-exports: encryption, access block, lifecycle",
        "updated table Webhooks: time to live",
    ]

    test_jobs_and_webhooks_expire_by_themselves(services)
    test_the_bucket_is_private_encrypted_and_cleans_up(services)
    assert cloudformation.apply(services.aws, {}) == []


def test_a_buckets_own_rules_and_key_stay(services: Services) -> None:
    s3, bucket = services.s3, {"Bucket": services.settings.bucket}
    own = {
        "ID": "own",
        "Status": "Enabled",
        "Filter": {"Prefix": "audit/"},
        "Expiration": {"Days": 3650},
    }
    s3.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration={"Rules": [own]})
    with_key = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(**bucket, ServerSideEncryptionConfiguration={"Rules": [with_key]})

    assert cloudformation.apply(services.aws, {}) == ["updated bucket remit-exports: lifecycle"]

    rules = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    assert own in rules
    assert {rule["ID"] for rule in rules} == {"own", "unfinished-uploads", "staging", "exports"}
    encryption = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]
    assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


@pytest.mark.parametrize(
    ("retention", "days"),
    [
        (timedelta(days=7), 8),
        (timedelta(days=30), 31),
        (timedelta(days=30, seconds=1), 32),
        (timedelta(hours=1), 2),
    ],
)
def test_the_bucket_keeps_files_longer_than_jobs_are_kept(
    services: Services, retention: timedelta, days: int
) -> None:
    parameters = cloudformation.parameters_of(Settings(export_retention=retention))
    cloudformation.apply(services.aws, parameters)
    rules = services.s3.get_bucket_lifecycle_configuration(Bucket=services.settings.bucket)["Rules"]
    assert {rule["ID"]: rule.get("Expiration") for rule in rules} == {
        "unfinished-uploads": None,
        "staging": {"Days": 2},
        "exports": {"Days": days},
    }


def test_the_template_by_itself_is_right_for_the_default_retention() -> None:
    template = yaml.safe_load((cloudformation.TEMPLATES / "remit.yaml").read_text(encoding="utf-8"))
    default = template["Parameters"]["RetentionDays"]
    assert default["Type"] == "Number"
    assert str(default["Default"]) == cloudformation.parameters_of(Settings())["RetentionDays"]


class Refusing:
    """An AWS whose every call ends with the same error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def create_client(self, *_: object, **__: object) -> Refusing:
        return self

    def __getattr__(self, name: str) -> Any:
        def call(**_: object) -> None:
            raise self._error

        return call


UNREACHABLE = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
DENIED = ClientError(
    {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, "CreateTable"
)
INVALID = ParamValidationError(report='Invalid bucket name "no name":\nBucket name must match')


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UNREACHABLE, StoreUnavailable),
        (DENIED, ConfigurationError),
        (INVALID, ConfigurationError),
    ],
    ids=["unreachable", "denied", "invalid"],
)
@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("apply", "could not apply the table Events: "),
        ("adopt", "could not add the index gsi-merchant-created of Payments: "),
    ],
)
def test_what_aws_refuses_is_one_clear_line(
    error: Exception,
    kind: type[Exception],
    action: str,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refusing = Services(Settings(), Aws(Refusing(error), "us-east-1"))
    call = {
        "apply": lambda: cloudformation.apply(refusing.aws, {}),
        "adopt": lambda: cloudformation.adopt(refusing.aws, {}, Stop()),
    }[action]
    with pytest.raises(kind, match=what):
        call()

    monkeypatch.setattr(Services, "from_environment", lambda: refusing)
    assert main(["infra", action]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(f"remit infra: {what}")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_the_command_says_what_was_done(
    services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    services.s3.delete_public_access_block(Bucket=services.settings.bucket)
    monkeypatch.setattr(Services, "from_environment", lambda: services)
    assert main(["infra", "apply"]) == main(["infra", "apply"]) == 0
    assert capsys.readouterr().out == (
        "updated bucket remit-exports: access block\nnothing was missing\n"
    )


def test_the_platforms_tables_are_adopted_index_by_index(services: Services) -> None:
    client = services.aws.client("dynamodb")
    created = "gsi-merchant-created"
    for table, index in [
        ("Payments", created),
        ("Transactions", created),
        ("ExportJobs", INDEX),
        ("ExportJobs", created),
    ]:
        client.update_table(
            TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": index}}]
        )
    before = indexes(services.aws, "ExportJobs")

    added = cloudformation.adopt(services.aws, {}, Stop())

    assert added == [
        "created index gsi-merchant-created of Payments",
        "created index gsi-merchant-created of Transactions",
        "created index gsi-due of ExportJobs",
        "created index gsi-merchant-created of ExportJobs",
    ]
    assert indexes(services.aws, "ExportJobs").keys() == before.keys() | {INDEX, created}
    assert cloudformation.adopt(services.aws, {}, Stop()) == []


def test_a_platform_without_settlements_is_adopted(services: Services) -> None:
    services.aws.client("dynamodb").delete_table(TableName="Settlements")
    assert cloudformation.adopt(services.aws, {}, Stop()) == []


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        ("Type: AWS::SQS::Queue\n    Properties: {}", "unknown type AWS::SQS::Queue"),
        (
            "Type: AWS::S3::Bucket\n    Properties: {BucketName: {'Fn::Join': ['', [a]]}}",
            "only Ref and Fn::Sub",
        ),
    ],
)
def test_a_template_that_it_does_not_understand_is_refused(
    tmp_path: Path, resource: str, reason: str
) -> None:
    template = tmp_path / "more.yaml"
    template.write_text(f"Parameters: {{}}\nResources:\n  More:\n    {resource}\n")
    with pytest.raises(ConfigurationError, match=reason):
        cloudformation.load(template, {})
