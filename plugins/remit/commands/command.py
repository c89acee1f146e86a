"""What a module must have to be a command, and what its output looks like."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any, Protocol


class Command(Protocol):
    """A command, which is a module or an object."""

    @property
    def HELP(self) -> str:  # noqa: N802 - a module's constant
        """One line for `--help`."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare its arguments. Nothing that is slow may be imported for that."""

    def run(self, options: argparse.Namespace) -> None:
        """Do it, and print what came of it."""


def show(document: Mapping[str, Any]) -> None:
    """Print one line of output: a JSON object."""
    print(json.dumps(document, ensure_ascii=False))
