"""What can go wrong, as types: the type decides between refuse, retry and stop.

RemitError
├── ConfigurationError      the deployment is set up wrongly: nothing runs until it is mended
├── Refusal                 terminal: the caller has to change something
│   ├── InvalidRequest          a field has a value that is not allowed
│   ├── NotAuthenticated        no proof of who is calling
│   ├── NotPermitted            the caller lacks a permission
│   ├── NotFound                no such thing, or not yours
│   ├── Gone                    it was there, and its time is up
│   └── Conflict                what is asked for is not possible in the state that it is in
├── ExportFailed            terminal: this export cannot succeed; the merchant may read why
├── Transient               the same call may succeed later
│   ├── StoreUnavailable        DynamoDB, S3 or KMS did not answer, or asked to slow down
│   ├── TriggerUnavailable      Airflow did not take the run
│   ├── OutOfRoom               memory and the disk for spilling are full on this worker
│   ├── QueueFull               so many webhooks of a merchant wait that no more are taken
│   ├── TooManyExports          so many exports of a merchant are under way that no more are taken
│   └── Interrupted             asked to stop (SIGTERM) before the work was done
├── ConditionFailed         a conditional write found the record in another state
│   └── AlreadyExists           a conditional create found the key taken
├── RecordRefused           DynamoDB does not take this change of this record: its size, a type
├── AddressRefused          a webhook would go to an address that is not public
├── SecretUnreadable        a stored secret cannot be opened or used until the deployment is mended
└── LeaseLost               the claim is another's, or canceled: stop, and change nothing
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


class RemitError(Exception):
    """Root of every error that Remit raises on purpose."""


class ConfigurationError(RemitError):
    """A setting is missing or wrong. The message names the setting and what would be right."""


class Refusal(RemitError):
    """The request cannot be served as it stands."""


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field: its name as the caller wrote it, and what would be right."""

    field: str
    message: str
    allowed: str | tuple[str, ...]


class InvalidRequest(Refusal):
    """At least one field of a request is not acceptable."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = errors


class NotAuthenticated(Refusal):
    """The caller did not prove who they are. `reason` is for the log; it holds no token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotPermitted(Refusal):
    """The caller is known and lacks the permission that the message names."""


class NotFound(Refusal):
    """The thing does not exist for this caller."""


class Gone(Refusal):
    """The thing was there, and its time is up."""


class Conflict(Refusal):
    """The thing is in a state that does not allow what is asked for. The message names it."""


class ExportFailed(RemitError):
    """An export that cannot succeed by trying again.

    `code` is stable and for programs; the message is for the merchant.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Transient(RemitError):
    """Trying again later may succeed."""


class StoreUnavailable(Transient):
    """DynamoDB, S3 or KMS is out of reach, throttling or failing."""


class TriggerUnavailable(Transient):
    """Airflow did not start the run; the poller finds the job."""


class OutOfRoom(Transient):
    """Memory and the disk for what does not fit into it are full; another worker may have room."""


class QueueFull(Transient):
    """So many webhooks of a merchant wait for delivery that no more are taken: back-pressure.

    Nothing was written. `count` is how many wait, as far as they were counted, `more` how many were
    to join them, and `retry_after` when it is worth asking again at the earliest.
    """

    def __init__(
        self, merchant_id: str, *, limit: int, count: int, more: int, retry_after: timedelta
    ) -> None:
        super().__init__(
            f"{count} webhooks of merchant {merchant_id!r} wait for delivery: {more} more would go "
            f"beyond the limit of {limit}. Publish again after "
            f"{retry_after.total_seconds():.0f} seconds or more"
        )
        self.merchant_id = merchant_id
        self.limit = limit
        self.count = count
        self.more = more
        self.retry_after = retry_after


class TooManyExports(Transient):
    """So many exports of a merchant are pending or processing that no more are taken. Nothing was
    written. `retry_after` is when it is worth asking again at the earliest."""

    def __init__(self, merchant_id: str, *, limit: int, retry_after: timedelta) -> None:
        super().__init__(
            f"{limit} exports are pending or processing, and no more may be: wait until one "
            "of them is finished, or cancel one"
        )
        self.merchant_id = merchant_id
        self.limit = limit
        self.retry_after = retry_after


class Interrupted(Transient):
    """The process was asked to stop; what was claimed has been released."""


class ConditionFailed(RemitError):
    """A conditional write found the record in another state than the condition demands."""


class AlreadyExists(ConditionFailed):
    """A conditional create found the key taken."""


class RecordRefused(RemitError):
    """DynamoDB does not take a change of one record, whatever its status: it would be too large,
    or an attribute is of another type than the change needs."""


class AddressRefused(RemitError):
    """A webhook would go to an address that is not public, nor in a network that a deployment
    names. `why` is what the address is."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"no webhook goes to {address}: {why}")
        self.address = address
        self.why = why


class SecretUnreadable(RemitError):
    """A stored secret cannot be opened, since its key is gone or it is damaged, or is empty.

    The message names no secret. What it would sign waits until the deployment is mended.
    """


class LeaseLost(RemitError):
    """The claim token no longer matches: another worker took the item over, or it was canceled."""
