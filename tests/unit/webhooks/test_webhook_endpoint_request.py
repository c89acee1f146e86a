from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from remit.errors import InvalidRequest
from remit.webhooks.endpoint_request import RULES, check_changes, check_new
from remit.webhooks.urls import check_url
from tests.support.endpoints import URL, WRONG

https_only = partial(check_url, allow_http=False)


def refused(**values: Any) -> dict[str, str]:
    """Field to message of what is wrong with a new endpoint."""
    with pytest.raises(InvalidRequest) as caught:
        check_new({"url": URL, **values}, lambda _: None)
    return {error.field: error.message for error in caught.value.errors}


@pytest.mark.parametrize(("values", "fields"), WRONG)
def test_what_is_wrong_with_a_new_endpoint_is_told_all_at_once(
    values: dict[str, Any], fields: list[str]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_new(values, https_only)
    assert [error.field for error in caught.value.errors] == fields
    assert all(error.message and error.allowed for error in caught.value.errors)


@pytest.mark.parametrize(("values", "fields"), WRONG[1:])
def test_what_is_wrong_with_a_change_is_told_all_at_once(
    values: dict[str, Any], fields: list[str]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_changes("ep-1", values, https_only)
    not_given = {"url"} - values.keys()  # a change need not name it
    told = [error.field for error in caught.value.errors]
    assert sorted(told) == sorted({*fields} - not_given)


def test_the_message_names_the_patterns_that_are_none() -> None:
    told = refused(events=["payment.*", "payment*", "x" * 300])["events"]
    assert "'payment*', " in told
    assert told.endswith("… are not event patterns")
    assert "'payment.*'" not in told
    assert refused(events=["nodot"]) == {"events": "'nodot' is not an event pattern"}
    assert "and 95 more are not" in refused(events=["nodot"] * 100)["events"]


def test_the_message_says_which_number_is_wrong() -> None:
    assert refused(rate=10_001) == {"rate": "10001 is not a whole number from 1 to 10000"}
    assert refused(schedule=[5, 0])["schedule"] == "0 is not a whole number from 1 to 86400"


def test_a_schedule_must_not_end_in_attempts_without_a_pause() -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_changes("ep-1", {"schedule": [5, 59]}, lambda _: None)
    (error,) = caught.value.errors
    assert error.field == "schedule"
    assert error.message == (
        "its last wait, which is repeated until a webhook expires, is 59 seconds"
    )
    assert error.allowed == (
        "1 to 50 waits, each of 1 to 86400 seconds, the last one of 60 at least"
    )
    assert check_changes("ep-1", {"schedule": [1, 60]}, lambda _: None) == {"schedule": [1, 60]}


def test_what_is_shown_of_a_value_is_short() -> None:
    assert len(refused(rate="9" * 10_000)["rate"]) < 200


def test_a_secret_is_never_shown() -> None:
    assert "hunter2" not in str(refused(secret="hunter2-hunter2"))
    assert "hunter2" not in str(refused(secret=["hunter2"]))


def test_an_unknown_field_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_new({"url": URL, "colour": "red"}, lambda _: None)
    (error,) = caught.value.errors
    assert error.allowed == ("url", *RULES, "secret")


def test_every_field_with_a_rule_can_be_taken_back_by_null_but_the_url_cannot() -> None:
    nothing = dict.fromkeys(RULES)
    assert check_changes("ep-1", nothing, lambda _: None) == nothing
    assert check_new({"url": URL, **nothing}, lambda _: None) == {"url": URL}
    with pytest.raises(InvalidRequest, match="url: missing"):
        check_changes("ep-1", {"url": None}, lambda _: None)


def test_the_default_endpoint_has_the_same_rules_but_no_url() -> None:
    assert check_changes("default", {"rate": 5}, lambda _: None) == {"rate": 5}
    with pytest.raises(InvalidRequest) as caught:
        check_changes("default", {"url": "nonsense", "rate": 0, "secret": "x"}, lambda _: None)
    assert [error.field for error in caught.value.errors] == ["secret", "url", "rate"]


def test_a_change_does_not_touch_the_secret() -> None:
    with pytest.raises(InvalidRequest, match="secret: a change does not touch the secret"):
        check_changes("ep-1", {"secret": "x"}, lambda _: None)
