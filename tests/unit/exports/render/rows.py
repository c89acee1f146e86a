"""Random rows of a report with a column of every type."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from remit.exports.currencies import EXPONENTS, MOST_DECIMALS

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**38), 10**38) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
).map(lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")))
MISSING_AMOUNT: Any = (None, None)
AMOUNTS = st.one_of(
    st.just(MISSING_AMOUNT),
    st.tuples(st.just(None), st.sampled_from(["XXX", "", "usd"])),
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.sampled_from(["USD", "JPY", "KWD", "CLF", "jpy", "EUR"]),
    ).map(lambda pair: (Decimal(pair[0]).scaleb(-EXPONENTS[pair[1].upper()]), pair[1])),
)


def _row(amount: tuple[Any, Any], **values: Any) -> dict[str, Any]:
    return {**values, "amount": amount[0], "currency": amount[1]}


ROWS = st.lists(
    st.builds(
        _row,
        AMOUNTS,
        name=st.none() | TEXTS,
        amount_minor=st.none() | st.integers(-(2**63), 2**63 - 1),
        created_at_utc=st.none()
        | st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
        day=st.none() | st.dates(),
        live=st.none() | st.booleans(),
        metadata=st.none() | JSON,
        fees=st.none() | JSON,
        others=st.none() | JSON,
    ),
    max_size=6,
)


def shown(amount: Decimal | None, currency: str | None) -> str | None:
    """An amount in major units, with the decimals of its currency."""
    if amount is None:
        return None
    return f"{amount:.{EXPONENTS.get((currency or '').upper(), MOST_DECIMALS)}f}"
