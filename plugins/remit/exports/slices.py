"""Parts of an export, as they travel between tasks: everything here turns into JSON and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from remit.aws.objects import StoredObject
from remit.exports.source import KeyRange


@dataclass(frozen=True)
class Slice:
    """A part of an export, under the claim (`token`) that it belongs to: a range of the index."""

    export_id: str
    token: str
    number: int
    keys: KeyRange

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Slice:
        """The inverse of `to_json`."""
        return cls(**{**value, "keys": KeyRange(**value["keys"])})

    def to_json(self) -> dict[str, Any]:
        """As it travels between tasks."""
        return asdict(self)


@dataclass(frozen=True)
class RenderedSlice:
    """A slice that was rendered: its object, its rows and what reading it cost."""

    slice: Slice
    object: StoredObject
    rows: int
    capacity_units: float

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RenderedSlice:
        """The inverse of `to_json`."""
        stored = {**value["object"], "crc64nvme": int(value["object"]["crc64nvme"])}
        return cls(
            Slice.from_json(value["slice"]),
            StoredObject(**stored),
            value["rows"],
            value["capacity_units"],
        )

    def to_json(self) -> dict[str, Any]:
        """As it travels between tasks; the 64-bit checksum goes as text."""
        value = asdict(self)
        value["object"]["crc64nvme"] = str(self.object.crc64nvme)
        return value
