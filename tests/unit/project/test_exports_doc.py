"""docs/exports.md: its tables are the code's, its examples work."""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from remit.aws.objects import StoredObject
from remit.aws.target import crc64
from remit.clock import parse_instant
from remit.exports.job import MOVES
from remit.exports.last_error import KINDS
from remit.exports.manifest import SCHEMA_VERSION, File, manifest
from remit.exports.publishing import MOST_FILES
from remit.exports.render import ENCODINGS, RENDERERS, CompressedSink
from remit.exports.render.arrow import schema_of
from remit.exports.render.csv import FORMULA_STARTS
from remit.exports.request import ExportRequest
from remit.exports.transform import load_transform
from tests.support.exports import REPORTS, export_job
from tests.unit.exports.building import exported, page, record, selection
from tests.unit.project.documents import REPOSITORY, Document, names

DOCUMENT = Document("docs/exports.md")
AS_OF = parse_instant("2026-11-23T11:59:55Z")


def file_of(*segments: bytes, name: str = "payments.csv") -> File:
    """A file that was put together from these segments."""
    stored = (
        StoredObject(f"staging/{number}", len(one), hashlib.sha256(one).hexdigest(), crc64(one))
        for number, one in enumerate(segments)
    )
    return File(f"exports/{name}", name, tuple(stored), rows=1)


def manifest_of(*files: File, **request: Any) -> dict[str, Any]:
    """The manifest of an export of payments."""
    found: dict[str, Any] = json.loads(
        manifest(
            export_job(**request),
            REPORTS["payments"],
            REPORTS["payments"].select(None),
            files,
            generation=1,
            as_of=AS_OF,
            rejects=None,
            totals={},
            capacity_units=0.5,
        )
    )
    return found


def test_the_states_and_their_moves_are_the_table_of_the_code() -> None:
    rows = DOCUMENT.table("status", "meaning", "may become")
    assert {names(status)[0]: set(names(after)) for status, _, after in rows} == MOVES


def test_every_option_is_there_with_its_default() -> None:
    rows = DOCUMENT.table("option", "default", "meaning")
    listed = {name: default for cell, default, _ in rows for name in names(cell)}
    assert listed.keys() == ExportRequest.model_fields.keys()
    for name, field in ExportRequest.model_fields.items():
        if isinstance(field.default, str):
            assert listed[name] == f"`{field.default}`"


def test_the_formats_are_those_of_the_renderers() -> None:
    rows = DOCUMENT.table("format", "extension", "media type", "rows per file")
    assert {names(row[0])[0]: names(row[1] + row[2]) for row in rows} == {
        name: [renderer.extension, renderer.content_type] for name, renderer in RENDERERS.items()
    }
    for (*_, most), renderer in zip(rows, RENDERERS.values(), strict=True):
        limit = renderer.max_rows
        assert most == ("any number" if limit is None else f"at most {limit:,}")


def test_the_compressions_are_those_of_the_code() -> None:
    section = DOCUMENT.text.partition("## Compression")[2].partition("\n## ")[0]
    for name, encoding in ENCODINGS.items():
        assert {name, f".{encoding.extension}", encoding.content_type} <= set(names(section))


def test_the_starts_of_formulas_are_all_named() -> None:
    section = DOCUMENT.text.partition("**Formulas.**")[2].partition("\n\n")[0]
    written = {"\t": "tab", "\r": "CR", "\n": "LF"}
    assert all(written.get(one, f"`{one}`") in section for one in FORMULA_STARTS)


def test_the_types_of_parquet_are_the_schema_s() -> None:
    rows = DOCUMENT.table("column", "Parquet")
    shown = {name: kind for cell, kind in rows for name in names(cell)}
    arrow = {
        "string",
        "int64",
        "decimal(24, 4)",
        "boolean",
        "date",
        "timestamp in microseconds, UTC",
    }
    assert {kind.removesuffix(", of JSON") for kind in shown.values()} == arrow
    for report in REPORTS.values():
        for column, field in zip(report.columns, schema_of(report.columns), strict=True):
            kind = str(field.type).replace("decimal128", "decimal").replace("bool", "boolean")
            kind = kind.replace("timestamp[us, tz=UTC]", "timestamp in microseconds, UTC")
            assert shown[column.type].removesuffix(", of JSON") == kind.replace(
                "date32[day]", "date"
            )
            assert field.metadata == ({b"unit": column.unit.encode()} if column.unit else None)


def test_the_manifest_has_the_fields_that_are_listed() -> None:
    listed = [name for row in DOCUMENT.table("field", "meaning") for name in names(row[0])]
    found = manifest_of(file_of(b"a"))
    assert set(listed) == found.keys()
    assert f"| `schema_version` | {SCHEMA_VERSION}:" in DOCUMENT.text
    assert found["files"][0]["checksums"].keys() == {"segments", "sha256", "crc64nvme"}


@pytest.mark.parametrize("segments", [(b"",), (b"one",), (b"one", b"", b"two" * 600_000)])
def test_a_file_is_verified_as_shown(tmp_path: Path, segments: tuple[bytes, ...]) -> None:
    verify = DOCUMENT.function("verify")
    content, said = b"".join(segments), manifest_of(file_of(*segments))
    path = tmp_path / "payments.csv"
    path.write_bytes(content)
    verify(said, tmp_path)
    for other in (content + b"x", content[:-1] + b"x", b"y" + content[1:]):
        path.write_bytes(other)
        with pytest.raises(ValueError, match=r"^payments\.csv is (damaged|longer)"):
            verify(said, tmp_path)


def test_several_members_or_frames_are_read_as_shown(tmp_path: Path) -> None:
    decompressed = DOCUMENT.function("decompressed")
    for compression in ENCODINGS:
        content = io.BytesIO()
        for one in (b"one\r\n", b"two\r\n"):
            sink = CompressedSink(content, compression)
            sink.write(one)
            sink.finish()
        path = tmp_path / compression
        path.write_bytes(content.getvalue())
        assert decompressed(str(path), compression) == b"one\r\ntwo\r\n"


def test_the_reject_is_as_shown() -> None:
    (shown,) = (json.loads(block) for block in DOCUMENT.blocks("json") if '"reasons"' in block)
    found = exported(selection(), page(record(3, amount={"N": "12.5"})))
    assert json.loads(found.rejects.lines()) == shown


def test_the_failures_are_those_of_the_code() -> None:
    rows = DOCUMENT.table("code", "why", "what helps")
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (REPOSITORY / "plugins" / "remit").rglob("*.py")
    )
    raised = set(re.findall(r'ExportFailed\(\s*"(\w+)"', source))
    assert {names(row[0])[0] for row in rows} == raised
    assert f"| more than {MOST_FILES} files |" in DOCUMENT.text


def test_the_errors_that_may_pass_are_those_of_the_code() -> None:
    rows = DOCUMENT.table("last error", "what it was", "counts as an attempt", "until")
    listed = {names(code)[0]: (counts, (names(end) or [end])[0]) for code, _, counts, end in rows}
    ends = {(True, False): "too_many_attempts", (False, True): "refused_too_long"}
    assert listed == {
        kind.code: (
            "yes" if kind.counts else "no",
            ends.get((kind.counts, kind.refusal), "it expires"),
        )
        for kind in KINDS.values()
    }


def test_the_lifecycle_rules_are_those_of_the_template() -> None:
    template = yaml.safe_load((REPOSITORY / "infra" / "remit.yaml").read_text(encoding="utf-8"))
    bucket = template["Resources"]["Exports"]["Properties"]
    rules = bucket["LifecycleConfiguration"]["Rules"]
    rows = DOCUMENT.table("rule", "prefix", "does")
    listed = [(names(row[0])[0], (names(row[1]) or [None])[0]) for row in rows]
    assert listed == [(rule["Id"], rule.get("Prefix")) for rule in rules]
    assert f"`RetentionDays` ({template['Parameters']['RetentionDays']['Default']})" in rows[-1][2]


def test_the_transform_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (source,) = (one for one in DOCUMENT.blocks("python") if "without_descriptions" in one)
    (tmp_path / "remit_masking.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    transform = load_transform("remit_masking:without_descriptions", ())
    (frame,) = exported(selection(), page(record(1), record(2))).frames
    changed = transform(frame)
    assert list(changed["description"]) == ["***", "***"]
    pd.testing.assert_frame_equal(
        changed.drop(columns="description"), frame.drop(columns="description")
    )
    (frame,) = exported(selection(columns=["payment_id"]), page(record(1))).frames
    assert transform(frame) is frame
