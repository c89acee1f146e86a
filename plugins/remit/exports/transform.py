"""A deployment's own change to every export: a function from frame to frame, named by a setting.

It sees each frame before it is rendered, in every format, and may change values (mask, shorten,
enrich) and leave out rows; the columns and their types stay the report's, and amounts have no more
decimals than their currency.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from remit.errors import ConfigurationError
from remit.exports.currencies import EXPONENTS
from remit.exports.render.arrow import table_of
from remit.exports.render.cells import with_currencies
from remit.exports.reports import Column

Transform = Callable[[pd.DataFrame], pd.DataFrame]


def load_transform(name: str, columns: Sequence[Column]) -> Transform:
    """The function that `module:function` names, for frames with these columns; no name: nothing is
    changed, and nothing is looked at.

    Raises:
        ConfigurationError: there is no such function, or later: what it returns is no frame, or has
            amounts that are none.
    """
    if not name:
        return _unchanged
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"REMIT_TRANSFORM is {name!r}: it must be 'module:function', in a module that the "
            f"workers can import ({error})"
        ) from error
    if not callable(found):
        raise ConfigurationError(f"REMIT_TRANSFORM is {name!r}, which is not a function")

    amounts = [column for column in columns if column.type == "major"]

    def transform(frame: pd.DataFrame) -> pd.DataFrame:
        changed = found(frame)
        if not isinstance(changed, pd.DataFrame):
            raise ConfigurationError(
                f"{name}, the transform, returned {type(changed).__name__} and not a frame"
            )
        try:
            _check_amounts(changed, amounts)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}, the transform: {error}") from error
        return changed

    return transform


def _check_amounts(frame: pd.DataFrame, amounts: Sequence[Column]) -> None:
    """Formats would cut what is too much, each at another place."""
    names = {column.name for column in amounts}
    for name, kind in frame.dtypes.items():
        if name in names and pd.api.types.is_float_dtype(kind):
            raise ConfigurationError(
                f"{name} is of floats ({kind}), which are not exact: an amount is a decimal"
            )
    table = table_of(frame, with_currencies(amounts))
    for column in amounts:
        _check_decimals(column.name, table[column.name], table[column.currency])


def _check_decimals(name: str, amounts: pa.ChunkedArray, currencies: pa.ChunkedArray) -> None:
    for currency in currencies.unique().drop_null().to_pylist():
        exponent = EXPONENTS.get(currency.upper())
        if exponent is None:
            continue
        found = amounts.filter(pc.equal(currencies, currency))
        whole = pc.round(found, exponent, "towards_zero")
        if found != whole:
            wrong = found.filter(pc.not_equal(found, whole))[0]
            raise ConfigurationError(
                f"{name} is {wrong} {currency}, which has {exponent} decimals: round it"
            )


def _unchanged(frame: pd.DataFrame) -> pd.DataFrame:
    return frame
