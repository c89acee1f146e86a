from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.ids import export_id, export_run_id, ulid

NOW = datetime(2026, 11, 23, tzinfo=UTC)
AIRFLOWS_RULE = re.compile(r"[A-Za-z0-9_.~:+-]+")


def test_a_ulid_sorts_by_time() -> None:
    ids = [ulid(NOW + timedelta(milliseconds=n)) for n in range(50)]
    assert ids == sorted(ids)
    assert {len(one) for one in ids} == {26}


def test_the_ulid_of_the_specification() -> None:
    # The time part of the specification's example, 01ARYZ6S41, is 1469918176385 ms.
    instant = datetime(2016, 7, 30, 22, 36, 16, 385000, tzinfo=UTC)
    assert ulid(instant, lambda bits: 0) == "01aryz6s41" + "0" * 16
    assert ulid(instant, lambda bits: 2**bits - 1) == "01aryz6s41" + "z" * 16


def test_two_exports_of_one_instant_differ() -> None:
    assert export_id(NOW) != export_id(NOW)


def test_a_run_id_carries_export_and_generation() -> None:
    assert export_run_id("export-merchant123-1234567890", 3) == (
        "export__export-merchant123-1234567890__3"
    )


@given(st.text(min_size=1, max_size=400), st.integers(1, 10**6))
def test_a_run_id_is_one_that_airflow_takes(export: str, generation: int) -> None:
    run_id = export_run_id(export, generation)
    assert AIRFLOWS_RULE.fullmatch(run_id)
    assert ".." not in run_id
    assert len(run_id) <= 250


@pytest.mark.parametrize("export", ["a/b", "a b", "a..b", "ü", "x" * 200])
def test_ids_that_airflow_refuses_stay_apart(export: str) -> None:
    assert export_run_id(export, 1) != export_run_id(export + "x", 1)
