"""The local applier: creates what `infra/*.yaml` declares through the AWS APIs themselves.

`infra/` is the only declaration of the schema. On AWS, CloudFormation applies it; this module
applies the same files where there is no CloudFormation (the demo, the tests), and adds the indexes
that Remit needs to tables that exist already (`adopt`). It knows the resource types and functions
that the templates use and refuses everything else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError

from remit.aws.session import Aws
from remit.errors import ConfigurationError, Interrupted
from remit.stop import Stop

log = logging.getLogger(__name__)

TEMPLATES = Path(__file__).resolve().parents[3] / "infra"
_SEED_TABLE_INDEXES = frozenset({"gsi-due", "gsi-merchant-created"})
_INDEX_POLL_SECONDS = 5


@dataclass(frozen=True)
class Resource:
    """One resource of a template with its parameters filled in."""

    name: str
    kind: str
    properties: dict[str, Any]


def load(path: Path, parameters: Mapping[str, str]) -> list[Resource]:
    """The resources of a template, `Ref` and `Fn::Sub` resolved.

    Raises:
        ConfigurationError: the template uses something that this applier does not know.
    """
    template = yaml.safe_load(path.read_text(encoding="utf-8"))
    defaults = {name: spec["Default"] for name, spec in template["Parameters"].items()}
    values = {**defaults, **{k: v for k, v in parameters.items() if k in defaults}}
    resources = []
    for name, body in template["Resources"].items():
        if body["Type"] not in {"AWS::DynamoDB::Table", "AWS::S3::Bucket"}:
            raise ConfigurationError(f"{path.name}: {name} has the unknown type {body['Type']}")
        properties = _resolve(body["Properties"], values, f"{path.name}: {name}")
        resources.append(Resource(name, body["Type"], properties))
    return resources


def apply(aws: Aws, parameters: Mapping[str, str]) -> list[str]:
    """Create every table, index and bucket that does not exist; returns what was created."""
    dynamodb, s3 = aws.client("dynamodb"), aws.client("s3")
    created = []
    for resource in _all_resources(parameters):
        if resource.kind == "AWS::DynamoDB::Table":
            if _create_table(dynamodb, resource.properties):
                created.append(f"table {resource.properties['TableName']}")
        elif _create_bucket(s3, resource.properties, aws.region):
            created.append(f"bucket {resource.properties['BucketName']}")
    return created


def adopt(aws: Aws, parameters: Mapping[str, str], stop: Stop) -> list[str]:
    """Add Remit's indexes to the platform's tables, one at a time; returns what was added.

    DynamoDB builds an index in the background and allows one creation per table at once, so each
    is waited for; on a large table that takes hours. It can be stopped and started again.
    """
    dynamodb = aws.client("dynamodb")
    added = []
    for resource in load(TEMPLATES / "seed.yaml", parameters):
        properties = resource.properties
        for index in properties.get("GlobalSecondaryIndexes", []):
            if index["IndexName"] not in _SEED_TABLE_INDEXES:
                continue
            if _add_index(dynamodb, properties, index):
                added.append(f"{properties['TableName']} {index['IndexName']}")
            _wait_for_index(dynamodb, properties["TableName"], index["IndexName"], stop)
    return added


def _all_resources(parameters: Mapping[str, str]) -> Iterator[Resource]:
    for template in sorted(TEMPLATES.glob("*.yaml")):
        yield from load(template, parameters)


def _resolve(value: Any, parameters: Mapping[str, str], where: str) -> Any:
    if isinstance(value, list):
        return [_resolve(element, parameters, where) for element in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return parameters[value["Ref"]]
    if set(value) == {"Fn::Sub"}:
        text = str(value["Fn::Sub"])
        for name, content in parameters.items():
            text = text.replace(f"${{{name}}}", content)
        return text
    if any(key.startswith("Fn::") for key in value):
        raise ConfigurationError(f"{where} uses {', '.join(value)}: only Ref and Fn::Sub are known")
    return {key: _resolve(content, parameters, where) for key, content in value.items()}


def _create_table(dynamodb: Any, properties: dict[str, Any]) -> bool:
    arguments = {k: v for k, v in properties.items() if k != "TimeToLiveSpecification"}
    try:
        dynamodb.create_table(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceInUseException":
            return False
        raise
    name = properties["TableName"]
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    if ttl := properties.get("TimeToLiveSpecification"):
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)
    return True


def _create_bucket(s3: Any, properties: dict[str, Any], region: str) -> bool:
    name = properties["BucketName"]
    # Creating a bucket that one owns already succeeds in us-east-1 and fails elsewhere: look first.
    if any(bucket["Name"] == name for bucket in s3.list_buckets()["Buckets"]):
        return False
    location = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **({} if region == "us-east-1" else location))
    encryption = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    rules = [
        {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
        for rule in encryption
    ]
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    s3.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration=properties["PublicAccessBlockConfiguration"],
    )
    s3.put_bucket_lifecycle_configuration(
        Bucket=name,
        LifecycleConfiguration={
            "Rules": [_lifecycle_rule(r) for r in properties["LifecycleConfiguration"]["Rules"]]
        },
    )
    return True


def _lifecycle_rule(declared: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation's shape of a rule, in the shape of the S3 API."""
    rule = {
        "ID": declared["Id"],
        "Status": declared["Status"],
        "Filter": {"Prefix": declared.get("Prefix", "")},
    }
    if days := declared.get("ExpirationInDays"):
        rule["Expiration"] = {"Days": days}
    if abort := declared.get("AbortIncompleteMultipartUpload"):
        rule["AbortIncompleteMultipartUpload"] = abort
    return rule


def _add_index(dynamodb: Any, properties: dict[str, Any], index: dict[str, Any]) -> bool:
    name = properties["TableName"]
    table = dynamodb.describe_table(TableName=name)["Table"]
    if any(g["IndexName"] == index["IndexName"] for g in table.get("GlobalSecondaryIndexes", [])):
        return False
    keys = {part["AttributeName"] for part in index["KeySchema"]}
    definitions = {d["AttributeName"]: d for d in properties["AttributeDefinitions"]}
    known = {d["AttributeName"]: d for d in table["AttributeDefinitions"]}
    create = dict(index)
    if throughput := _throughput(table):
        create["ProvisionedThroughput"] = throughput
    log.info("adding index %s to %s", index["IndexName"], name)
    dynamodb.update_table(
        TableName=name,
        AttributeDefinitions=list({**{k: definitions[k] for k in keys}, **known}.values()),
        GlobalSecondaryIndexUpdates=[{"Create": create}],
    )
    return True


def _throughput(table: dict[str, Any]) -> dict[str, int] | None:
    """A provisioned table's new index starts with the table's own capacity."""
    if table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return None
    declared = table["ProvisionedThroughput"]
    if not declared.get("ReadCapacityUnits"):
        return None
    return {key: declared[key] for key in ("ReadCapacityUnits", "WriteCapacityUnits")}


def _wait_for_index(dynamodb: Any, table: str, index: str, stop: Stop) -> None:
    while True:
        description = dynamodb.describe_table(TableName=table)["Table"]
        states = {g["IndexName"]: g["IndexStatus"] for g in description["GlobalSecondaryIndexes"]}
        if states.get(index) == "ACTIVE":
            return
        log.info("%s on %s is %s", index, table, states.get(index))
        if stop.wait(_INDEX_POLL_SECONDS):
            raise Interrupted(f"asked to stop; {index} on {table} goes on being built")
