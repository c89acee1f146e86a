"""What the README promises, held against the code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remit.api.documents import export_document
from remit.auth import TokenSettings
from remit.errors import ConfigurationError
from remit.exports.links import Link
from remit.exports.request import COMPRESSIONS, FORMATS, MIN_SPLIT_ROWS, ExportRequest
from remit.settings import Settings
from remit.webhooks import SignatureInvalid, signing

REPOSITORY = Path(__file__).resolve().parents[3]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PACKAGE = REPOSITORY / "plugins" / "remit"

ACTIONS = {
    "get_item": {"dynamodb:GetItem"},
    "batch_get_item": {"dynamodb:BatchGetItem"},
    "put_item": {"dynamodb:PutItem"},
    "update_item": {"dynamodb:UpdateItem"},
    "transact_write_items": {"dynamodb:PutItem", "dynamodb:UpdateItem"},
    "query": {"dynamodb:Query"},
    "scan": {"dynamodb:Scan"},
    "put_object": {"s3:PutObject"},
    "create_multipart_upload": {"s3:PutObject"},
    "upload_part": {"s3:PutObject"},
    "upload_part_copy": {"s3:PutObject", "s3:GetObject"},
    "complete_multipart_upload": {"s3:PutObject"},
    "abort_multipart_upload": {"s3:AbortMultipartUpload"},
    "get_object": {"s3:GetObject"},
    "generate_presigned_url": {"s3:GetObject"},
    "delete_object": {"s3:DeleteObject"},
}
"""Call of a client to the permissions that it takes."""

BY_NAME = {"query", "scan"}
"""Calls that `Table` makes by name, with `getattr`."""


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


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
            return f"`{default.total_seconds():g}`"
        case Path():
            return f"`{default.relative_to(REPOSITORY)}`"
        case "":
            return "empty"
        case _:
            return f"`{default}`"


def test_the_configuration_table_is_what_the_settings_say() -> None:
    settings = {
        item.metadata["variable"]: (shown(item.default), item.metadata["meaning"])
        for item in fields(Settings)
    }
    table = configuration()
    tokens = {variable for variable in table if variable.startswith("JWT_")}
    assert {variable: table[variable] for variable in table.keys() - tokens} == settings


def test_the_table_of_fields_is_the_model() -> None:
    section = README.partition("## What can be asked for")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \| (.+?) \| (.+) \|$", section, re.MULTILINE)
    fields = {name: default for names, default, _ in rows for name in re.findall(r"`(\w+)`", names)}
    assert fields.keys() == ExportRequest.model_fields.keys()
    for name, field in ExportRequest.model_fields.items():
        if isinstance(field.default, str):
            assert fields[name] == f"`{field.default}`", name
    meanings = " ".join(meaning for _, _, meaning in rows)
    assert all(f"`{one}`" in meanings for one in (*FORMATS, *COMPRESSIONS))
    assert f"{MIN_SPLIT_ROWS:,}" in meanings


def test_the_example_of_an_answer_has_what_an_answer_has() -> None:
    (example,) = (json.loads(block) for block in blocks("json") if '"files"' in block)
    item = {"id": "x", "status": "completed", "resultKey": "a/b", "manifestKey": "a/m"}
    link = Link("https://", datetime.now(UTC))
    answer = export_document(item, datetime.now(UTC), lambda _: link)
    assert example.keys() <= answer.keys()
    assert example["files"][0].keys() == answer["files"][0].keys()


def test_the_token_variables_are_those_without_which_the_hook_refuses() -> None:
    tokens = {variable for variable in configuration() if variable.startswith("JWT_")}
    with pytest.raises(ConfigurationError) as refused:
        TokenSettings.from_environment({})
    assert tokens == set(re.findall(r"JWT_\w+", str(refused.value)))


def function(name: str) -> Callable[..., Any]:
    """A function that the README shows, as a reader would paste it."""
    (source,) = (block for block in blocks("python") if f"def {name}(" in block)
    namespace: dict[str, Any] = {}
    exec(compile(source, "README.md", "exec"), namespace)  # noqa: S102 - our own text
    found: Callable[..., Any] = namespace[name]
    return found


def test_the_receiver_of_the_readme_knows_a_genuine_webhook_from_a_forged_one() -> None:
    is_genuine, body, secret = function("is_genuine"), b'{"id":"evt-1"}', "a secret"
    now = int(datetime.now(UTC).timestamp())
    headers = signing.headers("wh-1", now, body, secret)
    assert is_genuine(headers, body, secret)
    assert not is_genuine(headers, body + b" ", secret)
    assert not is_genuine(headers, body, "another")
    assert not is_genuine(signing.headers("wh-1", now - 301, body, secret), body, secret)


def test_the_receiver_with_remit_returns_the_id_or_says_what_is_wrong() -> None:
    webhook_id, body, secret = function("webhook_id"), b"{}", "a secret"
    headers = signing.headers("wh-1", int(datetime.now(UTC).timestamp()), body, secret)
    assert webhook_id(headers, body, secret) == "wh-1"
    with pytest.raises(SignatureInvalid):
        webhook_id(headers, body, "another")


def test_the_json_examples_are_json() -> None:
    assert [json.loads(block) for block in blocks("json")]


def test_the_policy_grants_what_the_code_does_and_no_more() -> None:
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "cloudformation.py"  # not of a running deployment
    )
    called = set(re.findall(r"\b(?:client|_?s3)\.([a-z_]+)\(", source)) - {"client"}
    assert called <= ACTIONS.keys(), "a call whose permission nobody has named"
    assert ACTIONS.keys() <= called | BY_NAME
    assert all(f'_pages("{name}"' in source for name in BY_NAME)

    (policy,) = (json.loads(block) for block in blocks("json") if "Statement" in block)
    granted = {action for statement in policy["Statement"] for action in statement["Action"]}
    assert granted == set().union(*(ACTIONS[name] for name in called | BY_NAME))
