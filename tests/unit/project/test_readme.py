"""What the README promises, held against the code."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remit.api.documents import export_document
from remit.auth import TokenSettings
from remit.errors import ConfigurationError
from remit.exports.request import COMPRESSIONS, FORMATS, MIN_SPLIT_ROWS, ExportRequest
from remit.settings import Settings
from remit.triggers.settings import AirflowSettings
from remit.webhooks import SignatureInvalid
from tests.support.exports import REPORTS
from tests.support.signatures import signed_headers
from tests.unit.project.documents import REPOSITORY, Document, names

DOCUMENT = Document("README.md")
README = DOCUMENT.text
PACKAGE = REPOSITORY / "plugins" / "remit"

ACTIONS = {
    "get_item": {"dynamodb:GetItem"},
    "batch_get_item": {"dynamodb:BatchGetItem"},
    "put_item": {"dynamodb:PutItem"},
    "update_item": {"dynamodb:UpdateItem"},
    "transact_write_items": {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"},
    "query": {"dynamodb:Query"},
    "scan": {"dynamodb:Scan"},
    "put_object": {"s3:PutObject"},
    "create_multipart_upload": {"s3:PutObject"},
    "upload_part": {"s3:PutObject"},
    "upload_part_copy": {"s3:PutObject", "s3:GetObject"},
    "complete_multipart_upload": {"s3:PutObject"},
    "abort_multipart_upload": {"s3:AbortMultipartUpload"},
    "get_object": {"s3:GetObject"},
    "head_object": {"s3:GetObject"},
    "list_objects_v2": {"s3:ListBucket"},
    "list_multipart_uploads": {"s3:ListBucketMultipartUploads"},
    "generate_presigned_url": {"s3:GetObject"},
    "delete_objects": {"s3:DeleteObject"},
    "encrypt": {"kms:Encrypt"},
    "decrypt": {"kms:Decrypt"},
}
"""Call of a client to the permissions that it takes."""

WITH_A_KEY = {"kms:GenerateDataKey", "kms:Decrypt"}
"""What writing, composing and reading objects takes beside that when a KMS key encrypts them."""

ALTERNATIVES = {"JWT_KEYS", "JWT_KEYS_FILE", "JWT_JWKS"}
"""One of these will do in the place of `JWT_SECRET`."""

OF_THE_BUCKET = {"s3:ListBucket", "s3:ListBucketMultipartUploads"}
"""Permissions on the bucket itself; the others of S3 are on its objects."""

BY_NAME = {"query", "scan"}
"""Calls that `Table` makes by name, with `getattr`."""


def configuration() -> dict[str, tuple[str, str]]:
    """The configuration table: variable to default and meaning."""
    section = README.partition("## Configuration")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", section, re.MULTILINE)
    table = {variable: (default, meaning) for variable, default, meaning in rows}
    assert len(table) == len(rows), "a variable stands there twice"
    return table


def shown(default: Any) -> str:
    """A default as the table shows it."""
    match default:
        case bool():
            return f"`{str(default).lower()}`"
        case timedelta():
            return f"`{default.total_seconds():.15g}`"
        case Path():
            return f"`{default.relative_to(REPOSITORY)}`"
        case "":
            return "empty"
        case _:
            return f"`{default}`"


def test_the_configuration_table_is_what_the_settings_say() -> None:
    settings = {
        item.metadata["variable"]: (shown(item.default), item.metadata["meaning"])
        for kind in (Settings, AirflowSettings)
        for item in fields(kind)
    }
    table = configuration()
    tokens = {variable for variable in table if variable.startswith("JWT_")}
    assert {variable: table[variable] for variable in table.keys() - tokens} == settings


def test_the_table_of_fields_is_the_model() -> None:
    rows = DOCUMENT.table("field", "default", "meaning")
    fields = {name: default for cell, default, _ in rows for name in names(cell)}
    assert fields.keys() == ExportRequest.model_fields.keys()
    for name, field in ExportRequest.model_fields.items():
        if isinstance(field.default, str):
            assert fields[name] == f"`{field.default}`", name
    meanings = " ".join(meaning for _, _, meaning in rows)
    assert all(f"`{one}`" in meanings for one in (*FORMATS, *COMPRESSIONS))
    assert f"{MIN_SPLIT_ROWS:,}" in meanings


def test_the_example_of_an_answer_has_what_an_answer_has() -> None:
    (example,) = (json.loads(block) for block in DOCUMENT.blocks("json") if '"files"' in block)
    item = {"id": "x", "status": "completed", "resultKey": "a/b", "manifestKey": "a/m"}
    answer = export_document(item, datetime.now(UTC), "/remit/exports/x")
    assert example.keys() <= answer.keys()
    assert example["files"][0].keys() == answer["files"][0].keys()
    assert example["manifest"].keys() == answer["manifest"].keys()


def test_the_token_variables_are_what_the_token_settings_say() -> None:
    with pytest.raises(ConfigurationError) as refused:
        TokenSettings.from_environment({})
    required = set(re.findall(r"JWT_\w+", str(refused.value)))
    table = {name: row for name, row in configuration().items() if name.startswith("JWT_")}
    settings = {item.metadata["variable"]: item for item in fields(TokenSettings)}
    assert {name: meaning for name, (_, meaning) in table.items()} == {
        name: item.metadata["meaning"] for name, item in settings.items()
    }
    for name, (default, _) in table.items():
        assert default.startswith("none: required") == (name in required - ALTERNATIVES), name
        assert default.startswith("none: required") or default == shown(settings[name].default)


def test_the_receiver_of_the_readme_knows_a_genuine_webhook_from_a_forged_one() -> None:
    is_genuine, body, secret = DOCUMENT.function("is_genuine"), b'{"id":"evt-1"}', "a secret"
    now = int(datetime.now(UTC).timestamp())
    headers = signed_headers("wh-1", now, body, secret)
    assert is_genuine(headers, body, secret)
    assert not is_genuine(headers, body + b" ", secret)
    assert not is_genuine(headers, body, "another")
    assert not is_genuine(signed_headers("wh-1", now - 301, body, secret), body, secret)


def test_the_receiver_with_remit_returns_the_id_or_says_what_is_wrong() -> None:
    webhook_id, body, secret = DOCUMENT.function("webhook_id"), b"{}", "a secret"
    headers = signed_headers("wh-1", int(datetime.now(UTC).timestamp()), body, secret)
    assert webhook_id(headers, body, secret) == "wh-1"
    with pytest.raises(SignatureInvalid):
        webhook_id(headers, body, "another")


def test_the_json_examples_are_json() -> None:
    assert [json.loads(block) for block in DOCUMENT.blocks("json")]


def test_the_policy_grants_what_the_code_does_and_no_more() -> None:
    source = "\n".join(
        text
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "cloudformation.py"  # not of a running deployment
        and "remit.client" not in (text := path.read_text(encoding="utf-8"))  # not one of AWS
    )
    called = set(re.findall(r"\b(?:client|_?s3)\.([a-z0-9_]+)\(", source)) - {"client"}
    assert called <= ACTIONS.keys(), "a call whose permission nobody has named"
    assert ACTIONS.keys() <= called | BY_NAME
    assert all(f'_pages("{name}"' in source for name in BY_NAME)

    granted = {action for statement in statements() for action in statement["Action"]}
    assert granted == WITH_A_KEY.union(*(ACTIONS[name] for name in called | BY_NAME))


def test_the_policy_names_the_indexes_of_all_sources() -> None:
    (queries,) = (one for one in statements() if one["Action"] == ["dynamodb:Query"])
    read = {
        f"table/{source.table}/index/{source.index}"
        for report in REPORTS.values()
        for source in report.sources
    }
    assert read <= {one.rpartition("ACCOUNT:")[2] for one in queries["Resource"]}


def test_the_policy_has_each_permission_of_s3_on_what_it_is_for() -> None:
    for statement in statements():
        of_the_bucket = OF_THE_BUCKET & set(statement["Action"])
        assert of_the_bucket in (set(), set(statement["Action"]))
        assert not of_the_bucket or statement["Resource"] == "arn:aws:s3:::BUCKET"


def test_the_table_of_reports_is_what_their_files_say() -> None:
    head = ("report", "one row per", "permission", "the range is of", "filters")
    listed = {}
    for name, _, permission, ranged, filters in DOCUMENT.table(*head):
        listed[name] = (permission, ranged, names(filters))
    assert listed == {
        f"`{one.name}`": (
            f"`{one.permission}`",
            f"`{one.sources[0].range.name}`",
            list(one.filters),
        )
        for one in REPORTS.values()
    }


def statements() -> list[dict[str, Any]]:
    """The statements of the policy."""
    (policy,) = (json.loads(block) for block in DOCUMENT.blocks("json") if "Statement" in block)
    found: list[dict[str, Any]] = policy["Statement"]
    return found
