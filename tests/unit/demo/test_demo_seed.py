from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from demo import seed
from remit.aws.items import decode_item, encode_item

RECEIVER = "http://127.0.0.1:8090"
INDEX_KEYS = {"id", "merchantID", "status", "customerID", "idempotencyKey", "createdAt"}


@pytest.fixture(scope="module")
def seeded() -> seed.Seed:
    return seed.generate(RECEIVER)


def test_the_same_seed_gives_the_same_records(seeded: seed.Seed) -> None:
    assert seed.generate(RECEIVER) == seeded


def test_there_are_some_thousands_of_payments_with_unique_ids(seeded: seed.Seed) -> None:
    ids = {payment["id"] for payment in seeded.payments}
    assert len(ids) == len(seeded.payments) > 5_000
    assert len({t["id"] for t in seeded.transactions}) == len(seeded.transactions)


@pytest.mark.parametrize(("merchant", "rows"), list(seed.PAYMENTS_IN_MONTH.items()))
def test_the_month_holds_what_it_promises(seeded: seed.Seed, merchant: str, rows: int) -> None:
    assert len(seeded.payments_between(merchant, *seed.MONTH)) == rows


def test_some_payments_have_another_local_day_than_their_utc_day(seeded: seed.Seed) -> None:
    local = [p["createdAt"][:10] for p in seeded.payments]
    utc = [seed.created_at(p).date().isoformat() for p in seeded.payments]
    assert sum(a != b for a, b in zip(local, utc, strict=True)) > 100


def test_string_order_is_not_time_order(seeded: seed.Seed) -> None:
    by_text = sorted(seeded.payments, key=lambda p: p["createdAt"])
    by_time = sorted(seeded.payments, key=seed.created_at)
    assert [p["id"] for p in by_text] != [p["id"] for p in by_time]


def test_no_key_of_an_index_is_empty(seeded: seed.Seed) -> None:
    assert all(payment[key] for payment in seeded.payments for key in INDEX_KEYS & set(payment))


def test_every_currency_and_sign_occurs(seeded: seed.Seed) -> None:
    assert {p["currency"] for p in seeded.payments} == {"USD", "EUR", "JPY", "KWD"}
    assert min(p["amount"] for p in seeded.payments) < 0
    assert any(math.floor(float(p["amount"])) != p["amount"] for p in seeded.payments)
    assert all(-(2**63) <= p["amount"] < 2**63 for p in seeded.payments)


@pytest.mark.parametrize("merchant", [merchant.id for merchant in seed.MERCHANTS])
def test_each_merchants_month_has_every_awkward_text(seeded: seed.Seed, merchant: str) -> None:
    texts = {p.get("description") for p in seeded.payments_between(merchant, *seed.MONTH)}
    assert set(seed.AWKWARD) | {None, ""} <= texts


def test_optional_attributes_are_sometimes_missing(seeded: seed.Seed) -> None:
    for name in ("customerID", "description", "metadata"):
        present = sum(name in payment for payment in seeded.payments)
        assert 0 < present < len(seeded.payments)


def test_refunds_are_transactions_of_payments(seeded: seed.Seed) -> None:
    refunds = [t for t in seeded.transactions if t["type"] == "refund"]
    amounts = {p["id"]: p["amount"] for p in seeded.payments}
    assert refunds
    assert all(0 < t["amount"] <= amounts[t["paymentID"]] for t in refunds)


def test_webhooks_go_to_one_path_per_merchant(seeded: seed.Seed) -> None:
    assert [m["webhookURL"] for m in seeded.merchants] == [
        f"{RECEIVER}/{merchant.id}" for merchant in seed.MERCHANTS
    ]


def test_every_record_survives_dynamodb(seeded: seed.Seed) -> None:
    for record in [*seeded.merchants, *seeded.payments[:200], *seeded.transactions[:200]]:
        assert decode_item(encode_item(record)) == record


@pytest.mark.parametrize(
    ("instant", "nanoseconds", "text"),
    [
        (datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC), 0, "2026-01-31T23:59:59Z"),
        (datetime(2026, 1, 31, 1, 2, 3, 500_000, tzinfo=UTC), 0, "2026-01-31T01:02:03.5Z"),
        (datetime(2026, 1, 31, 1, 2, 3, 1, tzinfo=UTC), 7, "2026-01-31T01:02:03.000001007Z"),
        (
            datetime(2026, 1, 31, 1, 2, 3, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            0,
            "2026-01-31T01:02:03+05:45",
        ),
        (
            datetime(2026, 1, 31, 1, 2, 3, tzinfo=timezone(timedelta(hours=-5))),
            100,
            "2026-01-31T01:02:03.0000001-05:00",
        ),
    ],
)
def test_times_are_written_as_go_writes_them(
    instant: datetime, nanoseconds: int, text: str
) -> None:
    assert seed.rfc3339_nano(instant, nanoseconds) == text
    assert seed.created_at({"createdAt": text}) == instant


def test_the_last_day_of_a_range_is_whole() -> None:
    def record(created_at: str) -> seed.Record:
        return {"merchantID": "m", "createdAt": created_at}

    inside = [record("2026-01-31T23:59:59.999999999Z"), record("2026-02-01T00:30:00+05:45")]
    outside = [record("2026-02-01T00:00:00Z"), record("2026-01-31T23:30:00-05:00")]
    records = seed.Seed(merchants=[], payments=inside + outside, transactions=[])
    assert records.payments_between("m", date(2026, 1, 31), date(2026, 1, 31)) == inside


def test_writing_repeats_what_dynamodb_did_not_take() -> None:
    class Throttled:
        """Takes one item of each batch and hands the others back."""

        def __init__(self) -> None:
            self.items: list[object] = []

        def batch_write_item(self, RequestItems: dict[str, list[object]]) -> dict[str, object]:  # noqa: N803
            ((table, requests),) = RequestItems.items()
            self.items.append((table, requests[0]))
            return {"UnprocessedItems": {table: requests[1:]} if requests[1:] else {}}

    client = Throttled()
    merchants = [{"id": f"m-{n}"} for n in range(30)]
    seed.write(client, seed.Seed(merchants, payments=[], transactions=[]), prefix="test-")
    assert len(client.items) == 30
    assert {table for table, _ in client.items} == {"test-Merchants"}  # type: ignore[misc]
