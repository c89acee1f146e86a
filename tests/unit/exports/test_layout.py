from __future__ import annotations

from dataclasses import replace

import pytest

from remit.exports.layout import Layout
from tests.support.exports import export_job


def layout(**changes: object) -> Layout:
    return Layout(replace(export_job(), **changes), 3, "csv")  # type: ignore[arg-type]


def test_keys_carry_the_generation_and_the_file_name_does_not() -> None:
    assert layout().file == "exports/merchant-1/export-1/3/payments_2026-01-01_2026-01-31.csv"
    assert layout().manifest == "exports/merchant-1/export-1/3/manifest.json"
    assert layout().slice(7) == "staging/export-1/3/0007"


@pytest.mark.parametrize("merchant", ["..", ".", "a/b", "../../x", "ü" * 256, "a b", "x" * 2000])
def test_no_id_leaves_its_segment_of_the_key(merchant: str) -> None:
    key = layout(merchant_id=merchant).file
    exports, segment, export, generation, _ = key.split("/")
    assert (exports, export, generation) == ("exports", "export-1", "3")
    assert segment not in {"", ".", ".."}
    assert len(key.encode()) <= 1024


def test_different_ids_have_different_keys() -> None:
    ids = ["..", ".", "a/b", "a%2Fb", "x" * 2000, "x" * 2001]
    assert len({layout(merchant_id=one).file for one in ids}) == len(ids)
