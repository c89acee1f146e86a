from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit.errors import ExportFailed
from remit.exports.rejects import MOST_OF_MESSAGE, Detail, Rejects, objection_to
from remit.exports.reports import Attribute, Report, load_report
from remit.exports.reports.source import ATTRIBUTE_TYPES
from remit.settings import Settings
from tests.support.exports import REPORTS
from tests.unit.exports.building import (
    Exported,
    exported,
    page,
    record,
    selection,
    transaction,
)

RIGHT: Mapping[str, Any] = {
    "text": {"S": "a"},
    "integer": {"N": "1"},
    "instant": {"S": "2026-01-31T23:59:59Z"},
    "day": {"S": "2026-01-31"},
    "boolean": {"BOOL": True},
    "json": {"M": {"k": {"S": "v"}}},
}
"""Attribute type to a value that it may have."""

KIND = {"text": "S", "integer": "N", "instant": "S", "day": "S", "boolean": "BOOL"}
"""Attribute type to the one type that DynamoDB's value has to have; json takes all."""

VALUES: Mapping[str, Any] = {
    "S": {"S": "x"},
    "N": {"N": "1"},
    "B": {"B": "AAE="},
    "BOOL": {"BOOL": True},
    "M": {"M": {"k": {"S": "v"}}},
    "L": {"L": [{"S": "v"}]},
    "SS": {"SS": ["a"]},
    "NS": {"NS": ["1"]},
    "BS": {"BS": ["AAE="]},
}
"""A value of each of DynamoDB's types, but NULL."""

SOURCE = """\
-- table: Things
-- index: gsi-merchant-created
-- partition: merchantID
-- range: createdAt
-- attribute: id id text required
-- attribute: createdAt created_at instant required
-- attribute: text a_text text
-- attribute: integer an_integer integer
-- attribute: instant an_instant instant
-- attribute: day a_day day
-- attribute: boolean a_boolean boolean
-- attribute: json a_json json
-- attribute: needed needed integer required
SELECT *, plain_json(a_json) AS plain FROM items
"""
REPORT = """\
-- title: Things
-- description: Every type of attribute.
-- permission: things
-- sources: things
-- sliced: yes
-- column: id text
-- column: text text
-- column: integer integer [1]
-- column: instant_utc timestamp
-- column: day date
-- column: boolean boolean
-- column: json json
-- column: needed integer [1]
SELECT id, a_text AS text, an_integer AS integer, an_instant AS instant_utc, a_day AS day,
    a_boolean AS boolean, plain AS json, needed
FROM things
"""


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report on a source that has every type of attribute."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "sources").mkdir()
    (folder / "sources" / "things.sql").write_text(SOURCE, encoding="utf-8")
    (folder / "things.sql").write_text(REPORT, encoding="utf-8")
    return load_report(folder / "things.sql")


def thing(number: int, **changes: Any) -> dict[str, Any]:
    values = {
        "id": {"S": f"{number}"},
        "createdAt": {"S": "2026-01-15T12:00:00Z"},
        "needed": {"N": "1"},
        **changes,
    }
    return {name: value for name, value in values.items() if value is not ...}


def attribute(kind: str, *, required: bool = False) -> Attribute:
    return Attribute("it", "column", kind, required)


def reason_against(
    declared: Attribute, record: Mapping[str, Any], detail: Detail = Detail.VALUES
) -> str | None:
    objection = objection_to(declared, record)
    return objection and objection.reason(detail)


def test_every_type_of_attribute_has_a_right_value_here() -> None:
    assert set(RIGHT) == set(KIND) | {"json"} == set(ATTRIBUTE_TYPES)


@pytest.mark.parametrize("kind", ATTRIBUTE_TYPES)
def test_a_right_value_is_nothing_to_complain_of(kind: str) -> None:
    assert reason_against(attribute(kind), {"it": RIGHT[kind]}) is None
    assert reason_against(attribute(kind, required=True), {"it": RIGHT[kind]}) is None


@pytest.mark.parametrize("kind", KIND)
@pytest.mark.parametrize("type", VALUES)
def test_a_value_of_another_type_is_named_with_both_types(kind: str, type: str) -> None:
    reason = reason_against(attribute(kind), {"it": VALUES[type]})
    if type == KIND[kind]:
        assert reason is None or "such as 2026-01-31" in reason
    else:
        assert reason == f"it is of the type {type}, not {KIND[kind]}"


@pytest.mark.parametrize("type", VALUES)
def test_json_takes_every_type(type: str) -> None:
    assert reason_against(attribute("json"), {"it": VALUES[type]}) is None


@pytest.mark.parametrize("kind", ATTRIBUTE_TYPES)
@pytest.mark.parametrize("record", [{}, {"it": {"NULL": True}}], ids=["missing", "NULL"])
def test_what_is_missing_matters_only_where_it_is_required(kind: str, record: Any) -> None:
    assert reason_against(attribute(kind), record) is None
    assert reason_against(attribute(kind, required=True), record) == "it is missing"


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("integer", {"N": "12.5"}, "it is not a whole number: 12.5"),
        ("integer", {"N": "NaN"}, "it is not a whole number: NaN"),
        ("integer", {"N": "0x10"}, "it is not a whole number: 0x10"),
        ("integer", {"N": "١٢"}, "it is not a whole number: ١٢"),
        ("integer", {"N": "1_000"}, "it is not a whole number: 1_000"),
        ("integer", {"N": "1e400"}, "it does not fit into 64 bits: 1e400"),
        ("integer", {"N": str(2**63)}, f"it does not fit into 64 bits: {2**63}"),
        (
            "instant",
            {"S": "soon"},
            (
                "it is not an RFC 3339 instant such as 2026-01-31T23:59:59Z, "
                "of the years 1 to 9999: soon"
            ),
        ),
        ("day", {"S": "2026-1-31"}, "it is not a day such as 2026-01-31: 2026-1-31"),
        ("day", {"S": "20260131"}, "it is not a day such as 2026-01-31: 20260131"),
        ("day", {"S": "2026-W05-6"}, "it is not a day such as 2026-01-31: 2026-W05-6"),
        ("day", {"S": "2026-02-30"}, "it is not a day such as 2026-01-31: 2026-02-30"),
        ("day", {"S": "infinity"}, "it is not a day such as 2026-01-31: infinity"),
    ],
)
def test_a_reason_says_what_is_there_and_what_would_be_right(
    kind: str, value: Any, reason: str
) -> None:
    assert reason_against(attribute(kind), {"it": value}) == reason
    unseen = reason_against(attribute(kind), {"it": value}, Detail.NAMES)
    assert unseen == reason.rpartition(": ")[0], "without the value"


@pytest.mark.parametrize("kind", ["integer", "instant", "day"])
def test_of_a_long_value_a_reason_has_the_beginning(kind: str) -> None:
    reason = reason_against(attribute(kind), {"it": {KIND[kind]: "9" * 300_000}})
    assert reason is not None
    assert reason.endswith(": " + "9" * 99 + "…")


BAD_RECORD = record(2, amount={"N": "?"}, status={"L": [{"N": "4"}]}, other={"S": "undeclared"})
DECLARED = {name: BAD_RECORD[name] for name in BAD_RECORD if name not in {"merchantID", "other"}}
UNSEEN = ["status is of the type L, not S", "amount is not a whole number"]
SEEN = ["status is of the type L, not S", "amount is not a whole number: ?"]


@pytest.mark.parametrize(
    ("detail", "reasons", "shown"),
    [
        (Detail.NAMES, UNSEEN, {"createdAt"}),
        (Detail.VALUES, SEEN, {"createdAt", "amount", "status"}),
        (Detail.WHOLE, SEEN, DECLARED),
    ],
)
def test_a_reject_shows_no_more_than_it_may(detail: Detail, reasons: list[str], shown: Any) -> None:
    found = exported(selection(), page(BAD_RECORD), detail=detail)
    assert json.loads(found.rejects.lines()) == {
        "source": "payments",
        "id": "pay-000002",
        "reasons": reasons,
        "record": {name: DECLARED[name] for name in shown},
    }


def test_a_reject_has_the_beginning_of_a_long_value() -> None:
    long = "4" * 300_000
    bad = record(amount={"M": {"a": {"S": long}}}, updatedAt={"S": long})
    line = json.loads(exported(selection(), page(bad)).rejects.lines())
    assert line["record"] == {
        "createdAt": bad["createdAt"],
        "updatedAt": {"S": "4" * 99 + "…"},
        "amount": {"M": '{"a": {"S": "' + "4" * 86 + "…"},
    }
    whole = exported(selection(), page(bad), detail=Detail.WHOLE).rejects.lines()
    assert json.loads(whole)["record"]["updatedAt"] == {"S": long}


@pytest.mark.parametrize(
    ("report", "settings", "detail"),
    [
        ("payments", Settings(), Detail.VALUES),
        ("payments", Settings(transform="masking:mask"), Detail.NAMES),
        ("payments", Settings(transform="masking:mask", rejects_whole=True), Detail.WHOLE),
        ("payments", Settings(rejects_whole=True), Detail.WHOLE),
        ("daily_summary", Settings(), Detail.NAMES),
        ("daily_summary", Settings(rejects_whole=True), Detail.NAMES),
    ],
)
def test_what_a_reject_may_show_goes_by_the_report_and_the_settings(
    report: str, settings: Settings, detail: Detail
) -> None:
    assert Detail.of(REPORTS[report], settings) is detail


def test_a_summary_shows_no_value_of_the_records_that_it_cannot_add_up() -> None:
    rejects = Rejects.of(REPORTS["daily_summary"], Settings(max_rejects=1, rejects_whole=True))
    bad = transaction(1, amount={"N": "4111.5"}, responseText={"N": "4111"})

    assert rejects.admit("transactions", page(bad), [0]) == [False]
    with pytest.raises(ExportFailed) as caught:
        rejects.admit("transactions", page(bad), [0])

    assert b"amount is not a whole number" in rejects.lines()
    assert b"4111" not in rejects.lines()
    assert "4111" not in str(caught.value)


def test_the_rejects_file_has_a_record_with_all_its_reasons_per_line() -> None:
    bad = record(2, amount={"N": "?"}, status={"L": []}, other={"S": "not declared"})
    found = exported(selection(), page(record(1), bad, record(0, currency={"N": "5"})))

    lines = [json.loads(line) for line in found.rejects.lines().decode().splitlines()]

    assert [line["id"] for line in lines] == ["pay-000000", "pay-000002"], "by id"
    assert lines[1] == {
        "source": "payments",
        "id": "pay-000002",
        "reasons": ["status is of the type L, not S", "amount is not a whole number: ?"],
        "record": {name: bad[name] for name in ("createdAt", "status", "amount")},
    }
    assert len(found.rejects) == 2


def test_a_reject_without_an_id_has_none() -> None:
    found = exported(selection(), page(record(1, id=...)))
    assert found.rejected == {"": "id is missing"}


@pytest.mark.parametrize("created", ["2026-02-01T00:00:00Z", "2025-12-31T23:59:59.999999Z"])
@pytest.mark.parametrize("filters", [{}, {"min_amount": 1}, {"status": "succeeded"}])
def test_a_record_outside_the_range_is_nobodys_business(created: str, filters: Any) -> None:
    odd = record(2, createdAt={"S": created}, amount={"N": "?"}, updatedAt={"S": "later"})
    found = exported(selection(**filters), page(odd, record(1), odd))
    assert found.column("payment_id") == ["pay-000001"]
    assert found.rejected == {}


def test_a_record_that_is_plainly_not_asked_for_is_nobodys_business() -> None:
    odd = record(1, status={"S": "failed"}, amount={"N": "?"})
    assert exported(selection(status="succeeded"), page(odd)).rejected == {}


@pytest.mark.parametrize("status", [{"S": "failed"}, ..., {"NULL": True}, {"S": ""}])
def test_a_record_without_what_a_filter_asks_for_is_nobodys_business(status: Any) -> None:
    odd = record(1, status=status, updatedAt={"S": "later"})
    found = exported(selection(status="succeeded"), page(odd, record(2)), limit=0)
    assert found.column("payment_id") == ["pay-000002"]
    assert list(exported(selection(), page(odd)).rejected) == ["pay-000001"]


@pytest.mark.parametrize(
    ("filters", "changes"),
    [
        ({"min_amount": 1}, {"amount": {"N": "?"}}),
        ({"min_amount": 1}, {"amount": ...}),
        ({"min_amount": 1}, {"amount": {"NULL": True}}),
        ({"customer_id": "cus-1"}, {"customerID": {"N": "1"}}),
        ({"currency": "USD", "status": "succeeded"}, {"currency": {"B": "AAE="}}),
    ],
)
def test_a_record_that_may_be_asked_for_is_set_aside_and_not_lost(
    filters: Any, changes: Any
) -> None:
    found = exported(selection(**filters), page(record(1, **changes), record(2)))
    assert found.column("payment_id") == ["pay-000002"]
    assert list(found.rejected) == ["pay-000001"]


def test_what_passes_the_judge_still_has_to_match_the_filters() -> None:
    odd = record(1, description={"NULL": True}, amount={"N": "5.0"})
    assert exported(selection(min_amount=6), page(odd)).rows == []
    assert len(exported(selection(min_amount=5), page(odd)).rows) == 1


def test_a_condition_of_the_report_hides_no_record_that_cannot_be_read() -> None:
    bad = [transaction(1, type={"N": "5"}), transaction(2, type=...), transaction(3)]
    found = exported(selection("refunds"), page(*bad))
    assert found.column("refund_id") == ["txn-000003"]
    assert found.rejected == {
        "txn-000001": "type is of the type N, not S",
        "txn-000002": "type is missing",
    }


def test_beyond_the_limit_the_export_fails_with_an_example() -> None:
    bad = [record(number, amount={"N": "?"}) for number in range(3)]
    rejects = Rejects.of(REPORTS["payments"], Settings(max_rejects=2))

    assert rejects.admit("payments", page(*bad), [0, 1]) == [False, False]
    with pytest.raises(ExportFailed) as caught:
        rejects.admit("payments", page(*bad), [2])

    assert caught.value.code == "too_many_rejects"
    assert str(caught.value) == (
        "more than 2 records cannot be read; one of them, payments pay-000000: "
        "amount is not a whole number: ?"
    )
    assert rejects.failure is caught.value


def test_however_much_is_wrong_the_message_of_the_failure_is_short() -> None:
    long = "9" * 300_000
    wrong = {name: {"BS": [long]} for name in record() if name not in {"id", "merchantID"}}
    rejects = Rejects.of(REPORTS["payments"], Settings(max_rejects=0))
    with pytest.raises(ExportFailed) as caught:
        rejects.admit("payments", page(record(id={"S": long}, **wrong)), [0])
    assert len(str(caught.value)) <= MOST_OF_MESSAGE


def test_no_reject_is_allowed_where_the_limit_is_zero() -> None:
    with pytest.raises(ExportFailed, match="more than 0 records"):
        exported(selection(), page(record(1, amount={"N": "?"})), limit=0)


# What may stand in an attribute, and what it means: the judge and the SQL are held to this.

BAD = object()
"""The record has to be among the rejects."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:[0-5]\d)", re.ASCII
)


def whole(text: str) -> Any:
    if not NUMBER.fullmatch(text):
        return BAD
    number = Decimal(text)
    fits = not number or (number.adjusted() < 20 and number == number.to_integral_value())
    return int(number) if fits and -(2**63) <= number < 2**63 else BAD


def moment(text: str) -> Any:
    if not text:
        return None
    if (match := INSTANT.fullmatch(text)) is None:
        return BAD
    day, clock, fraction, offset = match.groups()
    micros = (fraction or "").ljust(6, "0")[:6]
    zone = "+00:00" if offset in "Zz" else offset
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{micros}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return BAD


def calendar_day(text: str) -> Any:
    if not text:
        return None
    try:
        return date.fromisoformat(text) if DAY.fullmatch(text) else BAD
    except ValueError:
        return BAD


def plain(value: Any) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "M":
            return {name: plain(one) for name, one in content.items()}
        case "L":
            return [plain(one) for one in content]
        case "N":
            return Decimal(content)
        case "NS":
            return sorted(map(Decimal, content))
        case "SS" | "BS":
            return sorted(content)
        case "NULL":
            return None
    return content


READ = {
    "text": lambda value: value["S"],
    "integer": lambda value: whole(value["N"]),
    "instant": lambda value: moment(value["S"]),
    "day": lambda value: calendar_day(value["S"]),
    "boolean": lambda value: value["BOOL"],
    "json": plain,
}


def meaning(kind: str, value: Any) -> Any:
    """What an attribute of this type says."""
    if value is ... or value == {"NULL": True}:
        return None
    if kind != "json" and KIND[kind] not in value:
        return BAD
    return READ[kind](value)


DIGITS = st.text("0123456789", min_size=1, max_size=20)
NUMBERS = st.one_of(
    st.integers(-(2**64), 2**64).map(str),
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["", "-", "+"]),
            st.one_of(DIGITS, st.just("0" * 19 + "5"), st.just("")),
            st.sampled_from(["", ".", ".0", ".000", ".5", ".50", ".0000000001"]),
            st.sampled_from(["", "e0", "E1", "e-1", "E+3", "e+18", "E-19", "e400", "e-400"]),
        ),
    ),
    st.decimals(-(10**38), 10**38, allow_nan=False, places=0).map(str),
    st.sampled_from(
        [
            "1E+3",
            "12.0",
            "1.2E1",
            "+5",
            "007",
            "1e400",
            "-0",
            "",
            " 5",
            "5 ",
            "1_000",
            "0x10",
            "NaN",
            "Infinity",
            "-Infinity",
            "١٢",
            "\uff15",  # full-width
            "1,000",
            "12345678901234567890e-1",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "1" * 38,
        ]
    ),
)
INSTANTS = st.one_of(
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["2026", "0001", "9999", "1969", "12026", "0000", "-026", "26"]),
            st.sampled_from(["-01-15", "-12-31", "-02-30", "-01-01", "-1-5", "/01/15"]),
            st.sampled_from(["T", "T", "t", " ", "_", ""]),
            st.sampled_from(
                ["12:00:00", "23:59:59", "00:00:00", "24:00:00", "23:59:60", "12:60:00", "12:00"]
            ),
            st.one_of(
                st.just(""), st.text("0123456789", min_size=1, max_size=18).map(".{}".format)
            ),
            st.sampled_from(
                [
                    "Z",
                    "Z",
                    "z",
                    ".Z",
                    " NZ",
                    "+05:75",
                    "-00:60",
                    "+05:30",
                    "-12:00",
                    "+14:00",
                    "+0530",
                    "+05",
                    "",
                    " ",
                    " UTC",
                    "+24:00",
                    "-99:99",
                    "+00:00",
                    "-00:00",
                    " +01:00",
                    "+01:00:00",
                ]
            ),
        ),
    ),
    st.sampled_from(
        ["", "soon", "infinity", "-infinity", "epoch", "now", "2026-01-15", "12:00:00Z"]
    ),
)
DAYS = st.one_of(
    st.dates().map(str),
    st.sampled_from(
        [
            "2026-1-31",
            "20260131",
            "2026-W05-6",
            "2026-02-29",
            "2024-02-29",
            "12026-01-15",
            "",
            "infinity",
            "epoch",
            "today",
            "2026-01-31 ",
            "2026/01/31",
            "2026-01-31T00:00:00Z",
            "2026-01-31 (BC)",
            "-2026-01-31",
            "٢٠٢٦-01-31",
            "2026-031",
        ]
    ),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
BINARY = st.binary(max_size=6).map(lambda content: base64.b64encode(content).decode())
FINITE = st.decimals(-(10**20), 10**20, allow_nan=False, places=8).map(str)
LEAVES = st.one_of(
    TEXTS.map(lambda text: {"S": text}),
    FINITE.map(lambda number: {"N": number}),
    BINARY.map(lambda content: {"B": content}),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    st.lists(TEXTS, min_size=1, max_size=3, unique=True).map(lambda texts: {"SS": texts}),
    st.lists(FINITE, min_size=1, max_size=3, unique=True).map(lambda numbers: {"NS": numbers}),
    st.lists(BINARY, min_size=1, max_size=3, unique=True).map(lambda blobs: {"BS": blobs}),
)
ANY = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda ones: {"L": ones})
        | st.dictionaries(TEXTS, inner, max_size=3).map(lambda ones: {"M": ones})
    ),
    max_leaves=6,
)
USUAL: Mapping[str, st.SearchStrategy[Any]] = {
    "text": TEXTS.map(lambda text: {"S": text}),
    "integer": NUMBERS.map(lambda number: {"N": number}),
    "instant": INSTANTS.map(lambda text: {"S": text}),
    "day": DAYS.map(lambda text: {"S": text}),
    "boolean": st.booleans().map(lambda flag: {"BOOL": flag}),
    "json": ANY,
}


def one_odd_attribute(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return (USUAL[kind] | USUAL[kind] | ANY).map(lambda value: {kind: value})


THINGS = st.lists(
    st.one_of(*map(one_odd_attribute, USUAL))
    | st.fixed_dictionaries({}, optional={kind: USUAL[kind] | ANY for kind in USUAL}),
    min_size=1,
    max_size=40,
)


def outcome(found: Exported, number: int) -> Any:
    (row,) = [row for row in found.rows if row["id"] == str(number)] or [None]
    assert (row is None) == (str(number) in found.rejected), "exported or set aside, never neither"
    return row


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(odd=THINGS)
def test_a_record_is_exported_with_the_right_values_or_set_aside(
    things: Report, odd: list[dict[str, Any]]
) -> None:
    records = [thing(number, **changes) for number, changes in enumerate(odd)]
    found = exported(selection(things), page(*records))

    assert len(found.rows) + len(found.rejected) == len(records)
    for number, changes in enumerate(odd):
        meant = {kind: meaning(kind, value) for kind, value in changes.items()}
        row = outcome(found, number)
        if any(value is BAD for value in meant.values()):
            assert row is None, changes
            continue
        assert row is not None, (changes, found.rejected)
        for kind, value in meant.items():
            read = row["instant_utc" if kind == "instant" else kind]
            if kind == "json" and read is not None:
                read = json.loads(read, parse_float=Decimal, parse_int=Decimal)
            assert read == value, changes


LENIENT = {
    "2026-01-15T12:00:5.25Z": datetime(2026, 1, 15, 12, 0, 5, 250000, tzinfo=UTC),
    "2026-01-15T\t2:00:00Z": datetime(2026, 1, 15, 2, tzinfo=UTC),
}
"""What RFC 3339 does not allow and is read all the same: it can mean one thing only."""


def test_an_instant_that_can_mean_one_thing_only_is_read_as_that(things: Report) -> None:
    records = [thing(n, instant={"S": text}) for n, text in enumerate(LENIENT)]
    found = exported(selection(things), page(*records))
    assert found.column("instant_utc") == list(LENIENT.values())


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-15T12:00:00+05:75",
        "2026-01-15T12:00:00-00:60",
        "2026-01-15T24:00:00Z",
        "2026-01-15T24:00:00.000000Z",
        "2026-01-15T24:00:00+01:00",
        "2026-01-15T12:00:00 NZ",
        "2026-01-15T12:00:00.5 NZ",
        "2026-01-15T12:00: NZ",
        "2026-01-15T12:00:00.Z",
        "2026-01-15T12:00:00 Z",
    ],
)
def test_what_a_cast_would_take_for_an_instant_is_a_reject(things: Report, text: str) -> None:
    found = exported(selection(things), page(thing(1, instant={"S": text}), thing(2)))
    assert found.column("id") == ["2"]
    assert "an RFC 3339 instant such as" in found.rejected["1"]


@pytest.mark.parametrize("digits", [*range(7, 19), 40])
def test_digits_beyond_microseconds_are_cut_off(things: Report, digits: int) -> None:
    """Rounding up would move an instant over the edge of a range."""
    records = [
        thing(n, instant={"S": f"2026-01-15T23:59:59.{'9' * digits}{offset}"})
        for n, offset in enumerate(["Z", "z", "+00:00"])
    ]
    found = exported(selection(things), page(*records))
    last = datetime(2026, 1, 16, tzinfo=UTC) - timedelta(microseconds=1)
    assert found.column("instant_utc") == [last] * 3
