"""A deployment's own change to every export: a function from frame to frame, named by a setting.

It sees each frame before it is rendered, in every format, and may change values (mask, shorten,
enrich) and leave out rows; the columns and their types stay the report's.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pandas as pd

from remit.errors import ConfigurationError

Transform = Callable[[pd.DataFrame], pd.DataFrame]


def load_transform(name: str) -> Transform:
    """The function that `module:function` names; no name: nothing is changed.

    Raises:
        ConfigurationError: there is no such function, or later: what it returns is no frame.
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

    def transform(frame: pd.DataFrame) -> pd.DataFrame:
        changed = found(frame)
        if not isinstance(changed, pd.DataFrame):
            raise ConfigurationError(
                f"{name}, the transform, returned {type(changed).__name__} and not a frame"
            )
        return changed

    return transform


def _unchanged(frame: pd.DataFrame) -> pd.DataFrame:
    return frame
