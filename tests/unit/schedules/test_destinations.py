from __future__ import annotations

import pytest

from remit.errors import ConfigurationError, InvalidRequest
from remit.schedules.destinations import check_destination

ALLOWED = "s3://lake/remit/{merchant}/, s3://open-bucket/"


@pytest.mark.parametrize(
    ("text", "merchant"),
    [
        ("s3://lake/remit/m-1/", "m-1"),
        ("s3://lake/remit/m-1/daily/", "m-1"),
        ("s3://lake/remit/a%2Fb/", "a/b"),
        ("s3://lake/remit/%2E%2E/", ".."),
        ("s3://open-bucket/", "m-1"),
        ("s3://open-bucket/any/where/", "m-1"),
    ],
)
def test_what_begins_as_the_deployment_allows_may_be(text: str, merchant: str) -> None:
    assert str(check_destination(text, merchant, ALLOWED)) == text


@pytest.mark.parametrize(
    "text",
    [
        "s3://lake/",
        "s3://lake/remit/",
        "s3://lake/remit/m-2/",
        "s3://lake/remit/m-1",
        "s3://lake/remit/m-10/",
        "s3://lake/remit/m-1/../m-2/",
        "s3://lake/remit/m-1/./",
        "s3://lake/remit/m-1//x/",
        "s3://lake/remit/{merchant}/",
        "s3://open-bucket",
        "s3://open-bucket.evil/",
        "s3://open/",
        "https://open-bucket/",
        "s3://open-bucket/a b/",
        "s3://open-bucket/\n/",
        "s3://open-bucket/" + "x" * 500 + "/",
        "S3://open-bucket/",
        "",
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_destination(text, "m-1", ALLOWED)
    (error,) = caught.value.errors
    assert error.field == "destination"
    assert "s3://" in str(error.allowed)


def test_where_nothing_is_allowed_the_refusal_says_so() -> None:
    with pytest.raises(InvalidRequest, match="this deployment has no destinations") as caught:
        check_destination("s3://lake/", "m-1", " ")
    assert caught.value.errors[0].allowed == "none"


@pytest.mark.parametrize(
    "setting", ["lake", "s3://lake", "s3://lake/x", "s3://Lake/", "s3://a/../"]
)
def test_a_setting_that_is_wrong_is_named(setting: str) -> None:
    with pytest.raises(ConfigurationError, match="REMIT_EXPORT_DESTINATIONS"):
        check_destination("s3://lake/", "m-1", f"s3://good-bucket/,{setting}")
