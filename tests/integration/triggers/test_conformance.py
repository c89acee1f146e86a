"""Both forms of the trigger, on one real Airflow, held to the same behaviour."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from remit.airflow.trigger import InProcessTrigger
from remit.errors import TriggerUnavailable
from remit.triggers import Trigger, transport
from remit.triggers.rest import RestTrigger
from remit.triggers.settings import AirflowSettings
from tests.support.airflow import AIRFLOW_WARNINGS
from tests.support.airflow_server import PASSWORDS, AirflowServer
from tests.support.ports import free_port

pytestmark = AIRFLOW_WARNINGS

DAG = "export_payments"
VICTIM = "poll_exports"
"""A DAG that some tests break."""

_numbers = count(1)


@pytest.fixture(params=["in process", "REST"])
def trigger(request: pytest.FixtureRequest, parsed_dags: None) -> Trigger:
    """Each form in turn."""
    if request.param == "in process":
        return InProcessTrigger()
    server: AirflowServer = request.getfixturevalue("airflow_server")
    return by_password(server.url)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for a machine that runs other tests, too."""
    monkeypatch.setattr(transport, "READ_SECONDS", 60.0)
    monkeypatch.setattr(transport, "CALL_SECONDS", 120.0)


@pytest.fixture
def run_id() -> str:
    """An id that no other test has."""
    return f"conformance-{next(_numbers)}"


def by_password(url: str, user: str = "remit-hook", password: str = "") -> RestTrigger:
    return RestTrigger.of(AirflowSettings(url=url, user=user, password=password or PASSWORDS[user]))


class Run(NamedTuple):
    """What Airflow has of a run."""

    conf: dict[str, Any]
    note: str
    state: str
    run_type: str
    logical_date: object


def runs(dag_id: str, run_id: str) -> list[Run]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(DagRun).filter_by(dag_id=dag_id, run_id=run_id))
        return [
            Run(one.conf, one.note, str(one.state), str(one.run_type), one.logical_date)
            for one in found
        ]


@contextmanager
def dag_is(dag_id: str, **state: bool) -> Iterator[None]:
    """A DAG in another state, for the length of the block."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    def put(values: dict[str, bool]) -> dict[str, bool]:
        with create_session() as session:
            dag = session.get_one(DagModel, dag_id)
            before = {name: getattr(dag, name) for name in values}
            for name, value in values.items():
                setattr(dag, name, value)
            return before

    before = put(state)
    try:
        yield
    finally:
        put(before)


def outbox_events() -> int:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        events = (
            select(func.count())
            .select_from(AssetEvent)
            .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        )
        return int(session.scalar(events.where(AssetModel.name == "remit_outbox")))


@pytest.fixture
def queued() -> Any:
    """How many runs of the delivery wait to be made for updates of assets; none at first."""
    from airflow.models.asset import AssetDagRunQueue
    from airflow.utils.session import create_session
    from sqlalchemy import delete, func, select

    def waiting() -> int:
        with create_session() as session:
            entries = select(func.count()).select_from(AssetDagRunQueue)
            return int(session.scalar(entries.filter_by(target_dag_id="deliver_webhooks")))

    with create_session() as session:
        session.execute(delete(AssetDagRunQueue))
    return waiting


def test_a_start_makes_a_run(trigger: Trigger, run_id: str) -> None:
    trigger.start(DAG, run_id, {"export_id": "export-1"}, "what it is for")
    assert runs(DAG, run_id) == [
        Run({"export_id": "export-1"}, "what it is for", "queued", "manual", None)
    ]


def test_to_start_a_run_again_is_the_same_run(trigger: Trigger, run_id: str) -> None:
    for number in (1, 2):
        trigger.start(DAG, run_id, {"export_id": f"export-{number}"}, "note")
    (run,) = runs(DAG, run_id)
    assert run.conf == {"export_id": "export-1"}


def test_starts_at_the_same_time_are_one_run(trigger: Trigger, run_id: str) -> None:
    at_once = threading.Barrier(20)

    def start(_: int) -> None:
        at_once.wait(30)
        trigger.start(DAG, run_id, {"export_id": "export-1"}, "note")

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(start, range(20)))
    assert len(runs(DAG, run_id)) == 1


def test_a_dag_that_is_well_passes(trigger: Trigger) -> None:
    trigger.check(DAG)
    trigger.check("deliver_webhooks")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"is_stale": True}, "the DAG poll_exports is not known to Airflow"),
        ({"has_import_errors": True}, "the DAG poll_exports has import errors"),
        ({"is_paused": True}, "the DAG poll_exports is paused"),
    ],
)
def test_a_dag_that_is_not_well_is_told(
    trigger: Trigger, run_id: str, state: dict[str, bool], message: str
) -> None:
    with dag_is(VICTIM, **state):
        with pytest.raises(TriggerUnavailable) as checked:
            trigger.check(VICTIM)
        with pytest.raises(TriggerUnavailable) as started:
            trigger.start(VICTIM, run_id, {}, "note")
    assert str(checked.value) == str(started.value) == message
    assert runs(VICTIM, run_id) == []
    trigger.check(VICTIM)


def test_a_dag_that_is_not_there_is_told(trigger: Trigger, run_id: str) -> None:
    for call in (
        lambda: trigger.check("no_such_dag"),
        lambda: trigger.start("no_such_dag", run_id, {}, "note"),
    ):
        with pytest.raises(TriggerUnavailable) as refused:
            call()
        assert str(refused.value) == "the DAG no_such_dag is not known to Airflow"


def test_a_conf_that_the_dag_does_not_take_is_told(trigger: Trigger, run_id: str) -> None:
    with pytest.raises(TriggerUnavailable, match=f"could not start {DAG} {run_id}: .*export_id"):
        trigger.start(DAG, run_id, {"export_id": ""}, "note")
    assert runs(DAG, run_id) == []


def test_updates_of_the_outbox_come_together_in_one_run(trigger: Trigger, queued: Any) -> None:
    before = outbox_events()
    assert queued() == 0
    trigger.wake_delivery()
    trigger.wake_delivery()
    assert outbox_events() == before + 2
    assert queued() == 1


def test_an_outbox_that_no_dag_has_any_more_is_told(trigger: Trigger, queued: Any) -> None:
    from airflow.models.asset import AssetActive
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(AssetActive).where(AssetActive.name == "remit_outbox"))
    try:
        with pytest.raises(TriggerUnavailable) as refused:
            trigger.wake_delivery()
    finally:
        with create_session() as session:
            session.add(AssetActive(name="remit_outbox", uri="remit_outbox"))
    assert str(refused.value) == "the asset remit_outbox is not known to Airflow"
    assert queued() == 0


# What only the REST form can meet, on the real Airflow.


def test_out_of_reach_is_told_in_bounded_time(run_id: str) -> None:
    trigger, began = by_password(f"http://127.0.0.1:{free_port()}"), time.monotonic()
    with pytest.raises(TriggerUnavailable, match="out of reach"):
        trigger.start(DAG, run_id, {}, "note")
    assert time.monotonic() - began < 5


def test_a_wrong_password_is_told_without_it(airflow_server: AirflowServer, run_id: str) -> None:
    trigger = by_password(airflow_server.url, password="wrong horse")
    with pytest.raises(TriggerUnavailable) as refused:
        trigger.start(DAG, run_id, {}, "note")
    assert "Airflow gives no token to the user 'remit-hook' (401" in str(refused.value)
    assert "wrong horse" not in str(refused.value)


def test_a_user_who_may_only_look_is_told(airflow_server: AirflowServer, run_id: str) -> None:
    trigger = by_password(airflow_server.url, user="viewer")
    trigger.check(DAG)
    with pytest.raises(TriggerUnavailable, match=r"refuses POST .*/dagRuns \(403"):
        trigger.start(DAG, run_id, {"export_id": "export-1"}, "note")
    with pytest.raises(TriggerUnavailable, match=r"refuses POST /api/v2/assets/events \(403"):
        trigger.wake_delivery()
    assert runs(DAG, run_id) == []


def test_a_token_does_as_well_as_a_password(
    airflow_server: AirflowServer, run_id: str, tmp_path: Path
) -> None:
    token = airflow_server.token()
    RestTrigger.of(AirflowSettings(url=airflow_server.url, token=token)).check(DAG)
    path = tmp_path / "token"
    path.write_text("rubbish\n")
    trigger = RestTrigger.of(AirflowSettings(url=airflow_server.url, token_file=str(path)))
    with pytest.raises(TriggerUnavailable, match=r"Invalid JWT token.*REMIT_AIRFLOW_TOKEN_FILE"):
        trigger.check(DAG)

    path.write_text(f"{token}\n")
    trigger = RestTrigger.of(AirflowSettings(url=airflow_server.url, token_file=str(path)))
    trigger.start(DAG, run_id, {"export_id": "export-1"}, "note")
    assert len(runs(DAG, run_id)) == 1
