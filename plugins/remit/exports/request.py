"""What an export can be asked for: one validated model behind every entrance."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from remit.clock import format_instant, parse_instant
from remit.errors import FieldError, InvalidRequest

Format = Literal["csv", "json", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)

PAYMENT_STATUSES = ("pending", "processing", "succeeded", "failed", "canceled")

_WHOLE = re.compile(r"-?\d{1,20}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_DATE_RULE = "a day (2026-01-31) or an RFC 3339 instant with its offset (2026-01-31T23:59:59Z)"


@dataclass(frozen=True)
class TimeRange:
    """A half-open range of instants: `start` is in it, `end` is not."""

    start: datetime
    end: datetime


class ExportRequest(BaseModel):
    """An export as it is asked for.

    `start_date` and `end_date` are days or instants. A start day begins at its midnight, an end
    day is exported whole; an end instant is exclusive. Amounts are in minor units.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    start_date: str = Field(description="First day, or first instant", max_length=64)
    end_date: str = Field(description="Last day (whole), or end instant (exclusive)", max_length=64)
    format: Format = "csv"
    report: str = Field(default="payments", max_length=64)
    status: str | None = Field(default=None, description="Only payments in this status")
    customer_id: str | None = Field(default=None, min_length=1, max_length=256)
    min_amount: int | None = Field(default=None, description="Minor units, inclusive")
    max_amount: int | None = Field(default=None, description="Minor units, inclusive")

    @field_validator("start_date", "end_date")
    @classmethod
    def _date(cls, text: str, info: ValidationInfo) -> str:
        _bound(text, last=info.field_name == "end_date")
        return text

    @field_validator("status")
    @classmethod
    def _status(cls, text: str | None) -> str | None:
        if text is not None and text not in PAYMENT_STATUSES:
            raise ValueError(f"{text!r} is not a payment status")
        return text

    @field_validator("min_amount", "max_amount", mode="before")
    @classmethod
    def _amount(cls, amount: Any) -> int | None:
        if isinstance(amount, str) and _WHOLE.fullmatch(amount):
            amount = int(amount)
        if amount is None or (type(amount) is int and abs(amount) < 2**63):
            return amount
        raise ValueError(f"{amount!r} is not a whole number of at most 64 bits")

    @property
    def range(self) -> TimeRange:
        """The instants that the two dates mean, half-open."""
        return TimeRange(_bound(self.start_date, last=False), _bound(self.end_date, last=True))


ALLOWED: Mapping[str, str | tuple[str, ...]] = {
    "start_date": _DATE_RULE,
    "end_date": _DATE_RULE,
    "format": FORMATS,
    "status": PAYMENT_STATUSES,
    "customer_id": "a customer's id, 1 to 256 characters",
    "min_amount": "a whole number of minor units",
    "max_amount": "a whole number of minor units",
}
"""Field to what is allowed in it, as errors state it; `report` depends on the deployment."""


def parse_request(values: Mapping[str, Any], reports: Collection[str]) -> ExportRequest:
    """Validate a request that names its fields as `ExportRequest` does.

    Raises:
        InvalidRequest: at least one field is wrong; all of them are named.
    """
    try:
        request = ExportRequest.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest(*(_field_error(e, reports) for e in error.errors())) from None
    errors = []
    if request.report not in reports:
        errors.append(_error("report", f"there is no report {request.report!r}", reports))
    span = request.range
    if span.start >= span.end:
        message = f"the range ends ({request.end_date}) before it starts ({request.start_date})"
        errors.append(FieldError("end_date", message, "an end after start_date"))
    low, high = request.min_amount, request.max_amount
    if low is not None and high is not None and low > high:
        errors.append(FieldError("max_amount", "less than min_amount", "at least min_amount"))
    if errors:
        raise InvalidRequest(*errors)
    return request


def check_length(request: ExportRequest, days: int) -> None:
    """Hold a merchant to the longest range that one export may have.

    Raises:
        InvalidRequest: the range is longer.
    """
    span = request.range
    if span.end - span.start > timedelta(days=days):
        raise InvalidRequest(
            FieldError(
                "end_date",
                f"the range is {(span.end - span.start).days} days long",
                f"at most {days} days; the permission 'history' lifts the limit",
            )
        )


def _bound(text: str, *, last: bool) -> datetime:
    whole_day = _DAY.fullmatch(text) is not None
    instant = parse_instant(f"{text}T00:00:00Z" if whole_day else text)
    if not _EARLIEST <= instant <= _LATEST:
        raise ValueError(f"outside {format_instant(_EARLIEST)} to {format_instant(_LATEST)}")
    return instant + timedelta(days=1) if whole_day and last else instant


def _field_error(error: Any, reports: Collection[str]) -> FieldError:
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return FieldError(field, "unknown parameter", tuple(ExportRequest.model_fields))
    if error["type"] == "missing":
        return _error(field, "missing", reports)
    return _error(field, error["msg"].removeprefix("Value error, "), reports)


def _error(field: str, message: str, reports: Collection[str]) -> FieldError:
    allowed = tuple(sorted(reports)) if field == "report" else ALLOWED.get(field, "")
    return FieldError(field, message, allowed)
