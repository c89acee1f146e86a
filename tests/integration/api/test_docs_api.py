"""docs/api.md: every example, in the order of the page, against the app served over HTTP."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from demo.info import PERMISSIONS
from demo.loopback import loopback
from remit.api.app import create_app
from remit.api.event_bodies import MOST_EVENTS, MOST_PARTS, RESERVED
from remit.api.idempotency import PATIENCE
from remit.api.intake import BODY_BYTES, BODY_SECONDS, DEFAULT_BODY_BYTES, ROOM
from remit.api.pages import DEFAULT_LIMIT, MAX_LIMIT
from remit.api.problems import EVERY_KIND, PREFIX
from remit.auth import Verifier
from remit.exports.pipeline import ExportPipeline
from remit.schedules.schedule import MAX_SCHEDULES
from remit.schedules.schedule_request import CADENCES, EXPORT_FIELDS, FIELDS
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop
from remit.webhooks.endpoint import MAX_ENDPOINTS
from remit.webhooks.event import PAYLOAD_LIMIT
from remit.webhooks.listing import STATUSES
from remit.webhooks.replay_filter import DEFAULT_RATE
from tests.support import replays
from tests.support.api import TOKENS, NotedRuns, token
from tests.support.aws import REGION
from tests.support.clock import ManualClock
from tests.support.curl import Assignment, Curl, Sha256Sum, statements
from tests.support.deliverer import deliver_due
from tests.support.endpoints import KEY
from tests.support.examples import Likeness
from tests.support.exports import REPORTS, payment, store_payments
from tests.support.operations import OPERATIONS
from tests.support.serving import served
from tests.support.standins import StandIns
from tests.support.webhooks import Receiver
from tests.unit.project.documents import Document, names

DOCUMENT = Document("docs/api.md")

UNSHOWN = {"GET /openapi.json", "GET /docs"}
"""Operations without an example: what they answer is long, and for programs or browsers."""

TOKEN = "eyJhbGciOiJIUzI1NiIs…"
BASE = "https://payments.example/remit"
HOOK = "https://books.example/hook"
ADDRESS = "203.0.113.7"


@pytest.fixture
def services(standins: StandIns, clock: ManualClock) -> Services:
    """Those of a deployment that sets nothing but what the tests need."""
    settings = Settings(region=REGION, webhook_networks="127.0.0.0/8", secret_keys=KEY)
    return Services(settings, standins.aws, clock)


@dataclass
class Stage:
    """What goes on behind the hook while somebody reads the page."""

    services: Services
    clock: ManualClock

    def make_export(self) -> None:
        """Airflow makes the export that is due."""
        pipeline = ExportPipeline(self.services, Stop())
        self.clock.advance(60)  # the poller leaves a new one to the run that was started for it
        (export,) = pipeline.store.queue.due(1)
        claim = pipeline.store.claim(export, "run-1")
        assert claim is not None
        assert pipeline.prepare(claim) == []

    def deliver(self) -> None:
        """Airflow delivers what is due."""
        assert deliver_due(self.services, Stop()).counts

    def replay(self) -> None:
        """Airflow goes on with the replays."""
        assert replays.run(self.services)


BEHIND: Mapping[tuple[str, int], Callable[[Stage], None]] = {
    ("A first export", 2): Stage.make_export,
    ("Endpoints", 3): Stage.deliver,
    ("Webhooks", 1): Stage.deliver,
    ("Replays", 3): Stage.replay,
}
"""What happens before which command of a section."""


@dataclass
class Walk:
    """Goes through the page."""

    stage: Stage
    session: requests.Session
    folder: Path
    likeness: Likeness
    variables: dict[str, str] = field(default_factory=dict)
    answer: requests.Response | None = None
    done: set[str] = field(default_factory=set)
    """Method and path of each request."""
    said: str | None = None
    """What the last command has printed, if it is no answer."""
    section: str = ""
    commands: int = 0

    def enter(self, section: str) -> None:
        """Go on with the next section."""
        self.section, self.commands = section, 0

    def run(self, block: str) -> None:
        """Do what a block of shell does."""
        for statement in statements(self.likeness.real(block), self.variables):
            self._all_is_shown()
            match statement:
                case Assignment(name, value):
                    assert self.likeness.stands_for_something(value), f"{name}: nothing is {value}"
                    self.variables[name] = value
                case Sha256Sum(path):
                    digest = hashlib.sha256((self.folder / path).read_bytes()).hexdigest()
                    self.said = f"{digest}  {path}\n"
                case Curl():
                    self._send(statement)

    def _send(self, command: Curl) -> None:
        self.commands += 1
        self.stage.clock.advance(1)
        BEHIND.get((self.section, self.commands), lambda _: None)(self.stage)
        answer = command.send(self.session, self.folder)
        asked = answer.history[0] if answer.history else answer
        self.done.add(f"{command.method} {urlsplit(asked.url).path.removeprefix('/remit')}")
        if command.output is None:
            self.answer = answer
        else:
            assert answer.ok, answer.text

    def show(self, language: str, block: str) -> None:
        """Hold what a block shows against what there is."""
        if language == "http":
            assert self.answer is not None, f"nothing was asked for: {block}"
            self.likeness.check(block, self.answer)
            self.answer = None
        else:
            assert self.said is not None, f"nothing was said: {block}"
            self.likeness.compare("text", block, self.said)
            self.said = None

    def _all_is_shown(self) -> None:
        assert self.answer is None, f"not shown: {self.answer and self.answer.text}"
        assert self.said is None, f"not shown: {self.said}"

    def end(self) -> None:
        """The page is over."""
        self._all_is_shown()


def blocks() -> Iterator[tuple[str, str]]:
    """Headings and fenced blocks, in order: `##` or the language, and the text."""
    pattern = r"^## (?P<heading>[^\n]+)$|^```(?P<language>\w*)\n(?P<text>.*?)^```$"
    for found in re.finditer(pattern, DOCUMENT.text, re.MULTILINE | re.DOTALL):
        if found["heading"]:
            yield "##", found["heading"]
        else:
            yield found["language"], found["text"]


def test_every_example_does_what_the_page_shows(
    services: Services, clock: ManualClock, tmp_path: Path
) -> None:
    store_payments(services, *(payment(number, amount=1000 + number) for number in range(1, 4)))
    hook = create_app(lambda: services, NotedRuns(), Verifier(TOKENS, clock))
    with served(hook) as url, Receiver().running() as receiver, loopback() as session:
        known = {
            BASE: url,
            TOKEN: token(clock, "merchant-1", *PERMISSIONS),
            HOOK: receiver.url(),
            ADDRESS: "127.0.0.1",
        }
        walk = Walk(Stage(services, clock), session, tmp_path, Likeness(known))
        for kind, text in blocks():
            match kind:
                case "##":
                    walk.enter(text)
                case "sh":
                    walk.run(text)
                case _:
                    walk.show(kind, text)
        walk.end()

    shown = {operation for operation in OPERATIONS for one in walk.done if fits(one, operation)}
    assert OPERATIONS.keys() - shown == UNSHOWN


def fits(request: str, operation: str) -> bool:
    """Whether that is how it is asked for."""
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", operation), request) is not None


def test_the_table_of_errors_is_that_of_the_code() -> None:
    rows = DOCUMENT.table("`type`", "status", "what to do")
    told = [(names(kind)[0], int(status)) for kind, status, _ in rows]
    assert sorted(told) == sorted({(kind.type, kind.status) for kind in EVERY_KIND})
    assert f"All types begin with `{PREFIX}`" in DOCUMENT.text


def test_the_table_of_permissions_is_that_of_the_operations() -> None:
    rows = DOCUMENT.table("route", "permission")
    assert {names(route)[0]: permission for route, permission in rows} == OPERATIONS


def test_the_permissions_of_the_reports_are_theirs() -> None:
    text = " ".join(DOCUMENT.text.split())
    told = "`payments` for `payments` and `daily_summary`, `refunds`, `settlements`"
    assert f"Each report names its own: {told}." in text
    assert {name: report.permission for name, report in REPORTS.items()} == {
        "payments": "payments",
        "daily_summary": "payments",
        "refunds": "refunds",
        "settlements": "settlements",
    }


def test_the_limits_are_those_of_the_code() -> None:
    settings, kib = Settings(), 1024
    assert {what: value for what, value, _ in DOCUMENT.table("limit", "value", "beyond it")} == {
        "requests of a merchant": f"{settings.api_rate} per second",
        "exports under way": f"{settings.max_active_exports}",
        "range of an export": f"{settings.max_range_days} days",
        "webhooks that wait for delivery": f"{settings.webhook_queue_limit:,}",
        "schedules": f"{MAX_SCHEDULES}",
        "endpoints": f"{MAX_ENDPOINTS}, and `default`",
        "JSON text of one event": f"{PAYLOAD_LIMIT // kib} KiB",
        "events of a batch": f"{MOST_EVENTS}",
        "commas, `[` and `{` of a body with events, those in texts among them": f"{MOST_PARTS:,}",
        "`limit` of a page": f"{MAX_LIMIT}",
        "body of `POST /events`": f"{BODY_BYTES['/events'] // kib} KiB",
        "body of `POST /events/batch`": f"{BODY_BYTES['/events/batch'] // kib**2} MiB",
        f"bodies over {DEFAULT_BODY_BYTES // kib} KiB under way at a time, in one process": (
            f"{ROOM // kib**2} MiB"
        ),
        "any other body": f"{DEFAULT_BODY_BYTES // kib} KiB",
        "time for a body to come": f"{BODY_SECONDS:g} s",
    }


def test_what_begins_as_remits_own_events_do_is_said() -> None:
    ids, types = (f"`{'` or `'.join(RESERVED[name])}`" for name in ("id", "type"))
    text = " ".join(DOCUMENT.text.split())
    assert f"Ids that begin with {ids}, and types that begin with {types}, are of Remit's" in text


def test_the_fields_of_schedules_are_theirs() -> None:
    fields = [
        name for row in DOCUMENT.table("field", "default", "meaning") for name in names(row[0])
    ]
    own = {name for name in FIELDS if name not in EXPORT_FIELDS} - {"cadence"}
    assert len(fields) == len(own)
    assert set(fields) == own
    assert "(`cadence`: `hourly`, `daily`, `weekly`, `monthly`)" in DOCUMENT.text
    assert CADENCES == ("hourly", "daily", "weekly", "monthly")


def test_what_it_says_of_pages_keys_and_replays_is_so() -> None:
    text = " ".join(DOCUMENT.text.split())
    assert f"`limit` things ({DEFAULT_LIMIT}, up to {MAX_LIMIT})" in text
    assert Settings().idempotency_retention == timedelta(hours=24)
    assert "are kept for 24 hours" in text
    assert f"waits for its answer for {PATIENCE.total_seconds():g} seconds" in text
    assert f"at `rate` webhooks per second ({DEFAULT_RATE})" in text
    assert f"({', '.join(f'`{status}`' for status in STATUSES)})" in text
    assert f"the longest range of an export ({Settings().max_range_days} days)" in text
