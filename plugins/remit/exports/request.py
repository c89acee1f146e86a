"""What an export can be asked for: one validated model behind every entrance."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from remit.clock import format_instant, parse_instant
from remit.errors import FieldError, InvalidRequest
from remit.exports.reports.report import FILTERS, Report
from remit.exports.zones import start_of, time_zone, time_zones

Format = Literal["csv", "json", "parquet", "xlsx"]
FORMATS: tuple[Format, ...] = get_args(Format)
Compression = Literal["none", "gzip", "zstd"]
COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)

COMPRESSIBLE: frozenset[Format] = frozenset({"csv", "json"})
"""The formats that are text; the others compress inside."""

MAX_ROWS: Mapping[Format, int] = MappingProxyType({"xlsx": 100_000})
"""Format to the rows that one file of it may have; the others have no limit."""

MIN_SPLIT_ROWS = 1_000
"""Fewer rows per file would make files by the ten thousand."""

_WHOLE = re.compile(r"-?\d{1,20}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
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

    `start_date` and `end_date` are days or instants. A start day begins at its midnight in the
    export's time zone, an end day is exported whole; an end instant is exclusive. Amounts are in
    minor units. Which reports, columns and filters there are depends on the deployment:
    `parse_request` checks them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    timezone: str = Field(default="UTC", max_length=64, description="IANA zone of the days")
    start_date: str = Field(description="First day, or first instant", max_length=64)
    end_date: str = Field(description="Last day (whole), or end instant (exclusive)", max_length=64)
    report: str = Field(default="payments", max_length=64)
    format: Format = "csv"
    columns: tuple[str, ...] | None = Field(
        default=None, description="Columns in their order; by default the report's own"
    )
    status: str | None = Field(default=None, min_length=1, max_length=64)
    currency: str | None = Field(default=None, description="ISO 4217 code")
    customer_id: str | None = Field(default=None, min_length=1, max_length=256)
    min_amount: int | None = Field(default=None, description="Minor units, inclusive")
    max_amount: int | None = Field(default=None, description="Minor units, inclusive")
    compression: Compression = "none"
    split_rows: int | None = Field(default=None, description="Rows of one file, at most")

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, name: str) -> str:
        time_zone(name)
        return name

    @field_validator("start_date", "end_date")
    @classmethod
    def _date(cls, text: str, info: ValidationInfo) -> str:
        zone = time_zone(info.data.get("timezone", "UTC"))
        _bound(text, zone, last=info.field_name == "end_date")
        return text

    @field_validator("columns", mode="before")
    @classmethod
    def _columns(cls, names: Any) -> Any:
        """A list, or a text with commas as a query string has it."""
        if isinstance(names, str):
            names = [name.strip() for name in names.split(",")]
        if names is None:
            return None
        if not isinstance(names, list | tuple) or not names:
            raise ValueError("not a list of column names")
        if len(set(map(str, names))) != len(names):
            raise ValueError("a column is named twice")
        return tuple(names)

    @field_validator("currency")
    @classmethod
    def _currency(cls, code: str | None) -> str | None:
        if code is not None and not re.fullmatch(r"[A-Za-z]{3}", code):
            raise ValueError(f"{code!r} is not a currency code")
        return code

    @field_validator("min_amount", "max_amount", "split_rows", mode="before")
    @classmethod
    def _whole(cls, number: Any) -> int | None:
        if isinstance(number, str) and _WHOLE.fullmatch(number):
            number = int(number)
        if number is None or (type(number) is int and abs(number) < 2**63):
            return number
        raise ValueError(f"{number!r} is not a whole number of at most 64 bits")

    @field_validator("split_rows")
    @classmethod
    def _split(cls, rows: int | None) -> int | None:
        if rows is not None and rows < MIN_SPLIT_ROWS:
            raise ValueError(f"{rows} is too few")
        return rows

    @property
    def range(self) -> TimeRange:
        """The instants that the two dates mean, half-open."""
        zone = time_zone(self.timezone)
        return TimeRange(
            _bound(self.start_date, zone, last=False), _bound(self.end_date, zone, last=True)
        )

    def given_filters(self) -> dict[str, Any]:
        """The filters that the request has."""
        return {name: value for name in FILTERS if (value := getattr(self, name)) is not None}


ALLOWED: Mapping[str, str | tuple[str, ...]] = {
    "start_date": _DATE_RULE,
    "end_date": _DATE_RULE,
    "format": FORMATS,
    "status": "a status as the records have it, such as succeeded",
    "currency": "a currency code as the records have it, such as USD",
    "customer_id": "a customer's id, 1 to 256 characters",
    "min_amount": "a whole number of minor units",
    "max_amount": "a whole number of minor units",
    "compression": COMPRESSIONS,
    "split_rows": f"a whole number of rows, at least {MIN_SPLIT_ROWS}",
}
"""Field to what is allowed in it, as errors state it; `report`, `columns` and `timezone` depend on
the deployment."""


def parse_request(values: Mapping[str, Any], reports: Mapping[str, Report]) -> ExportRequest:
    """Validate a request that names its fields as `ExportRequest` does.

    Raises:
        InvalidRequest: at least one field is wrong; all of them are named.
    """
    wrong: list[Any] = []
    try:
        request = ExportRequest.model_validate(values)
    except ValidationError as error:
        wrong = error.errors()
        request = _without(values, _fields(wrong))
    unknown = _fields(wrong)
    report = None if "report" in unknown else reports.get(request.report)
    errors = [
        *(_field_error(one, reports, report) for one in wrong),
        *([] if "report" in unknown else _report_errors(request, reports)),
        *_range_errors(request, unknown),
        *_amount_errors(request),
        *_format_errors(request),
    ]
    if errors:
        raise InvalidRequest(*errors)
    return request


def _fields(wrong: Sequence[Any]) -> frozenset[str]:
    """The fields that pydantic's errors are about."""
    return frozenset(str(one["loc"][0]) for one in wrong)


_ANY_DATES: Mapping[str, str] = MappingProxyType(
    {"start_date": "2000-01-01", "end_date": "2000-01-01"}
)


def _without(values: Mapping[str, Any], wrong: Collection[str]) -> ExportRequest:
    """What is right of a request, for the checks that look at several fields. Most of them pass
    over what is not given; those of the report and the range are told what is wrong."""
    right = {name: value for name, value in values.items() if name not in wrong}
    return ExportRequest.model_validate({**_ANY_DATES, **right})


def check_length(request: ExportRequest, days: int) -> None:
    """Hold a merchant to the longest range that one export may have.

    Raises:
        InvalidRequest: the range is longer.
    """
    span = request.range
    # An hour more: a range of whole days is longer by that where the clocks go back.
    if span.end - span.start > timedelta(days=days, hours=1):
        raise InvalidRequest(
            FieldError(
                "end_date",
                f"the range is {(span.end - span.start).days} days long",
                f"at most {days} days; the permission 'history' lifts the limit",
            )
        )


def _report_errors(request: ExportRequest, reports: Mapping[str, Report]) -> list[FieldError]:
    if (report := reports.get(request.report)) is None:
        message = f"there is no report {request.report!r}"
        return [FieldError("report", message, tuple(sorted(reports)))]
    known = {column.name for column in report.columns}
    unknown = [name for name in request.columns or () if name not in known]
    errors = []
    if unknown:
        message = f"the report {report.name!r} has no column {', '.join(map(repr, unknown))}"
        errors.append(FieldError("columns", message, _column_names(report)))
    for name in request.given_filters():
        if name not in report.filters:
            message = f"the report {report.name!r} has no filter {name!r}"
            errors.append(FieldError(name, message, report.filters))
    if request.status is not None and report.statuses and request.status not in report.statuses:
        message = f"the report {report.name!r} has no status {request.status!r}"
        errors.append(FieldError("status", message, report.statuses))
    return errors


def _range_errors(request: ExportRequest, wrong: Collection[str]) -> list[FieldError]:
    days = [bool(_DAY.fullmatch(text)) for text in (request.start_date, request.end_date)]
    # Between a day and an instant, the zone decides.
    unknown = {"start_date", "end_date"} | ({"timezone"} if any(days) != all(days) else set())
    span = request.range
    if span.start < span.end or not unknown.isdisjoint(wrong):
        return []
    message = f"the range ends ({request.end_date}) before it starts ({request.start_date})"
    return [FieldError("end_date", message, "an end after start_date")]


def _amount_errors(request: ExportRequest) -> list[FieldError]:
    low, high = request.min_amount, request.max_amount
    if low is None or high is None or low <= high:
        return []
    return [FieldError("max_amount", "less than min_amount", "at least min_amount")]


def _format_errors(request: ExportRequest) -> list[FieldError]:
    errors = []
    if request.compression != "none" and request.format not in COMPRESSIBLE:
        message = f"a {request.format} file is compressed inside"
        errors.append(FieldError("compression", message, ("none",)))
    most = MAX_ROWS.get(request.format)
    if most is not None and (request.split_rows or 0) > most:
        message = f"an {request.format} file has at most {most} rows"
        allowed = f"a whole number of rows, {MIN_SPLIT_ROWS} to {most}"
        errors.append(FieldError("split_rows", message, allowed))
    return errors


def _column_names(report: Report) -> tuple[str, ...]:
    return tuple(column.name for column in report.columns)


def _bound(text: str, zone: ZoneInfo, *, last: bool) -> datetime:
    if _DAY.fullmatch(text) is None:
        instant = parse_instant(text)
    else:
        instant = _start_of(text, zone, days_later=int(last))
    if not _EARLIEST <= instant <= _LATEST:
        raise ValueError(f"outside {format_instant(_EARLIEST)} to {format_instant(_LATEST)}")
    return instant


def _start_of(text: str, zone: ZoneInfo, *, days_later: int) -> datetime:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a day of the calendar") from None
    try:
        return start_of(day + timedelta(days=days_later), zone)
    except OverflowError:
        raise ValueError(f"{text!r} is at an end of the calendar") from None


def _field_error(error: Any, reports: Mapping[str, Report], report: Report | None) -> FieldError:
    field = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return FieldError(field, "unknown parameter", tuple(ExportRequest.model_fields))
    if error["type"] == "missing":
        message = "missing"
    return FieldError(field, message, _allowed(field, reports, report))


def _allowed(
    field: str, reports: Mapping[str, Report], report: Report | None
) -> str | tuple[str, ...]:
    field = field.partition(".")[0]
    if field == "report":
        return tuple(sorted(reports))
    if field == "timezone":
        return tuple(sorted(time_zones()))
    if field == "columns":
        return _column_names(report) if report else "column names of the report"
    return ALLOWED.get(field, "")


def as_values(request: ExportRequest) -> dict[str, Any]:
    """The fields that differ from their defaults, as `parse_request` takes them."""
    values = request.model_dump(exclude_defaults=True)
    if isinstance(values.get("columns"), Sequence):
        values["columns"] = list(values["columns"])
    return values
