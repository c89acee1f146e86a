"""How settings are read from the environment: a dataclass names the variable of each field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from remit.errors import ConfigurationError

T = TypeVar("T")


def setting(variable: str, default: Any, meaning: str) -> Any:
    """A dataclass field that is read from an environment variable."""
    return field(default=default, metadata={"variable": variable, "meaning": meaning})


def secret(variable: str, meaning: str) -> Any:
    """A setting, empty unless it is set, that no representation of the settings shows."""
    return field(default="", repr=False, metadata={"variable": variable, "meaning": meaning})


def read(kind: type[T], environment: Mapping[str, str]) -> T:
    """The settings of a kind; what is unset or empty keeps its default.

    Raises:
        ConfigurationError: a value does not parse or contradicts another.
    """
    values: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type]
        variable = item.metadata["variable"]
        if text := environment.get(variable, "").strip():
            values[item.name] = _parse(variable, text, type(item.default))
    return kind(**values)


def _parse(variable: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in {"true", "false"}:
            raise ConfigurationError(f"{variable} is {text!r}: it must be true or false")
        return text.lower() == "true"
    if kind in {int, timedelta}:
        try:
            number = int(text) if kind is int else float(text)
        except ValueError:
            raise ConfigurationError(f"{variable} is {text!r}: it must be a number") from None
        if not 0 < number < 10**9:
            raise ConfigurationError(f"{variable} is {text!r}: it must be between 0 and 10^9")
        return number if kind is int else timedelta(seconds=number)
    return Path(text) if issubclass(kind, Path) else text
