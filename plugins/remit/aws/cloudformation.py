"""The local applier: creates what `infra/*.yaml` declares through the AWS APIs themselves.

`infra/` is the only declaration of the schema. On AWS, CloudFormation applies it; this module
applies the same files where there is no CloudFormation (the demo, the tests), and adds the indexes
that Remit needs to tables that exist already (`adopt`). It knows the resource types and functions
that the templates use and refuses everything else.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from remit.aws.session import Aws, store_errors
from remit.errors import ConfigurationError, Interrupted
from remit.settings import Settings
from remit.stop import Stop

log = logging.getLogger(__name__)

TEMPLATES = Path(__file__).resolve().parents[3] / "infra"
_SEED_TABLE_INDEXES = frozenset({"gsi-active", "gsi-due", "gsi-merchant-created", "gsi-waiting"})
_INDEX_POLL_SECONDS = 5


@dataclass(frozen=True)
class Resource:
    """One resource of a template with its parameters filled in."""

    name: str
    kind: str
    properties: dict[str, Any]


def parameters_of(settings: Settings) -> dict[str, str]:
    """The parameters of the templates as a deployment's settings have them.

    The bucket removes a file at a midnight after so many days; a day more than the retention, so
    that it is never before the job itself expires.
    """
    days = math.ceil(settings.export_retention / timedelta(days=1)) + 1
    return {
        "TablePrefix": settings.table_prefix,
        "BucketName": settings.bucket,
        "RetentionDays": str(days),
    }


def load(path: Path, parameters: Mapping[str, str]) -> list[Resource]:
    """The resources of a template, `Ref` and `Fn::Sub` resolved.

    Raises:
        ConfigurationError: the template uses something that this applier does not know.
    """
    template = yaml.safe_load(path.read_text(encoding="utf-8"))
    defaults = {name: str(spec["Default"]) for name, spec in template["Parameters"].items()}
    values = {**defaults, **{k: v for k, v in parameters.items() if k in defaults}}
    resources = []
    for name, body in template["Resources"].items():
        if body["Type"] not in {"AWS::DynamoDB::Table", "AWS::S3::Bucket"}:
            raise ConfigurationError(f"{path.name}: {name} has the unknown type {body['Type']}")
        properties = _resolve(body["Properties"], values, f"{path.name}: {name}")
        resources.append(Resource(name, body["Type"], properties))
    return resources


def apply(aws: Aws, parameters: Mapping[str, str]) -> list[str]:
    """Create every table, index and bucket that does not exist, and complete what does.

    Completed are the time to live of a table and the bucket's rules, encryption and access block,
    which an earlier run may not have come to. Returns what was done.

    Raises:
        StoreUnavailable: AWS is out of reach.
        ConfigurationError: AWS refuses, for want of a permission or because of a parameter.
    """
    with _answers("use AWS"):
        dynamodb, s3 = aws.client("dynamodb"), aws.client("s3")
    done = []
    for resource in _all_resources(parameters):
        properties = resource.properties
        if resource.kind == "AWS::DynamoDB::Table":
            name = f"table {properties['TableName']}"
            with _answers(f"apply the {name}"):
                created = _create_table(dynamodb, properties)
                completed = _complete_table(dynamodb, properties)
        else:
            name = f"bucket {properties['BucketName']}"
            with _answers(f"apply the {name}"):
                created = _create_bucket(s3, properties, aws.region)
                completed = _complete_bucket(s3, properties)
        if created:
            done.append(f"created {name}")
        elif completed:
            done.append(f"updated {name}: {', '.join(completed)}")
    return done


def adopt(aws: Aws, parameters: Mapping[str, str], stop: Stop) -> list[str]:
    """Add Remit's indexes to the platform's tables, one at a time; returns what was added.

    DynamoDB builds an index in the background and allows one creation per table at once, so each
    is waited for; on a large table that takes hours. It can be stopped and started again.

    Raises:
        StoreUnavailable: AWS is out of reach.
        ConfigurationError: AWS refuses, for want of a permission or because of a parameter.
    """
    with _answers("use AWS"):
        dynamodb = aws.client("dynamodb")
    done = []
    for resource in load(TEMPLATES / "seed.yaml", parameters):
        properties = resource.properties
        for index in properties.get("GlobalSecondaryIndexes", []):
            if index["IndexName"] not in _SEED_TABLE_INDEXES:
                continue
            name = f"index {index['IndexName']} of {properties['TableName']}"
            with _answers(f"add the {name}"):
                if _add_index(dynamodb, properties, index):
                    done.append(f"created {name}")
                _wait_for_index(dynamodb, properties["TableName"], index["IndexName"], stop)
    return done


@contextmanager
def _answers(action: str) -> Iterator[None]:
    """Every error of AWS as one of Remit's own, with one line that says what could not be done."""
    try:
        with store_errors(action):
            yield
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(f"could not {action}: {' '.join(str(error).split())}") from error


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
    return True


def _complete_table(dynamodb: Any, properties: dict[str, Any]) -> list[str]:
    name = properties["TableName"]
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    declared = properties.get("TimeToLiveSpecification")
    if declared is None:
        return []
    present = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if present["TimeToLiveStatus"] in {"ENABLED", "ENABLING"}:
        return []
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=declared)
    return ["time to live"]


def _create_bucket(s3: Any, properties: dict[str, Any], region: str) -> bool:
    name = properties["BucketName"]
    # Creating a bucket that one owns already succeeds in us-east-1 and fails elsewhere: look first.
    if any(bucket["Name"] == name for bucket in s3.list_buckets()["Buckets"]):
        return False
    location = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **({} if region == "us-east-1" else location))
    return True


def _complete_bucket(s3: Any, properties: dict[str, Any]) -> list[str]:
    name = properties["BucketName"]
    steps = {
        "encryption": _encrypt(s3, name, properties["BucketEncryption"]),
        "access block": _block_access(s3, name, properties["PublicAccessBlockConfiguration"]),
        "lifecycle": _set_lifecycle(s3, name, properties["LifecycleConfiguration"]),
    }
    return [what for what, changed in steps.items() if changed]


def _encrypt(s3: Any, bucket: str, declared: dict[str, Any]) -> bool:
    """Encryption that is there already stays: it may be with a key of one's own."""
    missing = "ServerSideEncryptionConfigurationNotFoundError"
    if _present(s3.get_bucket_encryption, bucket, missing) is not None:
        return False
    rules = [
        {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
        for rule in declared["ServerSideEncryptionConfiguration"]
    ]
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    return True


def _block_access(s3: Any, bucket: str, declared: dict[str, Any]) -> bool:
    missing = "NoSuchPublicAccessBlockConfiguration"
    present = _present(s3.get_public_access_block, bucket, missing) or {}
    if present.get("PublicAccessBlockConfiguration") == declared:
        return False
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=declared)
    return True


def _set_lifecycle(s3: Any, bucket: str, declared: dict[str, Any]) -> bool:
    """The declared rules take the place of those with the same ids; others stay."""
    missing = "NoSuchLifecycleConfiguration"
    present = _present(s3.get_bucket_lifecycle_configuration, bucket, missing) or {}
    before = {rule["ID"]: rule for rule in present.get("Rules", [])}
    after = before | {rule["Id"]: _lifecycle_rule(rule) for rule in declared["Rules"]}
    if after == before:
        return False
    s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": list(after.values())}
    )
    return True


def _present(get: Callable[..., dict[str, Any]], bucket: str, missing: str) -> Any:
    """A part of a bucket's configuration; None if S3 answers with the code of a missing one."""
    try:
        return get(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] == missing:
            return None
        raise


def _lifecycle_rule(declared: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation's shape of a rule, in the shape of the S3 API."""
    rule = {
        "ID": declared["Id"],
        "Status": declared["Status"],
        "Filter": {"Prefix": declared.get("Prefix", "")},
    }
    if days := declared.get("ExpirationInDays"):
        rule["Expiration"] = {"Days": int(days)}  # a parameter is text
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
