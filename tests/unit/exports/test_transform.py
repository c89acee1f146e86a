from __future__ import annotations

import io
import sys
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from remit.errors import ConfigurationError
from remit.exports.render import RENDERERS
from remit.exports.totals import Totals
from remit.exports.transform import load_transform
from tests.unit.exports.building import exported, page, record, selection
from tests.unit.exports.files import READERS

DEPLOYMENT = """
from decimal import Decimal

import pandas as pd

NUMBER = 7

def masked(frame):
    return frame.assign(customer_id="***" + frame["customer_id"].str.slice(-1))

def plain_objects(frame):
    return frame.assign(customer_id=[f"***{one[-1]}" for one in frame["customer_id"]])

def large_only(frame):
    return frame[frame["amount_minor"] > 1000]

def reversed(frame):
    return frame[frame.columns[::-1]]

def with_more(frame):
    return frame.assign(mine=1)

def nothing_left(frame):
    return frame.iloc[:0]

def dropped(frame):
    return frame.drop(columns="customer_id")

def renamed(frame):
    return frame.rename(columns={"customer_id": "customer"})

def number_for_text(frame):
    return frame.assign(customer_id=7)

def text_for_number(frame):
    return frame.assign(amount_minor="a lot")

def fraction(frame):
    return frame.assign(amount_minor=frame["amount_minor"] / 2)

def too_large(frame):
    return frame.assign(amount_minor=[2**70] * len(frame))

def flag_for_instant(frame):
    return frame.assign(created_at_utc=frame["amount_minor"] > 0)

def lists(frame):
    return frame.assign(customer_id=[["a"]] * len(frame))

def half_a_character(frame):
    return frame.assign(customer_id=pd.Series(["\\ud800"] * len(frame), dtype=object))

def with_amounts(frame, amounts):
    return frame.assign(amount_major=pd.Series(map(Decimal, amounts), frame.index, object))

def whole(frame):
    return with_amounts(frame, ["20.00", "5"])

def halves(frame):
    return with_amounts(frame, ["19.99", "9.995"])

def yen(frame):
    return frame.assign(currency="JPY")

def whole_yen(frame):
    return with_amounts(frame, ["19", "5"]).assign(currency="jpy")

def fils(frame):
    return with_amounts(frame, ["19.995", "5"]).assign(currency="KWD")

def unknown(frame):
    return with_amounts(frame, ["19.9951", "5"]).assign(currency="XXX")

def no_currency(frame):
    return with_amounts(frame, ["19.9951", "5"]).assign(currency=None)

def floats(frame):
    return frame.assign(amount_major=frame["amount_major"].astype("double[pyarrow]"))

def plain_floats(frame):
    return frame.assign(amount_major=1.5)

def nothing(frame):
    frame["customer_id"] = "***"

def text(frame):
    return "done"

"""


@pytest.fixture(autouse=True)
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that the workers can import."""
    (tmp_path / "deployment.py").write_text(DEPLOYMENT, encoding="utf-8")
    (tmp_path / "deployment_broken.py").write_text("import no_such_module", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "deployment", raising=False)


PAGE = page(
    record(1, customerID={"S": "cus-1"}, amount={"N": "1999"}),
    record(2, customerID={"S": "cus-2"}, amount={"N": "500"}),
)


@cache
def payments() -> pd.DataFrame:
    """The frame of two payments, as the engine makes it."""
    (found,) = exported(selection(), PAGE).frames
    return found


def rows(name: str, format: str) -> list[dict[str, Any]]:
    """The rows of a file of payments, made with a transform."""
    wanted = selection()
    transform = load_transform(name, wanted.columns)
    sink = io.BytesIO()
    renderer = RENDERERS[format](sink, wanted.columns, first=True, sort=wanted.report.sort)
    renderer.write(transform(payments().copy()))
    renderer.finish()
    return READERS[format](sink.getvalue())


@pytest.mark.parametrize("format", RENDERERS)
@pytest.mark.parametrize("function", ["masked", "plain_objects"])
def test_a_function_that_a_setting_names_changes_a_column_in_every_format(
    function: str, format: str
) -> None:
    found = rows(f"deployment:{function}", format)
    assert [one["customer_id"] for one in found] == ["***1", "***2"]
    as_it_was = rows("", format)
    assert [one["customer_id"] for one in as_it_was] == ["cus-1", "cus-2"]
    for one, other in zip(found, as_it_was, strict=True):
        assert {**one, "customer_id": ""} == {**other, "customer_id": ""}


@pytest.mark.parametrize("format", RENDERERS)
def test_it_may_leave_out_rows(format: str) -> None:
    found = rows("deployment:large_only", format)
    assert [one["payment_id"] for one in found] == ["pay-000001"]
    assert rows("deployment:nothing_left", format) == []


@pytest.mark.parametrize("format", RENDERERS)
@pytest.mark.parametrize("function", ["reversed", "with_more"])
def test_the_columns_and_their_order_stay_the_reports(function: str, format: str) -> None:
    found = rows(f"deployment:{function}", format)
    assert found == rows("", format)
    assert list(found[0]) == [column.name for column in selection().columns]


@pytest.mark.parametrize("format", RENDERERS)
@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("dropped", "customer_id"),
        ("renamed", "customer_id"),
        ("number_for_text", "customer_id"),
        ("text_for_number", "amount_minor"),
        ("fraction", "amount_minor"),
        ("too_large", "amount_minor|too large"),
        ("flag_for_instant", "created_at_utc"),
        ("lists", "customer_id"),
        ("half_a_character", "surrogate"),
    ],
)
def test_a_column_that_is_gone_or_of_another_type_is_named(
    function: str, reason: str, format: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"is it the transform\?.*({reason})"):
        rows(f"deployment:{function}", format)


@pytest.mark.parametrize("format", RENDERERS)
@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("halves", r"amount_major is 9\.9950 USD, which has 2 decimals"),
        ("yen", r"amount_major is 19\.9900 JPY, which has 0 decimals"),
        ("floats", r"amount_major is of floats \(double\[pyarrow\]\)"),
        ("plain_floats", r"amount_major is of floats \(float64\)"),
    ],
)
def test_an_amount_that_would_have_to_be_cut_is_refused(
    function: str, reason: str, format: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^deployment:{function}, .*{reason}"):
        rows(f"deployment:{function}", format)


@pytest.mark.parametrize("format", RENDERERS)
@pytest.mark.parametrize(
    ("function", "amounts"),
    [
        ("whole", ["20.00", "5.00"]),
        ("whole_yen", ["19", "5"]),
        ("fils", ["19.995", "5.000"]),
        ("unknown", ["19.9951", "5.0000"]),
        ("no_currency", ["19.9951", "5.0000"]),
    ],
)
def test_an_amount_with_the_decimals_of_its_currency_is_written(
    function: str, amounts: list[str], format: str
) -> None:
    found = rows(f"deployment:{function}", format)
    assert [Decimal(str(one["amount_major"])) for one in found] == [*map(Decimal, amounts)]


def test_a_currency_that_is_not_in_the_file_counts_too() -> None:
    wanted = selection(columns=["amount_major"])
    (frame,) = exported(wanted, PAGE).frames
    with pytest.raises(ConfigurationError, match=r"19\.9900 JPY"):
        load_transform("deployment:yen", wanted.columns)(frame)


def test_an_amount_of_another_type_is_no_total_either() -> None:
    wrong = payments().assign(amount_major="a lot")
    with pytest.raises(ConfigurationError, match=r"is it the transform\?.*amount_major"):
        Totals(selection().columns).add(wrong)


@pytest.mark.parametrize("function", ["nothing", "text"])
def test_what_is_no_frame_is_named(function: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"deployment:{function}.* not a frame"):
        rows(f"deployment:{function}", "csv")


@pytest.mark.parametrize(
    "name",
    [
        "deployment:no_such_function",
        "no_such_module:masked",
        "deployment_broken:masked",
        "deployment",
        "deployment:",
        "masked",
        ":masked",
        "deployment.masked",
        "deployment/masked",
    ],
)
def test_a_name_of_nothing_says_what_it_should_be(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"REMIT_TRANSFORM is .*'module:function'"):
        load_transform(name, ())


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not a function"):
        load_transform("deployment:NUMBER", ())


def test_without_a_name_a_frame_stays_what_it_is() -> None:
    frame = pd.DataFrame()
    assert load_transform("", selection().columns)(frame) is frame
