from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from remit.aws.object_errors import (
    DAMAGE_CODES,
    Damaged,
    ObjectRefused,
    UploadGone,
    object_errors,
)
from remit.errors import RemitError, StoreUnavailable


def answer(code: str, status: int = 400) -> ClientError:
    response = {
        "Error": {"Code": code, "Message": "No."},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "UploadPart")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answer("SlowDown", 503), StoreUnavailable),
        (answer("SomethingNew", 500), StoreUnavailable),
        *((answer(code), Damaged) for code in sorted(DAMAGE_CODES)),
        (answer("NoSuchUpload", 404), UploadGone),
        (answer("AccessDenied", 403), ObjectRefused),
        (answer("EntityTooLarge"), ObjectRefused),
        (answer("KMS.DisabledException"), ObjectRefused),
    ],
    ids=str,
)
def test_the_code_decides_and_the_message_names_the_object(
    error: ClientError, kind: type[Exception]
) -> None:
    refusal = pytest.raises(kind, match="could not upload part 3 of exports/a")
    with refusal as caught, object_errors("upload part 3 of exports/a"):
        raise error
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error


def test_a_refusal_is_still_the_answer_of_the_client() -> None:
    refused = ObjectRefused("store exports/a", answer("AccessDenied", 403))
    assert isinstance(refused, ClientError)
    assert refused.response["Error"]["Code"] == "AccessDenied"
    assert refused.operation_name == "UploadPart"
    assert str(refused).startswith("could not store exports/a: An error occurred (AccessDenied)")


def test_damage_may_pass_and_a_successor_does_not() -> None:
    assert issubclass(Damaged, StoreUnavailable)
    assert issubclass(UploadGone, RemitError)
    assert not issubclass(UploadGone, StoreUnavailable)
