from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache

import pytest

from remit.exports.currencies import EXPONENTS, MOST_DECIMALS, minor_unit
from tests.unit.exports.building import exported, page, record, selection

KNOWN = [("JPY", 0), ("USD", 2), ("EUR", 2), ("KWD", 3), ("CLF", 4), ("UYW", 4)]
UNKNOWN = ["XXX", "XTS", "XAU", "ABC", "US", "USDD", "", " USD", "$", "ＵＳＤ"]  # noqa: RUF001


MINORS = (123_456, -123_456, 2**63 - 1, -(2**63))


@cache
def majors() -> Mapping[tuple[str | None, int], Decimal | None]:
    """Amounts in major units, as the engine has them, by currency and minor units."""
    codes = [None, *EXPONENTS, *map(str.lower, EXPONENTS), "uSD", *UNKNOWN]
    paid = [
        record(currency=... if code is None else {"S": code}, amount={"N": str(minor)})
        for code in codes
        for minor in MINORS
    ]
    rows = exported(selection(), page(*paid)).rows
    assert len(rows) == len(paid)
    return {(row["currency"], row["amount_minor"]): row["amount_major"] for row in rows}


@pytest.mark.parametrize(("code", "exponent"), KNOWN)
def test_the_exponent_is_that_of_iso_4217(code: str, exponent: int) -> None:
    assert EXPONENTS[code] == exponent


@pytest.mark.parametrize("code", UNKNOWN)
def test_what_iso_4217_does_not_know_has_none(code: str) -> None:
    assert code not in EXPONENTS


def test_the_table_holds_codes_of_three_letters_and_sane_exponents() -> None:
    assert all(re.fullmatch("[A-Z]{3}", code) for code in EXPONENTS)
    assert {*EXPONENTS.values()} == {0, 2, 3, 4}
    assert max(EXPONENTS.values()) == MOST_DECIMALS
    assert len(EXPONENTS) > 150


@pytest.mark.parametrize(
    ("exponent", "unit"), [(0, "1.0000"), (2, "0.0100"), (3, "0.0010"), (4, "0.0001")]
)
def test_a_minor_unit_has_all_decimals(exponent: int, unit: str) -> None:
    assert str(minor_unit(exponent)) == unit


@pytest.mark.parametrize(
    ("code", "amount"),
    [("JPY", "123456"), ("USD", "1234.56"), ("KWD", "123.456"), ("CLF", "12.3456")],
)
def test_an_amount_is_in_major_units_of_its_currency(code: str, amount: str) -> None:
    assert majors()[code, 123_456] == Decimal(amount)
    assert majors()[code, -123_456] == -Decimal(amount)


@pytest.mark.parametrize("code", ["usd", "uSD"])
def test_the_case_of_a_code_does_not_matter(code: str) -> None:
    assert majors()[code, 123_456] == Decimal("1234.56")


@pytest.mark.parametrize("code", [None, *UNKNOWN])
def test_an_amount_of_an_unknown_currency_is_missing_and_not_guessed(code: str | None) -> None:
    assert majors()[code, 123_456] is None


@pytest.mark.parametrize("minor", MINORS)
def test_every_amount_of_every_currency_is_exact(minor: int) -> None:
    found = {code: majors()[code, minor] for code in EXPONENTS}
    expected = {code: Decimal(minor).scaleb(-exponent) for code, exponent in EXPONENTS.items()}
    assert found == expected
