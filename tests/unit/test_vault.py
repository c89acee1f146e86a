"""The vault with Fernet keys, and with a KMS that runs here."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

import remit.vault
from remit.aws.session import Patience
from remit.errors import ConfigurationError, RemitError, SecretUnreadable, StoreUnavailable
from remit.settings import Settings
from remit.vault import OUTAGE, REMEMBERED, Vault
from tests.support.clock import ManualClock

FIRST, SECOND, THIRD = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
SECRET = "whsec_c2VjcmV0LW9mLWEtbWVyY2hhbnQtaGVyZQ=="


class FakeKms:
    """Seals by writing down key, context and text; counts what it opens."""

    def __init__(self) -> None:
        self.opened = 0
        self.fault: Exception | None = None
        self.lost = ""
        """A part that answers lack."""
        self.patience: Patience | None = None

    def client(self, service: str, patience: Patience) -> FakeKms:
        assert service == "kms"
        self.patience = patience
        return self

    def encrypt(self, KeyId: str, Plaintext: bytes, EncryptionContext: Any) -> dict[str, Any]:  # noqa: N803
        if self.fault:
            raise self.fault
        arn = f"arn:{KeyId.removeprefix('alias/')}"
        blob = json.dumps([arn, EncryptionContext, Plaintext.hex()]).encode()
        return self.answer({"CiphertextBlob": blob, "KeyId": arn})

    def decrypt(self, CiphertextBlob: bytes, EncryptionContext: Any) -> dict[str, Any]:  # noqa: N803
        if self.fault:
            raise self.fault
        self.opened += 1
        arn, context, text = json.loads(CiphertextBlob)
        if context != EncryptionContext:
            raise error_of("InvalidCiphertextException")
        return self.answer({"Plaintext": bytes.fromhex(text), "KeyId": arn})

    def answer(self, whole: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in whole.items() if name != self.lost}


def error_of(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Decrypt")


def vault(
    *keys: str, kms_key: str = "", kms: FakeKms | None = None, clock: ManualClock | None = None
) -> Vault:
    settings = Settings(secret_keys=",".join(keys), secret_kms_key=kms_key)
    aws: Any = kms or FakeKms()
    return Vault.of(settings, aws, clock or ManualClock())


@given(st.text())
def test_what_fernet_sealed_is_opened(secret: str) -> None:
    sealed = vault(FIRST).seal(secret)
    assert sealed.startswith("fernet:")
    assert vault(FIRST).open(sealed) == secret


@given(st.text())
def test_what_kms_sealed_is_opened(secret: str) -> None:
    kms = FakeKms()
    sealed = vault(kms_key="key", kms=kms).seal(secret)
    assert sealed.startswith("kms:")
    assert vault(kms_key="key", kms=kms).open(sealed) == secret


def test_the_first_key_seals_with_fernet_alone_as_anybody_could() -> None:
    token = vault(FIRST, SECOND).seal(SECRET).removeprefix("fernet:")
    assert Fernet(FIRST).decrypt(token).decode() == SECRET


@pytest.mark.parametrize("text", ["plain", SECRET, "Fernet:x", "", "fernet", "arn:kms:x"])
def test_text_that_nothing_sealed_is_the_secret_itself(text: str) -> None:
    for one in (vault(), vault(FIRST), vault(kms_key="key")):
        assert one.open(text) == text


def test_after_a_rotation_the_old_key_still_opens() -> None:
    sealed = vault(FIRST).seal(SECRET)
    assert vault(SECOND, FIRST).open(sealed) == SECRET


def test_resealed_a_secret_needs_the_first_key_alone() -> None:
    sealed = vault(FIRST).seal(SECRET)
    resealed = vault(SECOND, FIRST).reseal(sealed)
    assert resealed is not None
    assert vault(SECOND).open(resealed) == SECRET
    assert vault(SECOND, FIRST).reseal(resealed) is None


def test_a_plain_secret_is_sealed_by_a_reseal() -> None:
    resealed = vault(FIRST).reseal(SECRET)
    assert resealed is not None
    assert resealed.startswith("fernet:")
    assert vault(FIRST).open(resealed) == SECRET


def test_with_a_kms_key_kms_seals_and_fernet_keys_still_open() -> None:
    old = vault(FIRST).seal(SECRET)
    both = vault(FIRST, kms_key="key")
    assert both.open(old) == SECRET
    assert both.seal(SECRET).startswith("kms:")
    resealed = both.reseal(old)
    assert resealed is not None
    assert vault(kms_key="key").open(resealed) == SECRET


def test_without_the_kms_key_kms_still_opens_and_fernet_seals() -> None:
    old = vault(kms_key="key").seal(SECRET)
    resealed = vault(FIRST).reseal(old)
    assert resealed is not None
    assert vault(FIRST).open(resealed) == SECRET


@pytest.mark.parametrize(
    ("key", "is_other"), [("one", False), ("alias/one", False), ("alias/two", True)]
)
def test_a_reseal_by_kms_goes_by_the_key_and_not_by_its_name(key: str, is_other: bool) -> None:
    sealed = vault(kms_key="one").seal(SECRET)
    resealed = vault(kms_key=key).reseal(sealed)
    assert (resealed is not None) == is_other
    if resealed is not None:
        assert vault().open(resealed) == SECRET
        assert vault(kms_key=key).reseal(resealed) is None


@pytest.mark.parametrize("keys", [(), ("",), (",", " ,")])
@pytest.mark.parametrize("use", ["seal", "reseal"])
def test_without_a_key_nothing_is_stored(use: str, keys: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"REMIT_SECRET_KEYS .* REMIT_SECRET_KMS_KEY"):
        getattr(vault(*keys), use)(SECRET)


@pytest.mark.parametrize("bad", ["short", FIRST[:-4], FIRST + FIRST, "é" * 44, f"{FIRST} {SECOND}"])
def test_a_malformed_key_is_refused_at_once_and_not_shown(bad: str) -> None:
    with pytest.raises(ConfigurationError, match="key 2 of REMIT_SECRET_KEYS") as refused:
        vault(FIRST, bad, SECOND)
    assert bad not in str(refused.value)
    assert refused.value.__context__ is None


def test_spaces_and_a_comma_at_the_end_of_the_keys_do_no_harm() -> None:
    sealed = vault(FIRST).seal(SECRET)
    assert vault(f" {SECOND} ", f" {FIRST}\n", "").open(sealed) == SECRET


@pytest.mark.parametrize("keys", [(), (SECOND,), (SECOND, THIRD)])
def test_a_secret_whose_key_is_gone_is_unreadable(keys: tuple[str, ...]) -> None:
    sealed = vault(FIRST).seal(SECRET)
    for use in (vault(*keys).open, vault(*keys, kms_key="key").reseal):
        with pytest.raises(SecretUnreadable, match="REMIT_SECRET_KEYS") as refused:
            use(sealed)
        shows_nothing(str(refused.value))


@pytest.mark.parametrize(
    "damage",
    [
        lambda token: token[:-1],
        lambda token: token[1:],
        lambda token: token[:40] + ("A" if token[40] != "A" else "B") + token[41:],
        lambda token: "\udcff" + token,
        lambda token: "",
    ],
)
def test_a_damaged_secret_is_unreadable(damage: Callable[[str], str]) -> None:
    token = vault(FIRST).seal(SECRET).removeprefix("fernet:")
    with pytest.raises(SecretUnreadable, match="damaged"):
        vault(FIRST).open(f"fernet:{damage(token)}")


@pytest.mark.parametrize("sealed", ["", "!", "AAA", "é", "\udcff"])
def test_what_cannot_be_of_kms_is_unreadable_without_asking_it(sealed: str) -> None:
    with pytest.raises(SecretUnreadable, match="damaged"):
        vault(kms_key="key").open(f"kms:{sealed}")


def test_what_is_sealed_and_no_text_is_unreadable() -> None:
    sealed = Fernet(FIRST).encrypt(b"\xff").decode()
    with pytest.raises(SecretUnreadable):
        vault(FIRST).open(f"fernet:{sealed}")
    blob = FakeKms().encrypt("key", b"\xff", {"service": "remit"})["CiphertextBlob"]
    with pytest.raises(SecretUnreadable, match="not text"):
        vault().open(f"kms:{base64.b64encode(blob).decode()}")


def test_what_another_service_sealed_with_the_key_is_not_opened() -> None:
    blob = FakeKms().encrypt("key", b"x", {"service": "other"})["CiphertextBlob"]
    with pytest.raises(SecretUnreadable, match="InvalidCiphertextException"):
        vault(kms_key="key").open(f"kms:{base64.b64encode(blob).decode()}")


@pytest.mark.parametrize(
    ("fault", "opening", "sealing"),
    [
        (error_of("AccessDeniedException"), SecretUnreadable, ConfigurationError),
        (error_of("DisabledException"), SecretUnreadable, ConfigurationError),
        (error_of("NotFoundException"), SecretUnreadable, ConfigurationError),
        (error_of("KMSInvalidStateException", 409), SecretUnreadable, ConfigurationError),
        (error_of("ThrottlingException"), StoreUnavailable, StoreUnavailable),
        (error_of("KMSInternalException", 500), StoreUnavailable, StoreUnavailable),
        (EndpointConnectionError(endpoint_url="kms"), StoreUnavailable, StoreUnavailable),
    ],
)
def test_the_error_of_kms_says_whether_to_mend_or_to_wait(
    fault: Exception, opening: type[RemitError], sealing: type[RemitError]
) -> None:
    kms = FakeKms()
    one = vault(kms_key="key", kms=kms)
    sealed = one.seal(SECRET)
    kms.fault = fault
    with pytest.raises(opening) as refused:
        one.open(sealed)
    shows_nothing(str(refused.value))
    with pytest.raises(sealing) as refused:
        one.seal(SECRET)
    shows_nothing(str(refused.value))
    kms.fault = None
    assert vault(kms_key="key", kms=kms).open(sealed) == SECRET


@pytest.mark.parametrize(
    ("lost", "use"), [("Plaintext", "open"), ("CiphertextBlob", "seal"), ("KeyId", "seal")]
)
def test_an_answer_of_kms_that_lacks_a_part_is_asked_for_again(lost: str, use: str) -> None:
    kms, clock = FakeKms(), ManualClock()
    one = vault(kms_key="key", kms=kms, clock=clock)
    given = one.seal(SECRET) if use == "open" else SECRET
    kms.lost = lost
    with pytest.raises(StoreUnavailable, match=f"could not {use} a secret: .* no {lost}") as failed:
        getattr(one, use)(given)
    shows_nothing(str(failed.value))
    kms.lost = ""
    clock.advance(OUTAGE.total_seconds())
    assert getattr(one, use)(given)


def test_kms_opens_a_secret_once_in_some_minutes() -> None:
    kms, clock = FakeKms(), ManualClock()
    one = vault(kms_key="key", kms=kms, clock=clock)
    sealed, other = one.seal(SECRET), one.seal("another")
    for _ in range(3):
        assert (one.open(sealed), one.open(other)) == (SECRET, "another")
    assert kms.opened == 2
    clock.advance(REMEMBERED.total_seconds() - 1)
    assert one.open(sealed) == SECRET
    assert kms.opened == 2
    clock.advance(1)
    assert one.open(sealed) == SECRET
    assert kms.opened == 3


def test_in_an_outage_kms_is_asked_once_in_some_seconds_and_what_is_remembered_is_opened() -> None:
    kms, clock = FakeKms(), ManualClock()
    one = vault(kms_key="key", kms=kms, clock=clock)
    sealed, other = one.seal(SECRET), one.seal("another")
    assert one.open(sealed) == SECRET
    kms.fault = EndpointConnectionError(endpoint_url="https://kms")
    with pytest.raises(StoreUnavailable):
        one.open(other)
    kms.fault = None
    with pytest.raises(StoreUnavailable, match="a moment ago"):
        one.open(other)
    assert (one.open(sealed), kms.opened) == (SECRET, 1)
    clock.advance(OUTAGE.total_seconds())
    assert one.open(other) == "another"


def test_a_kms_that_hangs_holds_up_those_who_need_none_of_it_for_a_small_part_of_the_time() -> None:
    kms = FakeKms()
    vault(kms_key="key", kms=kms).seal(SECRET)
    assert kms.patience is not None
    longest = kms.patience.attempts * max(kms.patience.connect, kms.patience.dynamodb)
    assert kms.patience.attempts > 1  # one answer that is lost is no outage
    assert longest <= 6
    assert longest * 5 <= OUTAGE.total_seconds()


def test_once_forgotten_a_secret_needs_its_key_again() -> None:
    kms, clock = FakeKms(), ManualClock()
    one = vault(kms_key="key", kms=kms, clock=clock)
    sealed = one.seal(SECRET)
    one.open(sealed)
    kms.fault = error_of("DisabledException")
    assert one.open(sealed) == SECRET
    clock.advance(REMEMBERED.total_seconds())
    with pytest.raises(SecretUnreadable):
        one.open(sealed)


def test_of_too_many_secrets_the_longest_remembered_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remit.vault, "MOST_REMEMBERED", 2)
    kms = FakeKms()
    one = vault(kms_key="key", kms=kms)
    first, second, third = (one.seal(text) for text in ("first", "second", "third"))
    for sealed in (first, second, third, third, second):
        one.open(sealed)
    assert kms.opened == 3
    assert one.open(first) == "first"
    assert kms.opened == 4


def test_neither_the_vault_nor_the_log_shows_a_key_or_a_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    for one in (vault(FIRST), vault(FIRST, kms_key="key")):
        assert one.open(one.seal(SECRET)) == SECRET
        shows_nothing(repr(one) + str(one) + caplog.text)


def shows_nothing(text: str) -> None:
    for secret in (SECRET, SECRET.removeprefix("whsec_"), FIRST, SECOND, THIRD):
        assert secret[:12] not in text
