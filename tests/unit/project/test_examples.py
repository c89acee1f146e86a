"""What holds the examples of the documents against the code does find what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.support.curl import Assignment, Curl, NotUnderstood, Sha256Sum, statements
from tests.support.examples import Likeness

ULID, OTHER = "01m84ekemg2w5g23n8btf52x14", "01m84ekemg2w5g23n8btf52x15"


def answer(status: int, body: Any, **headers: str) -> requests.Response:
    """One as `requests` gives it."""
    given = requests.Response()
    given.status_code = status
    given.headers.update(headers)
    given._content = b"" if body is None else json.dumps(body).encode()
    return given


def test_a_block_is_read_as_a_shell_reads_it() -> None:
    block = """
A=1
curl -L -o "$NAME.csv" 'http://x/a?b=c' \\
  -H "Authorization: Bearer $TOKEN"  # a comment

curl -X PATCH "${BASE}"/x --json '{"a": "$B",
  "c": 2}'
sha256sum a.csv
"""
    variables = {"NAME": "n", "TOKEN": "t", "BASE": "http://x"}
    assert list(statements(block, variables)) == [
        Assignment("A", "1"),
        Curl("http://x/a?b=c", "GET", {"Authorization": "Bearer t"}, None, "n.csv", follows=True),
        Curl(
            "http://x/x",
            "PATCH",
            {"Content-Type": "application/json", "Accept": "application/json"},
            b'{"a": "$B",\n  "c": 2}',
        ),
        Sha256Sum("a.csv"),
    ]


def test_data_makes_a_post_of_a_form_as_curl_has_it() -> None:
    (command,) = statements("curl http://x -d a=1", {})
    assert command == Curl(
        "http://x", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"a=1"
    )


@pytest.mark.parametrize(
    "block",
    [
        "curl --insecure http://x",
        "curl -XPOST http://x",
        "curl http://x http://y",
        "curl",
        "curl http://x -d a -d b",
        "curl http://x | jq .",
        "curl http://x?a=1&b=2",
        "curl 'http://x/{a,b}'",
        "curl 'http://x/a b'",
        "curl http://x > file",
        "curl 'http://x",
        'curl "$(cat token)"',
        "wget http://x",
        "A=$(make token)",
    ],
)
def test_what_is_not_known_is_refused(block: str) -> None:
    with pytest.raises(NotUnderstood):
        list(statements(block, {}))


@pytest.mark.parametrize(
    ("shown", "given"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": 1, "…": "…"}, {"a": 1}),
        ({"a": None}, {"a": "x"}),
        ({"a": []}, {"a": [1]}),
        ({"a": [1, "…"]}, {"a": [1]}),
        ({"a": "x"}, {"a": "y"}),
        ({"a": "x…z"}, {"a": "x y"}),
        ({"a": f"wh-{ULID}"}, {"a": "wh-1"}),
        ({"a": f"wh-{ULID}"}, {"a": f"ep-{ULID}"}),
        ({"a": ULID, "b": ULID}, {"a": ULID, "b": OTHER}),
        ({"a": ULID, "b": OTHER}, {"a": ULID, "b": ULID}),
        ({"secret": "s", "b": "s"}, {"secret": "t", "b": "s"}),
        ({"duration_ms": 1}, {"duration_ms": None}),
    ],
)
def test_an_answer_that_is_not_as_shown_is_found(shown: Any, given: Any) -> None:
    with pytest.raises(AssertionError):
        Likeness({}).compare("body", shown, given)


def test_what_is_shown_stands_for_what_is_given() -> None:
    likeness = Likeness({"https://books.example/hook": "http://127.0.0.1:9/hook"})
    shown = {
        "id": f"wh-{ULID}",
        "secret": "whsec_s",
        "text": "a … b",
        "duration_ms": 1,
        "of": [1, "…"],
    }
    given = {
        "id": f"wh-{OTHER}",
        "secret": "whsec_t",
        "text": "a c b",
        "duration_ms": 7,
        "of": [1, 2],
    }
    likeness.compare("body", {**shown, "…": "…"}, {**given, "more": True})
    likeness.compare("body", {"payload": f"<{ULID}>"}, {"payload": f"<{OTHER}>"})
    assert likeness.real(f"x/{ULID}?whsec_s&https://books.example/hook") == (
        f"x/{OTHER}?whsec_t&http://127.0.0.1:9/hook"
    )
    assert likeness.stands_for_something(f"wh-{OTHER}")
    assert not likeness.stands_for_something(f"wh-{ULID}")


def test_status_and_headers_are_compared() -> None:
    likeness = Likeness({})
    block = 'HTTP/1.1 202 Accepted\nlocation: /x\n\n{"a": 1}\n'
    likeness.check(block, answer(202, {"a": 1}, Location="/x"))
    likeness.check("HTTP/1.1 204 No Content\n", answer(204, None))
    for wrong in (
        answer(200, {"a": 1}, Location="/x"),
        answer(202, {"a": 1}, Location="/y"),
        answer(202, {"a": 2}, Location="/x"),
    ):
        with pytest.raises(AssertionError):
            likeness.check(block, wrong)
    with pytest.raises(AssertionError):
        likeness.check("HTTP/1.1 204 No Content\n", answer(204, {}))
