from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remit.__main__ import main
from remit.commands.webhooks import COMMANDS
from remit.services import Services
from remit.webhooks.endpoints import EndpointStore
from tests.support.endpoints import (
    KEY,
    MERCHANT,
    OTHER_KEY,
    SECRET,
    add_endpoint,
    entries,
    everything,
    stored,
    with_keys,
)
from tests.support.webhooks import add_merchant

URL = "https://1.1.1.1/hooks"
"""An address, so that no name is looked up."""

Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `remit webhooks endpoints` with these arguments; returns the objects that it prints."""

    def run(*arguments: str) -> list[dict[str, Any]]:
        command = ["webhooks", "endpoints", "--merchant", MERCHANT, "--actor", "ops", *arguments]
        assert main(command) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines on standard error of a command that fails, which prints nothing else."""
    assert main(["webhooks", *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()


def test_an_endpoint_is_created_and_listed(services: Services, run: Run) -> None:
    fields = ["--events", "payment.*", "a.b", "--rate", "5", "--schedule", "5", "60"]
    (created,) = run("create", "--url", URL, "--description", "books", *fields)
    secret = created.pop("secret")
    (listed,) = run("list")
    assert listed == created
    assert listed["url"] == URL
    assert (listed["events"], listed["rate"]) == (["payment.*", "a.b"], 5)
    assert (listed["schedule"], listed["description"]) == ([5, 60], "books")
    assert listed["secrets"] == [
        {"id": listed["secrets"][0]["id"], "createdAt": "2026-11-23T12:00:00.000000Z"}
    ]
    assert services.vault.open(stored(services, listed["id"])["secrets"][0]["sealed"]) == secret
    assert entries(services, "created")[0].actor.name == "ops"


def test_an_own_secret_is_read_from_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    (created,) = run("create", "--url", URL, "--secret-file", str(file))
    assert created["secret"] == SECRET
    other = tmp_path / "other"
    other.write_text(SECRET[:-4] + "AAA=")
    (rotated,) = run("rotate", "--endpoint", created["id"], "--secret-file", str(other))
    assert rotated["secret"] == SECRET[:-4] + "AAA="


def test_fields_are_set_and_unset(run: Run) -> None:
    (created,) = run("create", "--url", URL, "--rate", "5")
    changes = ["--concurrency", "3", "--events", "*", "--unset", "rate", "description"]
    (changed,) = run("change", "--endpoint", created["id"], *changes)
    assert changed["concurrency"] == 3
    assert "rate" not in changed
    assert run("list") == [changed]


def test_an_endpoint_is_disabled_enabled_rotated_and_deleted(services: Services, run: Run) -> None:
    (created,) = run("create", "--url", URL)
    one = ["--endpoint", created["id"]]
    (disabled,) = run("disable", *one, "--reason", "maintenance")
    assert disabled["disabledReason"] == "maintenance"
    (enabled,) = run("enable", *one)
    assert "disabledReason" not in enabled
    (rotated,) = run("rotate", *one, "--overlap", "60")
    assert rotated["secrets"][0]["expiresAt"] == "2026-11-23T12:01:00.000000Z"
    assert rotated["secret"] != created["secret"]
    (alone,) = run("rotate", *one, "--overlap", "0")
    assert len(alone["secrets"]) == 1
    assert run("delete", *one) == [{"deleted": created["id"]}]
    assert run("list") == []
    assert {entry.actor.name for entry in entries(services)} == {"ops"}


def test_health_and_the_merchants_own_endpoint_are_listed(services: Services, run: Run) -> None:
    add_merchant(services, "https://own.example.com")
    health = {
        "failingSince": "2026-11-20T00:00:00.000000Z",
        "lastSuccessAt": "2026-11-19T00:00:00.000000Z",
        "breakerOpenUntil": "2026-11-23T12:05:00.000000Z",
    }
    used = {"secretsUsed": {"merchant": "2026-11-19T00:00:00.000000Z"}}
    services.tables.endpoints.put({"merchantID": MERCHANT, "id": "default", **health, **used})
    assert run("list") == [
        {
            "id": "default",
            "url": "https://own.example.com",
            "events": ["*"],
            **health,
            "secrets": [{"id": "merchant", "lastUsedAt": "2026-11-19T00:00:00.000000Z"}],
        }
    ]


def test_every_wrong_field_is_a_line_with_what_would_be_right(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["endpoints", "--merchant", MERCHANT, "create", "--url", "ftp://x", "--rate", "0"]
    rate, url = refused(capsys, *command)
    assert rate == (
        "remit webhooks: rate: 0 is not a whole number from 1 to 10000; "
        "allowed: 1 to 10000 webhooks per second"
    )
    assert url.startswith("remit webhooks: url: ")
    assert everything(services) == []


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("change", "--endpoint", "ep-1", "--rate", "5"), "there is no endpoint 'ep-1'"),
        (("rotate", "--endpoint", "default"), "webhookSecret"),
        (("delete", "--endpoint", "default"), "webhookURL"),
        (("create", "--url", URL, "--secret-file", "/nowhere"), "--secret-file cannot be read"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    services: Services, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], what: str
) -> None:
    add_merchant(services, "https://own.example.com")
    (line,) = refused(capsys, "endpoints", "--merchant", MERCHANT, *arguments)
    assert line.startswith("remit webhooks: ")
    assert what in line


def test_who_it_was_is_the_user_unless_it_is_said(
    services: Services, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    assert main(["webhooks", "endpoints", "--merchant", MERCHANT, "create", "--url", URL]) == 0
    assert entries(services)[0].actor.name == "operator grace"


def test_secrets_are_resealed(
    services: Services,
    store: EndpointStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    add_endpoint(store)
    newer = with_keys(services, f"{OTHER_KEY},{KEY}")
    monkeypatch.setattr(Services, "from_environment", lambda: newer)
    for resealed, unchanged in ((1, 0), (0, 1)):
        assert main(["webhooks", "secret-keys", "reseal"]) == 0
        assert json.loads(capsys.readouterr().out) == {
            "resealed": resealed,
            "unchanged": unchanged,
            "unreadable": [],
            "complete": True,
        }


def test_secrets_that_cannot_be_opened_are_named_and_an_error(
    services: Services,
    store: EndpointStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    endpoint = add_endpoint(store)
    lost = with_keys(services, OTHER_KEY)
    monkeypatch.setattr(Services, "from_environment", lambda: lost)
    assert main(["webhooks", "secret-keys", "reseal"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["unreadable"] == [
        {"merchant": MERCHANT, "endpoint": endpoint.id}
    ]
    assert "remit webhooks: the keys of some secrets are not there any more" in printed.err


def test_resealing_that_was_stopped_says_so(
    services: Services,
    store: EndpointStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    add_endpoint(store)
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    scan = services.tables.endpoints.scan

    def scan_after_sigterm(*arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return scan(*arguments, **options)

    monkeypatch.setattr(services.tables.endpoints, "scan", scan_after_sigterm)
    try:
        assert main(["webhooks", "secret-keys", "reseal"]) == 1
    finally:
        signal.signal(signal.SIGTERM, previous)
    printed = capsys.readouterr()
    assert json.loads(printed.out)["complete"] is False
    assert "begin again" in printed.err


def test_every_command_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["webhooks", "--help"])
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    for name, command in COMMANDS.items():
        assert name in told
        assert command.HELP in told


def test_what_is_slow_is_not_imported_to_read_arguments() -> None:
    code = "import sys, remit.__main__ as m; m._parser(); print('botocore' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": "plugins"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
