"""What a document shows, for the tests to hold against the code."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Document:
    """A Markdown file of the repository."""

    path: str

    @property
    def text(self) -> str:
        """All of it."""
        return (REPOSITORY / self.path).read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks of a language, in order."""
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)

    def files(self) -> dict[str, str]:
        """The blocks of SQL that are given a file's name, by that name."""
        named = r"^`([\w/]+\.sql)`:\n\n```sql\n(.*?)^```$"
        return dict(re.findall(named, self.text, re.MULTILINE | re.DOTALL))

    def table(self, *head: str) -> list[list[str]]:
        """The cells of the only table with this head line."""
        (found,) = self.tables(*head)
        return found

    def tables(self, *head: str) -> list[list[list[str]]]:
        """The cells of all tables with this head line, in order."""
        line = re.escape(f"| {' | '.join(head)} |")
        bodies = re.findall(rf"^{line}\n\|[-|]+\|\n((?:\|.*\|\n)+)", self.text, re.MULTILINE)
        return [
            [[cell.strip() for cell in row[1:-1].split(" | ")] for row in body.splitlines()]
            for body in bodies
        ]

    def function(self, name: str) -> Callable[..., Any]:
        """A function that the document shows, as a reader would paste it."""
        (source,) = (block for block in self.blocks("python") if f"def {name}(" in block)
        namespace: dict[str, Any] = {}
        exec(compile(source, self.path, "exec"), namespace)  # noqa: S102 - our own text
        found: Callable[..., Any] = namespace[name]
        return found


def names(cell: str) -> list[str]:
    """What a cell has in code marks, in order."""
    return re.findall(r"`([^`]+)`", cell)
