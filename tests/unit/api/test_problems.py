from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

import remit.api.refusals
import remit.errors
from remit.api import request_id
from remit.api.problems import EVERY_KIND, KINDS, PREFIX, internal_error, problem
from remit.api.refusals import BodyTooSlow, KeyInUse, PayloadTooLarge, RateLimited
from remit.errors import (
    ConfigurationError,
    FieldError,
    InvalidRequest,
    QueueFull,
    RecordRefused,
    Refusal,
    RemitError,
    SecretUnreadable,
    StoreUnavailable,
    TooManyExports,
    Transient,
)

SECRET = "https://10.0.0.1/table/arn"

ERRORS: dict[type[RemitError], RemitError] = {
    InvalidRequest: InvalidRequest(FieldError("a", "wrong", "right")),
    PayloadTooLarge: PayloadTooLarge(10),
    BodyTooSlow: BodyTooSlow(1.5),
    KeyInUse: KeyInUse(timedelta(seconds=3)),
    RateLimited: RateLimited(50, timedelta(milliseconds=20)),
    TooManyExports: TooManyExports("m", limit=3, retry_after=timedelta(seconds=30)),
    QueueFull: QueueFull("m", limit=1, count=1, more=1, retry_after=timedelta(seconds=1.5)),
}


def error_of(kind: type[RemitError]) -> RemitError:
    return ERRORS.get(kind) or kind("for the log")


def told(error: RemitError) -> dict[str, Any]:
    entered = request_id.enter("id-1")
    try:
        return dict(json.loads(bytes(problem(error).body)))
    finally:
        request_id.leave(entered)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_error_is_a_problem_document(kind: type[RemitError]) -> None:
    answer, document = problem(error_of(kind)), told(error_of(kind))
    expected = KINDS[kind]
    assert answer.media_type == "application/problem+json"
    assert answer.status_code == document["status"] == expected.status
    assert document["type"] == f"{PREFIX}{expected.type}"
    assert document["title"] == expected.title
    assert document["detail"]
    assert document["request_id"] == "id-1"


def test_every_refusal_and_what_passes_has_a_kind() -> None:
    modules = (remit.errors, remit.api.refusals)
    errors = [one for module in modules for one in vars(module).values() if isinstance(one, type)]
    answered = [one for one in errors if issubclass(one, Refusal | Transient)]
    assert len(answered) > 15
    for one in set(answered) - {Refusal}:
        assert issubclass(one, tuple(KINDS)), one


def test_a_type_has_one_status_and_one_title() -> None:
    assert len({kind.type for kind in EVERY_KIND}) == len(EVERY_KIND)
    assert set(KINDS.values()) <= set(EVERY_KIND)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (ERRORS[RateLimited], "1"),
        (ERRORS[TooManyExports], "30"),
        (ERRORS[QueueFull], "2"),
        (ERRORS[KeyInUse], "3"),
        (KeyInUse(timedelta(seconds=-9)), "1"),
        (StoreUnavailable("x"), "5"),
        (ConfigurationError("x"), "5"),
    ],
)
def test_what_may_be_sent_again_says_when(error: RemitError, seconds: str) -> None:
    assert problem(error).headers["retry-after"] == seconds


def test_a_refusal_says_nothing_of_sending_it_again() -> None:
    assert "retry-after" not in problem(ERRORS[InvalidRequest]).headers


def test_wrong_fields_are_listed() -> None:
    error = InvalidRequest(FieldError("a", "wrong", ("b", "c")), FieldError("d", "worse", "e"))
    assert told(error)["errors"] == [
        {"field": "a", "message": "wrong", "allowed": ["b", "c"]},
        {"field": "d", "message": "worse", "allowed": "e"},
    ]


@pytest.mark.parametrize(
    "error",
    [StoreUnavailable(SECRET), ConfigurationError(SECRET), SecretUnreadable(SECRET),
     RecordRefused(SECRET)],
)  # fmt: skip
def test_what_is_for_the_log_is_not_told(error: RemitError) -> None:
    assert SECRET not in json.dumps(told(error))


def test_half_a_character_stays_an_escape() -> None:
    error = InvalidRequest(FieldError("\ud800", "wrong", "right"))
    assert rb"\ud800" in bytes(problem(error).body)


def test_a_bug_says_nothing_of_itself() -> None:
    answer = internal_error()
    assert answer.status_code == 500
    assert json.loads(bytes(answer.body))["type"] == f"{PREFIX}internal-error"
