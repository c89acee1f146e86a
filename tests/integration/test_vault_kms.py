"""The vault with the KMS of moto's server."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest

from remit.aws.session import Aws
from remit.errors import ConfigurationError, SecretUnreadable
from remit.settings import Settings
from remit.vault import Vault
from tests.support.aws import aws_at
from tests.support.clock import ManualClock

SECRET = "whsec_c2VjcmV0LW9mLWEtbWVyY2hhbnQtaGVyZQ=="


@pytest.fixture
def aws(aws_server: str) -> Aws:
    return aws_at(aws_server)


@pytest.fixture
def kms(aws: Aws) -> Any:
    return aws.client("kms")


def new_key(kms: Any) -> str:
    key: str = kms.create_key()["KeyMetadata"]["KeyId"]
    return key


def vault(aws: Aws, key: str) -> Vault:
    return Vault.of(Settings(secret_kms_key=key), aws, ManualClock())


def test_what_was_sealed_is_opened_by_whoever_has_the_account(aws: Aws, kms: Any) -> None:
    sealed = vault(aws, new_key(kms)).seal(SECRET)
    assert sealed.startswith("kms:")
    assert SECRET.removeprefix("whsec_") not in sealed
    assert vault(aws, "").open(sealed) == SECRET


def test_an_alias_that_moves_on_to_another_key_asks_for_a_reseal(aws: Aws, kms: Any) -> None:
    alias, first = "alias/remit-secrets", new_key(kms)
    kms.create_alias(AliasName=alias, TargetKeyId=first)
    sealed = vault(aws, alias).seal(SECRET)
    assert vault(aws, first).reseal(sealed) is None

    kms.update_alias(AliasName=alias, TargetKeyId=new_key(kms))
    resealed = vault(aws, alias).reseal(sealed)
    assert resealed is not None
    kms.schedule_key_deletion(KeyId=first)
    assert vault(aws, alias).open(resealed) == SECRET
    kms.delete_alias(AliasName=alias)


def test_no_log_has_a_secret_even_if_botocore_logs_all_it_can(
    aws: Aws, kms: Any, caplog: pytest.LogCaptureFixture
) -> None:
    key, next_key = new_key(kms), new_key(kms)
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "botocore")
    sealed = vault(aws, key).seal(SECRET)
    assert vault(aws, key).open(sealed) == SECRET
    assert vault(aws, next_key).reseal(sealed) is not None
    messages = [record.getMessage() for record in caplog.records]
    assert any("Making request for OperationModel(name=Decrypt)" in one for one in messages)
    assert any("Response body" in one for one in messages)
    key_material = SECRET.removeprefix("whsec_")
    for written in (caplog.text, *messages):
        for form in (SECRET, key_material, base64.b64encode(SECRET.encode()).decode()):
            assert form not in written


def test_a_secret_of_another_context_is_not_opened(aws: Aws, kms: Any) -> None:
    key = new_key(kms)
    answer = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"service": "other"})
    with pytest.raises(SecretUnreadable, match="InvalidCiphertextException"):
        vault(aws, key).open("kms:" + base64.b64encode(answer["CiphertextBlob"]).decode())


@pytest.mark.parametrize("sealed", ["kms:", "kms:!", "kms:AAAA", "kms:é"])
def test_what_kms_did_not_seal_is_unreadable(aws: Aws, kms: Any, sealed: str) -> None:
    with pytest.raises(SecretUnreadable):
        vault(aws, new_key(kms)).open(sealed)


def test_a_key_that_is_not_there_seals_nothing(aws: Aws) -> None:
    with pytest.raises(ConfigurationError, match="REMIT_SECRET_KMS_KEY"):
        vault(aws, "alias/nowhere").seal(SECRET)


def test_a_key_of_another_account_or_region_opens_nothing(aws: Aws, kms: Any) -> None:
    sealed = vault(aws, new_key(kms)).seal(SECRET)
    elsewhere = Aws(aws.session, "eu-west-1", aws.endpoints)
    with pytest.raises(SecretUnreadable, match="kms:Decrypt"):
        vault(elsewhere, "").open(sealed)
