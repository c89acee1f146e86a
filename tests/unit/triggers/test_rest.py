"""What the REST form asks of Airflow, and how it takes the answers. How both forms behave on a real
Airflow is in tests/integration/triggers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from remit.errors import TriggerUnavailable
from remit.triggers.credentials import FRESH_SECONDS, GivenToken
from remit.triggers.rest import NOT_WELL_SECONDS, WELL_SECONDS, RestTrigger
from remit.triggers.transport import REST_SECONDS, Transport
from tests.support.fake_airflow import FakeAirflow, said

TOKEN = "POST /auth/token"
LOOK = "GET /api/v2/dags/export_payments"
START = "POST /api/v2/dags/export_payments/dagRuns"
FIND = "GET /api/v2/assets?limit=100&name_pattern=remit_outbox"
UPDATE = "POST /api/v2/assets/events"


def start(trigger: RestTrigger, run_id: str = "run-1") -> None:
    trigger.start("export_payments", run_id, {"export_id": "x"}, "an export")


def test_a_start_says_everything_that_airflow_wants_to_know(
    trigger: RestTrigger, fake: FakeAirflow
) -> None:
    start(trigger)
    assert fake.calls() == [TOKEN, LOOK, START]
    assert fake.seen[-1].body == {
        "dag_run_id": "run-1",
        "logical_date": None,
        "conf": {"export_id": "x"},
        "note": "an export",
    }
    assert fake.seen[-1].token == fake.issued[0]


def test_a_run_that_exists_is_the_same_run(trigger: RestTrigger, fake: FakeAirflow) -> None:
    start(trigger)
    start(trigger)
    assert fake.runs == {"run-1"}


def test_a_dag_that_is_well_is_not_looked_at_again_for_a_while(
    trigger: RestTrigger, fake: FakeAirflow, seconds: Any
) -> None:
    start(trigger, "run-1")
    seconds.now += WELL_SECONDS - 0.1
    start(trigger, "run-2")
    seconds.now += 0.1
    start(trigger, "run-3")
    assert fake.calls() == [TOKEN, LOOK, START, START, LOOK, START]


def test_check_looks_each_time_and_what_it_finds_counts_for_the_next_start(
    trigger: RestTrigger, fake: FakeAirflow
) -> None:
    trigger.check("export_payments")
    fake.dags["export_payments"]["is_paused"] = True
    with pytest.raises(TriggerUnavailable, match="paused"):
        trigger.check("export_payments")
    with pytest.raises(TriggerUnavailable, match="paused"):
        start(trigger)
    assert START not in fake.calls()


def test_a_dag_that_is_not_well_is_looked_at_again_soon(
    trigger: RestTrigger, fake: FakeAirflow, seconds: Any
) -> None:
    fake.dags["export_payments"]["is_paused"] = True
    for _ in range(3):
        with pytest.raises(TriggerUnavailable, match="the DAG export_payments is paused"):
            start(trigger)
    assert fake.calls() == [TOKEN, LOOK]
    fake.dags["export_payments"]["is_paused"] = False
    seconds.now += NOT_WELL_SECONDS
    start(trigger)
    assert fake.calls() == [TOKEN, LOOK, LOOK, START]


def test_starts_at_the_same_time_look_once(trigger: RestTrigger, fake: FakeAirflow) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: start(trigger, f"run-{number}"), range(8)))
    assert fake.calls().count(LOOK) == 1
    assert len(fake.runs) == 8


def test_a_start_that_airflow_refuses_is_told_with_airflows_reason_in_one_line(
    trigger: RestTrigger, fake: FakeAirflow
) -> None:
    trigger.check("export_payments")
    fake.instead = [said(400, detail="Invalid input for param export_id:\n\n'' is too short")]
    with pytest.raises(TriggerUnavailable) as refused:
        start(trigger)
    assert str(refused.value) == (
        "could not start export_payments run-1: 400 Invalid input for param export_id: '' is too "
        "short"
    )
    start(trigger, "run-2")
    assert fake.calls()[-2:] == [LOOK, START], "what was known of the DAG is forgotten"


def test_the_id_of_a_dag_cannot_leave_its_place_in_the_path(
    trigger: RestTrigger, fake: FakeAirflow
) -> None:
    with pytest.raises(TriggerUnavailable, match=r"cannot be looked at|not known"):
        trigger.check("../../x?y=1#")
    assert fake.calls()[-1] == "GET /api/v2/dags/..%2F..%2Fx%3Fy%3D1%23"


def test_the_outbox_is_looked_up_once_and_again_when_its_id_is_gone(
    trigger: RestTrigger, fake: FakeAirflow
) -> None:
    trigger.wake_delivery()
    trigger.wake_delivery()
    fake.assets["remit_outbox"] = 8
    trigger.wake_delivery()
    assert fake.calls() == [TOKEN, FIND, UPDATE, UPDATE, UPDATE, FIND, UPDATE]
    assert fake.seen[-1].body == {"asset_id": 8}


def test_an_outbox_that_airflow_does_not_know_is_told(
    trigger: RestTrigger, fake: FakeAirflow
) -> None:
    fake.assets.clear()
    with pytest.raises(TriggerUnavailable, match="the asset remit_outbox is not known to Airflow"):
        trigger.wake_delivery()


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_is_replaced_once(
    trigger: RestTrigger, fake: FakeAirflow, seconds: Any, status: int
) -> None:
    start(trigger, "run-1")
    seconds.now += FRESH_SECONDS
    fake.valid.clear()  # Airflow has a new key
    fake.refusal = status
    start(trigger, "run-2")
    assert fake.calls()[3:] == [LOOK, TOKEN, LOOK, START]
    assert len(fake.issued) == 2


def test_a_new_token_that_is_refused_too_is_not_replaced_again(
    trigger: RestTrigger, fake: FakeAirflow, seconds: Any
) -> None:
    start(trigger, "run-1")
    seconds.now += FRESH_SECONDS
    fake.seen.clear()
    fake.instead = [
        said(401, detail="no"),
        said(201, access_token="second"),
        said(401, detail="no, again"),
    ]
    with pytest.raises(TriggerUnavailable) as refused:
        start(trigger)
    assert "refuses the token of REMIT_AIRFLOW_USER: 401 no, again" in str(refused.value)
    assert fake.calls() == [LOOK, TOKEN, LOOK]

    with pytest.raises(TriggerUnavailable, match="refuses the token"):
        start(trigger)
    assert len(fake.seen) == 3, "it is left alone for a while"
    seconds.now += max(REST_SECONDS, FRESH_SECONDS)
    start(trigger)


def test_a_fresh_token_is_not_replaced(trigger: RestTrigger, fake: FakeAirflow) -> None:
    start(trigger, "run-1")
    fake.instead = [said(403, detail="Forbidden")]
    with pytest.raises(TriggerUnavailable, match="403 Forbidden"):
        start(trigger, "run-2")
    assert len(fake.issued) == 1


def test_a_token_that_was_handed_in_and_is_refused_names_its_setting(
    transport: Transport, fake: FakeAirflow
) -> None:
    trigger = RestTrigger(transport, GivenToken("a-secret-token"))
    with pytest.raises(TriggerUnavailable) as refused:
        start(trigger)
    assert "REMIT_AIRFLOW_TOKEN: 401 Invalid JWT token" in str(refused.value)
    assert "a-secret-token" not in str(refused.value)
    assert fake.calls() == [LOOK]


def test_what_the_user_may_not_do_is_told_with_what_it_needs(
    trigger: RestTrigger, fake: FakeAirflow
) -> None:
    trigger.check("export_payments")
    fake.instead = [said(403, detail="Forbidden")]
    with pytest.raises(TriggerUnavailable) as refused:
        start(trigger)
    assert f"refuses {START} (403 Forbidden)" in str(refused.value)
    assert "create DAG runs and asset events" in str(refused.value)


def test_representations_show_no_secret(trigger: RestTrigger) -> None:
    start(trigger)
    shown = f"{trigger!r} {vars(trigger)!r}"
    assert "correct horse" not in shown
    assert "e30." not in shown
