from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.exports.job import ExportJob
from remit.exports.layout import Layout, from_generation, results_of, staging_of
from tests.support.exports import export_job

IDS = [
    "..",
    ".",
    "...",
    "a/b",
    "../../x",
    "a%2Fb",
    "ü" * 256,
    "a b",
    "x" * 2000,
    "x" * 2001,
    "A",
    "a",
]


def layout(
    generation: int = 3, extension: str = "csv", job: ExportJob | None = None, **changes: Any
) -> Layout:
    return Layout(job or export_job(**changes), generation, extension)


def of_merchant(merchant: str) -> Layout:
    job = export_job()
    return layout(job=ExportJob(job.id, merchant, job.request, job.created_at, job.expires_at))


KEYS: list[Callable[[Layout], str]] = [
    lambda one: one.file(),
    lambda one: one.file(7),
    lambda one: one.manifest,
    lambda one: one.rejects,
    lambda one: one.staged(7, 2),
    lambda one: one.staged_rejects(7),
]


def test_keys_are_where_the_module_says() -> None:
    one = layout()
    folder = "exports/merchant-1/export-1/3/"
    assert one.folder == folder
    assert one.file() == f"{folder}payments_2026-01-01_2026-01-31.csv"
    assert one.file(7) == f"{folder}payments_2026-01-01_2026-01-31_part-0007.csv"
    assert one.manifest == f"{folder}manifest.json"
    assert one.rejects == f"{folder}rejects.ndjson"
    assert one.staged(7, 2) == "staging/export-1/3/0007-0002"
    assert one.staged_rejects(7) == "staging/export-1/3/0007-rejects"


@pytest.mark.parametrize("key", KEYS)
def test_no_two_generations_write_the_same_object(key: Callable[[Layout], str]) -> None:
    assert len({key(layout(number)) for number in range(1, 13)}) == 12


def test_no_two_objects_of_a_generation_have_the_same_key() -> None:
    keys = [key(layout()) for key in KEYS]
    assert len({*keys}) == len(keys)


def test_the_name_that_a_browser_saves_under_is_the_same_in_every_generation() -> None:
    assert layout(1).file_name() == layout(2).file_name() == "payments_2026-01-01_2026-01-31.csv"


@pytest.mark.parametrize(
    ("changes", "extension", "name"),
    [
        ({}, "csv.gz", "payments_2026-01-01_2026-01-31.csv.gz"),
        ({"report": "refunds"}, "ndjson.zst", "refunds_2026-01-01_2026-01-31.ndjson.zst"),
        (
            {"start_date": "2026-01-01T10:30:00+01:00", "end_date": "2026-01-02T00:00:00Z"},
            "parquet",
            "payments_2026-01-01T1030000100_2026-01-02T000000Z.parquet",
        ),
    ],
)
def test_a_name_tells_report_dates_and_format(
    changes: dict[str, str], extension: str, name: str
) -> None:
    assert layout(extension=extension, **changes).file_name() == name


@pytest.mark.parametrize("merchant", IDS)
def test_no_id_leaves_its_segment_of_the_key(merchant: str) -> None:
    key = of_merchant(merchant).file()
    exports, segment, export, generation, _ = key.split("/")
    assert (exports, export, generation) == ("exports", "export-1", "3")
    assert segment not in {"", ".", ".."}
    assert len(key.encode()) <= 1024


def test_different_ids_have_different_keys() -> None:
    assert len({of_merchant(one).file() for one in IDS}) == len(IDS)
    assert len({staging_of(one) for one in IDS}) == len(IDS)


def test_an_id_that_no_key_can_hold_is_replaced_by_its_digest() -> None:
    assert results_of("..", "a") == f"exports/{hashlib.sha256(b'..').hexdigest()}/a/"


@settings(deadline=None)
@given(st.text(min_size=1), st.text(min_size=1))
def test_all_objects_of_an_export_lie_under_its_prefixes(merchant: str, export: str) -> None:
    job = export_job(export)
    one = layout(job=ExportJob(export, merchant, job.request, job.created_at, job.expires_at))
    prefixes = (results_of(merchant, export), staging_of(export))
    assert all(key(one).startswith(prefixes) for key in KEYS)
    assert all(len(prefix.encode()) < 700 and prefix.isascii() for prefix in prefixes)


@pytest.mark.parametrize("key", KEYS)
def test_what_is_of_a_generation_or_a_later_one_is_told_by_its_key(
    key: Callable[[Layout], str],
) -> None:
    for prefix in (results_of("merchant-1", "export-1"), staging_of("export-1")):
        later = from_generation(prefix, 10)
        for generation in (1, 9, 10, 11, 100):
            found = key(layout(generation))
            if found.startswith(prefix):
                assert later(found) == (generation >= 10)


@pytest.mark.parametrize("rest", ["x/1/y", "manifest.json", "", "1", "-1/x", "/1/x"])
def test_what_is_of_no_generation_is_nobodys_to_remove(rest: str) -> None:
    prefix = staging_of("export-1")
    assert from_generation(prefix, 10)(f"{prefix}{rest}")


def test_a_number_in_an_id_is_no_generation() -> None:
    prefix = results_of("5", "7")
    assert not from_generation(prefix, 4)(f"{prefix}3/file.csv")
    assert from_generation(prefix, 4)(f"{prefix}4/file.csv")
