"""Parts of an export, as they travel between tasks: everything here turns into JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from remit.aws.objects import StoredObject
from remit.exports.keyranges import KeyRange


@dataclass(frozen=True)
class Slice:
    """A part of an export, under the claim (`token`) that it belongs to: a range of the index.

    `attempt` is the number of the export's attempt that it is part of, which counts once a slice
    begins. `report_digest` is that of the report that the export was cut with.
    """

    export_id: str
    token: str
    number: int
    keys: KeyRange
    attempt: int
    report_digest: str

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Slice:
        """The inverse of `to_json`."""
        return cls(**{**value, "keys": KeyRange(**value["keys"])})

    def to_json(self) -> dict[str, Any]:
        """As it travels between tasks."""
        return asdict(self)


@dataclass(frozen=True)
class Part:
    """A file, or what will be a part of one: its object and its rows."""

    object: StoredObject
    rows: int

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Part:
        """The inverse of `to_json`."""
        stored = {**value["object"], "crc64nvme": int(value["object"]["crc64nvme"])}
        return cls(StoredObject(**stored), value["rows"])

    def to_json(self) -> dict[str, Any]:
        """As it travels between tasks; the 64-bit checksum goes as text."""
        value = asdict(self)
        value["object"]["crc64nvme"] = str(self.object.crc64nvme)
        return value


@dataclass(frozen=True)
class RenderedSlice:
    """A slice that was rendered.

    `totals` maps amount column to currency to the sum in major units, as decimal text; `rejects`
    is the object with the `rejected` records, if there are any.
    """

    slice: Slice
    parts: tuple[Part, ...]
    rejects: Part | None
    totals: Mapping[str, Mapping[str, str]]
    capacity_units: float

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def bytes(self) -> int:
        """Bytes of all parts."""
        return sum(part.object.bytes for part in self.parts)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RenderedSlice:
        """The inverse of `to_json`."""
        return cls(
            Slice.from_json(value["slice"]),
            tuple(Part.from_json(part) for part in value["parts"]),
            Part.from_json(value["rejects"]) if value["rejects"] else None,
            value["totals"],
            value["capacity_units"],
        )

    def to_json(self) -> dict[str, Any]:
        """As it travels between tasks."""
        return {
            "slice": self.slice.to_json(),
            "parts": [part.to_json() for part in self.parts],
            "rejects": self.rejects.to_json() if self.rejects else None,
            "totals": self.totals,
            "capacity_units": self.capacity_units,
        }
