from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remit.aws import cloudformation
from remit.aws.session import Aws
from remit.errors import ConfigurationError
from remit.queue import INDEX
from remit.services import Services
from remit.stop import Stop

EVERYTHING = {
    "table Events", "bucket remit-exports", "table Payments", "table Transactions",
    "table Merchants", "table ExportJobs", "table Webhooks",
}  # fmt: skip


def indexes(aws: Aws, table: str) -> dict[str, Any]:
    description = aws.client("dynamodb").describe_table(TableName=table)["Table"]
    return {index["IndexName"]: index for index in description["GlobalSecondaryIndexes"]}


def test_what_is_missing_is_created_and_the_rest_left_alone(services: Services) -> None:
    assert cloudformation.apply(services.aws, {}) == []
    other = cloudformation.apply(services.aws, {"TablePrefix": "eu-", "BucketName": "eu-exports"})
    assert {name.replace("eu-", "") for name in other} == {
        name.replace("remit-", "") for name in EVERYTHING
    }


def test_the_queue_index_holds_keys_only(services: Services) -> None:
    for table in ("ExportJobs", "Webhooks"):
        index = indexes(services.aws, table)[INDEX]
        assert index["Projection"]["ProjectionType"] == "KEYS_ONLY"
        assert [key["AttributeName"] for key in index["KeySchema"]] == ["dueShard", "dueAt"]


def test_jobs_and_webhooks_expire_by_themselves(services: Services) -> None:
    client = services.aws.client("dynamodb")
    for table in ("ExportJobs", "Webhooks", "Events"):
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


def test_the_platforms_tables_are_adopted_index_by_index(services: Services) -> None:
    client = services.aws.client("dynamodb")
    for table, index in [("Payments", "gsi-merchant-created"), ("ExportJobs", INDEX)]:
        client.update_table(
            TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": index}}]
        )
    before = indexes(services.aws, "ExportJobs")

    added = cloudformation.adopt(services.aws, {}, Stop())

    assert added == ["Payments gsi-merchant-created", "ExportJobs gsi-due"]
    assert indexes(services.aws, "ExportJobs").keys() == before.keys() | {INDEX}
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
