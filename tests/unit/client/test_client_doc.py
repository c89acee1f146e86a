"""docs/client.md, and what README.md says of the client, held against the code."""

from __future__ import annotations

import argparse
import inspect
import re
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import remit.client
from remit.client import ExportHandle, RemitApiError, RemitClient, RetryPolicy, Timeouts
from remit.client.errors import KINDS, ClientError, Unavailable
from remit.commands import export
from remit.exports.request import ExportRequest
from tests.support.signatures import signed_headers
from tests.unit.client.scripts import HOOK, Script, client_of, export_document, reply
from tests.unit.client.test_client_download import CONTENT, LINK, completed, whole
from tests.unit.project.documents import Document, names

DOCUMENT = Document("docs/client.md")
README = Document("README.md")
ACCEPTED = reply({"export_id": "export-1", "status": "pending"}, 202)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Script:
    """The script that whoever makes a client in a document talks to."""
    script = Script(ACCEPTED, completed(), completed(), LINK, whole())
    made = client_of(script)
    monkeypatch.setattr(remit.client, "RemitClient", lambda url, token: made)
    return script


@pytest.mark.parametrize("document", [DOCUMENT, README], ids=["docs/client.md", "README.md"])
def test_the_first_example_brings_the_file(
    document: Document, scripted: Script, tmp_path: Path
) -> None:
    document.function("month")(HOOK, "a.b.c", str(tmp_path / "payments.parquet"))
    assert (tmp_path / "payments.parquet").read_bytes() == CONTENT
    assert scripted.bodies()[0]["format"] == "parquet"


def test_the_nightly_example_asks_with_a_key_of_its_own(tmp_path: Path) -> None:
    script = Script(ACCEPTED, completed(), completed(), LINK, whole())
    found = DOCUMENT.function("nightly")(client_of(script), date(2026, 1, 31), tmp_path / "new")
    assert [path.name for path in found] == ["payments.csv"]
    assert script.header("Idempotency-Key")[0] == "nightly-2026-01-31"


def test_the_example_of_tokens_takes_a_function() -> None:
    asked: list[int] = []
    client = DOCUMENT.function("long_running")(HOOK, lambda: asked.append(1) or "a.b.c")
    assert isinstance(client, RemitClient)
    assert asked == []


def test_the_example_of_events_publishes_one() -> None:
    script = Script(reply({"webhook_ids": ["wh-1"]}, 202))
    payment = {"id": "pay_1", "amount": 1999, "currency": "EUR", "more": 1}
    assert DOCUMENT.function("tell")(client_of(script), payment) == ["wh-1"]
    assert script.bodies()[0]["id"] == "evt-pay_1-succeeded"


@pytest.mark.parametrize(("replayable", "requests"), [(0, 1), (3, 2)])
def test_the_example_of_replays_counts_first(replayable: int, requests: int) -> None:
    script = Script(reply({"replayable": replayable}), reply({"id": "replay-1"}, 202))
    found = DOCUMENT.function("deliver_again")(client_of(script), 6)
    assert len(script.asked) == requests
    assert (found is None) == (requests == 1)
    since = datetime.fromisoformat(script.bodies()[0]["since"])
    assert abs(datetime.now(UTC) - timedelta(hours=6) - since) < timedelta(minutes=1)


def test_the_example_of_a_receiver_verifies() -> None:
    headers = signed_headers("wh-1", int(datetime.now(UTC).timestamp()), b"{}", "a secret")
    assert DOCUMENT.function("webhook_id")(headers, b"{}", "a secret") == "wh-1"


def test_the_table_of_errors_is_the_tree() -> None:
    listed: dict[str, str] = {}
    for cell, status, _ in DOCUMENT.table("error", "status", "what it is"):
        listed |= dict.fromkeys(names(cell), status)
    exported = {name: getattr(remit.client, name) for name in remit.client.__all__}
    errors = {
        name: found
        for name, found in exported.items()
        if inspect.isclass(found) and issubclass(found, ClientError)
    }
    assert listed.keys() == errors.keys() - {"ClientError", "RemitApiError"}
    for name, status in listed.items():
        of_it = [str(number) for number, kind in KINDS.items() if kind is errors[name]]
        assert status == ("5xx" if errors[name] is Unavailable else ", ".join(of_it) or "none")


def test_the_attributes_of_an_error_are_there() -> None:
    section = DOCUMENT.text.partition("are `RemitApiError`s: ")[2].partition(".\n")[0]
    named = [name for name in names(section) if name.isidentifier()]
    error = RemitApiError(404)
    assert {"status", "kind", "request_id"} <= {*named}
    assert all(hasattr(error, name) for name in named)


def test_the_table_of_tries_is_the_policy() -> None:
    rows = DOCUMENT.table("field", "default", "meaning")
    assert {names(name)[0]: float(names(default)[0]) for name, default, _ in rows} == {
        field.name: field.default for field in fields(RetryPolicy)
    }
    assert f"Timeouts(connect={Timeouts.connect:g}, read={Timeouts.read:g})" in DOCUMENT.text


def test_the_table_of_a_handle_is_the_handle() -> None:
    rows = DOCUMENT.table("`ExportHandle`", "does")
    listed = {re.match(r"\w+", name)[0] for cell, _ in rows for name in names(cell)}  # type: ignore[index]
    export_of = client_of(Script(reply(export_document()))).get_export("export-1")
    public = {name for name in dir(export_of) if not name.startswith("_")}
    assert listed == public
    assert isinstance(export_of, ExportHandle)


@pytest.mark.parametrize("resource", ["endpoints", "webhooks", "events", "schedules"])
def test_the_table_of_resources_has_every_method(resource: str) -> None:
    client = client_of(Script())
    (cell,) = (
        row[0]
        for row in DOCUMENT.table("methods", "needs the permission")
        if f"client.{resource}" in row[0]
    )
    listed = {name.partition("(")[0] for name in names(cell)[1:]}
    assert listed == {name for name in dir(getattr(client, resource)) if not name.startswith("_")}


def test_the_table_of_exit_statuses_is_the_command_s() -> None:
    rows: list[Any] = DOCUMENT.table("exit status", "meaning")
    statuses = [int(name) for cell, _ in rows for name in names(cell)]
    own = [export.NO_FILES, export.NOT_IN_TIME, export.INTERRUPTED, export.TERMINATED]
    assert statuses == [0, 1, 2, *own]


def test_the_command_has_an_option_for_every_field_of_a_request() -> None:
    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    others = {"id", "out", "timeout", "url", "allow_http", "token_file"}
    options = vars(parser.parse_args([])).keys() - others
    given = {"start": "start_date", "end": "end_date"}
    assert {given.get(name, name) for name in options} == ExportRequest.model_fields.keys()


@pytest.mark.parametrize("document", [DOCUMENT, README], ids=["docs/client.md", "README.md"])
def test_the_command_s_example_has_options_that_there_are(document: Document) -> None:
    (block,) = (one for one in document.blocks("sh") if "-m remit export" in one)
    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    command = block.replace("\\\n", " ").partition("-m remit export")[2].splitlines()[0]
    options = parser.parse_args(command.split())
    assert (options.start, options.end) == ("2026-01-01", "2026-01-31")
    assert options.out == "payments.parquet"
