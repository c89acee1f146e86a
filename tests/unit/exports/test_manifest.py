from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.aws.objects import StoredObject, encode_crc64
from remit.aws.target import crc64
from remit.exports.keyranges import KeyRange
from remit.exports.manifest import AS_OF_RULE, SCHEMA_VERSION, File, manifest
from remit.exports.slices import Part, RenderedSlice, Slice
from tests.support.exports import REPORTS, export_job

AS_OF = datetime(2026, 11, 23, 11, 59, 55, tzinfo=UTC)


def stored(content: bytes, key: str = "staging/a") -> StoredObject:
    return StoredObject(key, len(content), hashlib.sha256(content).hexdigest(), crc64(content))


def file(*contents: bytes, rows: int = 1, name: str = "a.csv") -> File:
    return File(f"exports/{name}", name, tuple(map(stored, contents)), rows)


def document(*files: File, rejects: File | None = None, **request: Any) -> dict[str, Any]:
    job = export_job(**request)
    report = REPORTS[job.request.report]
    content = manifest(
        job,
        report,
        report.select(job.request.columns),
        files,
        generation=3,
        as_of=AS_OF,
        rejects=rejects,
        totals={"amount_major": {"USD": "19.9900"}},
        capacity_units=12.5,
    )
    assert content.endswith(b"}\n")
    found: dict[str, Any] = json.loads(content)
    return found


def test_it_tells_whose_export_of_what_it_is() -> None:
    found = document(file(b"abc", rows=2), file(b"defg", rows=3, name="b.csv"))
    expected = {
        "schema_version": SCHEMA_VERSION,
        "export_id": "export-1",
        "merchant_id": "merchant-1",
        "generation": 3,
        "report": "payments",
        "format": "csv",
        "compression": "none",
        "rows": 5,
        "bytes": 7,
        "totals": {"amount_major": {"USD": "19.9900"}},
        "as_of": "2026-11-23T11:59:55.000000Z",
        "as_of_rule": AS_OF_RULE,
        "rejects": None,
        "read_capacity_units": 12.5,
    }
    assert {name: found[name] for name in expected} == expected


def test_columns_have_their_types_and_units() -> None:
    found = document(file(b""), columns=["amount_major", "metadata", "currency"])
    assert found["columns"] == [
        {"name": "amount_major", "type": "major", "unit": "major units of currency"},
        {"name": "metadata", "type": "attribute", "unit": None},
        {"name": "currency", "type": "text", "unit": "ISO 4217 code"},
    ]


def test_the_range_is_in_instants_and_what_was_asked_for_is_kept() -> None:
    asked = {"timezone": "Europe/Berlin", "status": "failed", "min_amount": 5}
    found = document(file(b""), **asked)
    assert found["range"] == {
        "start": "2025-12-31T23:00:00.000000Z",
        "end": "2026-01-31T23:00:00.000000Z",
        "timezone": "Europe/Berlin",
    }
    assert found["filters"] == {"status": "failed", "min_amount": 5}
    options = {"start_date": "2026-01-01", "end_date": "2026-01-31", **asked}
    assert options.items() <= found["options"].items()


def test_a_file_of_one_segment_has_all_its_checksums() -> None:
    (entry,) = document(file(b"abc", rows=2))["files"]
    digest = hashlib.sha256(b"abc").hexdigest()
    assert entry == {
        "name": "a.csv",
        "rows": 2,
        "bytes": 3,
        "checksums": {
            "sha256": digest,
            "crc64nvme": encode_crc64(crc64(b"abc")),
            "segments": [{"offset": 0, "length": 3, "sha256": digest}],
        },
    }


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20), min_size=2, max_size=5))
def test_the_checksums_of_segments_are_those_of_the_file(contents: list[bytes]) -> None:
    whole = b"".join(contents)
    one = file(*contents)
    assert one.bytes == len(whole)
    assert one.crc64nvme == encode_crc64(crc64(whole))
    checksums = one.entry()["checksums"]
    assert checksums["sha256"] is None, "SHA-256 does not combine"
    cut = [
        whole[part["offset"] : part["offset"] + part["length"]] for part in checksums["segments"]
    ]
    assert cut == contents
    assert [part["sha256"] for part in checksums["segments"]] == [
        hashlib.sha256(one).hexdigest() for one in contents
    ]


def test_the_rejects_have_an_entry_of_their_own() -> None:
    found = document(file(b"abc"), rejects=file(b"{}\n", rows=4, name="rejects.ndjson"))
    assert (found["rejects"]["name"], found["rejects"]["rows"]) == ("rejects.ndjson", 4)
    assert found["rows"] == 1


def test_the_jobs_record_names_a_file_and_its_checksums() -> None:
    one = file(b"abc", rows=2)
    assert one.record() == {
        "key": "exports/a.csv",
        "name": "a.csv",
        "rows": 2,
        "bytes": 3,
        "sha256": hashlib.sha256(b"abc").hexdigest(),
        "crc64nvme": encode_crc64(crc64(b"abc")),
    }
    assert file(b"a", b"b").record()["sha256"] is None


def test_text_of_any_script_stays_readable() -> None:
    content = manifest(
        export_job(customer_id="客户 é"), REPORTS["payments"], (), [], generation=1, as_of=AS_OF,
        rejects=None, totals={}, capacity_units=0.0,
    )  # fmt: skip
    assert '"customer_id": "客户 é"' in content.decode()


@pytest.mark.parametrize("rejects", [None, Part(stored(b"{}\n"), 1)])
def test_a_rendered_slice_comes_back_from_json_as_it_was(rejects: Part | None) -> None:
    one = RenderedSlice(
        Slice("export-1", "token", 7, KeyRange("2026-01-01", "2026-01-02"), 1, "5e1ec7"),
        (Part(StoredObject("a", 2**40, "ff", 2**64 - 1), 2), Part(stored(b""), 0)),
        rejects,
        {"amount": {"USD": "1.0000"}},
        0.5,
    )
    text = json.dumps(one.to_json())
    assert str(2**64 - 1) in text
    assert f": {2**64 - 1}" not in text, "a reader may take a JSON number for a double"
    assert RenderedSlice.from_json(json.loads(text)) == one
    assert (one.rows, one.bytes) == (2, 2**40)
