from __future__ import annotations

import pytest

from remit.client import (
    Conflict,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    RemitApiError,
    RetryPolicy,
    TooManyRequests,
    Unavailable,
)
from remit.client.errors import KINDS
from remit.errors import FieldError
from tests.unit.client.scripts import Reply, Script, client_of, problem, reply

ONCE = RetryPolicy(tries=1)

TYPES = {
    400: InvalidRequest,
    401: NotAuthenticated,
    403: NotPermitted,
    404: NotFound,
    409: Conflict,
    422: InvalidRequest,
    429: TooManyRequests,
    500: Unavailable,
    503: Unavailable,
    410: RemitApiError,
}


def refused(answer: Reply) -> RemitApiError:
    with pytest.raises(RemitApiError) as caught:
        client_of(Script(answer), retries=ONCE).reports()
    return caught.value


def test_the_types_are_of_every_status_that_has_one() -> None:
    assert KINDS.keys() <= TYPES.keys()


@pytest.mark.parametrize("status", TYPES)
def test_a_status_has_its_type(status: int) -> None:
    assert type(refused(problem(status))) is TYPES[status]


def test_an_error_has_the_problem_document_and_the_request_s_id() -> None:
    error = refused(problem(404, "not-found", detail="there is no export 'x'", more=1))
    assert (error.status, error.kind, error.title) == (404, "not-found", "A title")
    assert error.type == "/remit/problems/not-found"
    assert error.detail == "there is no export 'x'"
    assert error.request_id == "request-1"
    assert error.document["more"] == 1
    assert str(error) == "404 A title: there is no export 'x' (request request-1)"


def test_an_invalid_request_names_each_field_and_what_is_allowed() -> None:
    error = refused(
        problem(
            422,
            detail="2 fields",
            errors=[
                {"field": "format", "message": "unknown", "allowed": ["csv", "json"]},
                {"field": "end_date", "message": "missing", "allowed": "a day"},
            ],
        )
    )
    assert error.errors == (
        FieldError("format", "unknown", ("csv", "json")),
        FieldError("end_date", "missing", "a day"),
    )
    assert str(error) == (
        "422 A title: format: unknown (allowed: csv, json); end_date: missing (allowed: a day) "
        "(request request-1)"
    )


@pytest.mark.parametrize(
    "answer",
    [
        Reply(418, b"<html>short and stout</html>"),
        Reply(418, b""),
        Reply(418, b"[1]"),
        Reply(418, b"[" * 100_000),
        Reply(418, b"\xff"),
        reply({"title": 1, "errors": "no list", "detail": None}, 418),
        reply({"errors": [1, {"field": 2}]}, 418),
    ],
    ids=["html", "empty", "list", "deep", "bytes", "other types", "odd errors"],
)
def test_an_answer_that_is_no_problem_document_is_an_error_of_its_status(answer: Reply) -> None:
    error = refused(answer)
    assert error.status == 418
    assert str(error).startswith("418")


@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, b"<html>a login page</html>"),
        Reply(302, b"", {"Location": "https://elsewhere.test/login"}),
    ],
    ids=["a page", "a redirect"],
)
def test_what_is_not_the_hook_is_told_from_it(answer: Reply) -> None:
    script = Script(answer)
    with pytest.raises(RemitApiError, match="base URL has to be the hook's"):
        client_of(script).reports()
    assert len(script.asked) == 1
