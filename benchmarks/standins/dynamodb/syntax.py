"""Expressions as trees: what the parser makes and the evaluation walks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar


@dataclass(frozen=True, slots=True)
class Path:
    """A document path: names and list indexes, `a.b[0]` as `("a", "b", 0)`."""

    steps: tuple[str | int, ...]

    def __str__(self) -> str:
        head, *rest = self.steps
        return str(head) + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in rest)


@dataclass(frozen=True, slots=True)
class Bound:
    """A value by its placeholder, `:name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Size:
    """`size(path)`."""

    path: Path


Operand = Path | Bound | Size


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left operator right`."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    """`value BETWEEN low AND high`, both ends included."""

    value: Operand
    low: Operand
    high: Operand


@dataclass(frozen=True, slots=True)
class In:
    """`value IN (option, …)`."""

    value: Operand
    options: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function that is true or false."""

    name: str
    arguments: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class And:
    """Both."""

    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Or:
    """Either."""

    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    condition: Condition


Condition = Comparison | Between | In | Call | And | Or | Not


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left + right` or `left - right`."""

    operator: str
    left: SetOperand
    right: SetOperand


@dataclass(frozen=True, slots=True)
class IfNotExists:
    """`if_not_exists(path, default)`."""

    path: Path
    default: SetOperand


@dataclass(frozen=True, slots=True)
class ListAppend:
    """`list_append(first, second)`."""

    first: SetOperand
    second: SetOperand


SetOperand = Path | Bound | Arithmetic | IfNotExists | ListAppend


@dataclass(frozen=True)
class Update:
    """The clauses of an update expression."""

    sets: tuple[tuple[Path, SetOperand], ...] = ()
    removes: tuple[Path, ...] = ()
    adds: tuple[tuple[Path, Bound], ...] = ()
    deletes: tuple[tuple[Path, Bound], ...] = ()

    def paths(self) -> tuple[Path, ...]:
        """Every path that is written."""
        pairs = (*self.sets, *self.adds, *self.deletes)
        return (*(path for path, _ in pairs), *self.removes)

    @cached_property
    def is_flat(self) -> bool:
        """Whether it writes whole attributes only."""
        return all(len(path.steps) == 1 for path in self.paths())

    def roots(self) -> frozenset[str | int]:
        """The attributes that are written, or something within them."""
        return frozenset(path.steps[0] for path in self.paths())


Projection = tuple[Path, ...]
Tree = TypeVar("Tree", Condition, Update, Projection)


@dataclass(frozen=True)
class Parsed(Generic[Tree]):
    """A tree with the placeholders that its text uses."""

    tree: Tree
    names: frozenset[str]
    values: frozenset[str]
