"""Errors as DynamoDB names them.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
"""

from __future__ import annotations

from typing import Any

_PREFIXES = {
    "ValidationException": "com.amazon.coral.validate",
    "UnknownOperationException": "com.amazon.coral.service",
}
_OTHER = "com.amazonaws.dynamodb.v20120810"


class DynamoDbError(Exception):
    """An error that is answered; `details` are further members of its document."""

    code = "InternalServerError"
    status = 400

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def document(self) -> dict[str, Any]:
        """The body of the answer."""
        kind = f"{_PREFIXES.get(self.code, _OTHER)}#{self.code}"
        return {"__type": kind, "message": self.message, **self.details}


class InvalidRequest(DynamoDbError):
    """The request itself is wrong."""

    code = "ValidationException"


class InvalidChange(InvalidRequest):
    """The request is right in itself and does not fit the record that it is about."""


class UnknownOperation(DynamoDbError):
    """There is no such operation (or the stand-in does not have it)."""

    code = "UnknownOperationException"


class ConditionFailed(DynamoDbError):
    """The condition of a write does not hold; `item` is the record, if it was asked for."""

    code = "ConditionalCheckFailedException"

    def __init__(self, item: dict[str, Any] | None = None) -> None:
        details = {} if item is None else {"Item": item}
        super().__init__("The conditional request failed", **details)


class NotFound(DynamoDbError):
    """There is no such table or index."""

    code = "ResourceNotFoundException"


class InUse(DynamoDbError):
    """The table is there already."""

    code = "ResourceInUseException"


class Throttled(DynamoDbError):
    """More than a partition gives."""

    code = "ProvisionedThroughputExceededException"


class InternalError(DynamoDbError):
    """DynamoDB's own fault."""

    status = 500


class IdempotentMismatch(DynamoDbError):
    """A transaction's token was used before with another request."""

    code = "IdempotentParameterMismatchException"


class TransactionCanceled(DynamoDbError):
    """A transaction did not happen; one reason per action."""

    code = "TransactionCanceledException"

    def __init__(self, reasons: list[dict[str, Any]]) -> None:
        codes = ", ".join(reason["Code"] for reason in reasons)
        super().__init__(
            "Transaction cancelled, please refer cancellation reasons for specific reasons"
            f" [{codes}]",
            CancellationReasons=reasons,
        )

    def document(self) -> dict[str, Any]:
        """The body of the answer; this error alone has its message with a capital letter."""
        document = super().document()
        document["Message"] = document.pop("message")
        return document
