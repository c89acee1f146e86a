"""What each operation needs, and what it refuses: as the OpenAPI document says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from remit.api.problems import INTERNAL_ERROR, KINDS, NOT_READY, Kind
from remit.api.refusals import (
    BodyTooSlow,
    KeyInUse,
    KeyReused,
    Overloaded,
    PayloadTooLarge,
    RateLimited,
    UnsupportedMediaType,
)
from remit.errors import (
    ConfigurationError,
    Conflict,
    Gone,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    QueueFull,
    RecordRefused,
    RemitError,
    TooManyExports,
    Transient,
)

REPORT = "that of the report, such as `payments`"
SCHEDULE = "`schedules`, and that of the report, such as `payments`"
LISTED = "none; what is listed is what the token may see"

_Errors = tuple[type[RemitError], ...]


@dataclass(frozen=True)
class Contract:
    """Of one operation. `permission` is for people; `roles` are the permissions that have fixed
    names. `refuses` is what it may answer beside what others like it may."""

    permission: str | None
    roles: tuple[str, ...] = ()
    refuses: _Errors = ()

    @property
    def is_public(self) -> bool:
        """Whether it takes no token."""
        return self.permission is None


def _named(permission: str, *refuses: type[RemitError]) -> Contract:
    return Contract(f"`{permission}`", (permission,), refuses)


def _schedule(*refuses: type[RemitError]) -> Contract:
    return Contract(SCHEDULE, ("schedules",), refuses)


CONTRACTS: Mapping[str, Contract] = MappingProxyType(
    {
        "createExport": Contract(REPORT, (), (TooManyExports, RecordRefused)),
        "listExports": Contract(LISTED),
        "getExport": Contract(REPORT),
        "downloadExport": Contract(REPORT, (), (Conflict, Gone)),
        "cancelExport": Contract(REPORT, (), (Conflict,)),
        "retryExport": Contract(REPORT, (), (Conflict, TooManyExports)),
        "listReports": Contract(LISTED),
        "getReport": Contract(REPORT),
        "readAuditLog": _named("audit"),
        "publishEvent": _named("events", Conflict, QueueFull, RecordRefused),
        "publishEvents": _named("events", Conflict, QueueFull, RecordRefused),
        "createEndpoint": _named("webhooks", Conflict, RecordRefused),
        "listEndpoints": _named("webhooks"),
        "getEndpoint": _named("webhooks"),
        "changeEndpoint": _named("webhooks", Conflict, RecordRefused),
        "deleteEndpoint": _named("webhooks", Conflict),
        "disableEndpoint": _named("webhooks", Conflict, RecordRefused),
        "enableEndpoint": _named("webhooks", Conflict, RecordRefused),
        "rotateSecret": _named("webhooks", Conflict, RecordRefused),
        "testEndpoint": _named("webhooks", Conflict, QueueFull, RecordRefused),
        "replayWebhooks": _named("webhooks", Conflict, RecordRefused),
        "getReplay": _named("webhooks"),
        "listWebhooks": _named("webhooks"),
        "getWebhook": _named("webhooks"),
        "replayWebhook": _named("webhooks", Conflict, QueueFull, RecordRefused),
        "createSchedule": _schedule(Conflict, RecordRefused),
        "listSchedules": _named("schedules"),
        "getSchedule": _schedule(),
        "changeSchedule": _schedule(Conflict, RecordRefused),
        "pauseSchedule": _schedule(Conflict),
        "resumeSchedule": _schedule(Conflict),
        "deleteSchedule": _schedule(Conflict),
        "getHealth": Contract(None),
        "getReadiness": Contract(None),
    }
)
"""By the operation's id."""

_GUARDED: _Errors = (NotAuthenticated, RateLimited, Overloaded, Transient, ConfigurationError)
_WITH_BODY: _Errors = (BodyTooSlow, PayloadTooLarge, UnsupportedMediaType)
_KEYED: _Errors = (KeyInUse, KeyReused, NotPermitted)


def is_keyed(method: str) -> bool:
    """Whether operations of the method take an `Idempotency-Key`."""
    return method in {"POST", "PATCH", "DELETE"}


def takes_body(method: str) -> bool:
    """Whether operations of the method take a body."""
    return method in {"POST", "PATCH"}


def problems_of(operation: str, method: str, path: str) -> list[Kind]:
    """The kinds of problems that an operation may answer with, in the order of `KINDS`."""
    errors = set(_errors(CONTRACTS[operation], method, path))
    kinds = [KINDS[error] for error in KINDS if error in errors]
    if operation == "getReadiness":
        kinds.append(NOT_READY)
    return [*dict.fromkeys(kinds), INTERNAL_ERROR]


def _errors(contract: Contract, method: str, path: str) -> Iterator[type[RemitError]]:
    yield InvalidRequest  # parameters that are unknown, or given twice
    yield from contract.refuses
    if not contract.is_public:
        yield from _GUARDED
        if contract.permission != LISTED:
            yield NotPermitted
    if "{" in path:
        yield NotFound
    if takes_body(method):
        yield from _WITH_BODY
    if is_keyed(method):
        yield from _KEYED
