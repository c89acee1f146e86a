"""Three merchants and some thousands of payments, written the way the payments service writes.

That is: camelCase attributes; amounts as integers in minor units; times as RFC 3339 in the writer's
own offset with as many fraction digits as it takes (Go's RFC3339Nano); nested structs as native
maps with PascalCase keys. Among them is what breaks naive exports: currencies without cents and
with three digits, negative amounts, text in many scripts, quotes, line breaks, spreadsheet
formulas, missing and empty fields, times whose local day is not their UTC day.

The same seed gives the same records every time.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

from remit.aws.items import encode_item

Record = dict[str, Any]

MONTH = (date(2026, 1, 1), date(2026, 1, 31))
"""The range that the walk and the benchmarks export: first and last day, both whole, UTC."""

PAYMENTS_IN_MONTH = {"merchant-001": 1_000, "merchant-002": 1_250, "merchant-003": 750}
"""How many payments of each merchant lie in `MONTH`; as many again lie around it."""

_SEED = 20260131
_BATCH = 25  # BatchWriteItem takes so many
_WRITERS = 4

_OFFSETS = [
    UTC,
    timezone(timedelta(hours=-5)),
    timezone(timedelta(hours=1)),
    timezone(timedelta(hours=5, minutes=45)),
    timezone(timedelta(hours=9)),
    timezone(timedelta(hours=14)),
]
_CURRENCIES = {"USD": 0.55, "EUR": 0.25, "JPY": 0.12, "KWD": 0.08}
_STATUSES = {
    "succeeded": 0.86,
    "failed": 0.07,
    "canceled": 0.03,
    "pending": 0.03,
    "processing": 0.01,
}
_METHODS = ["card", "bank_transfer", "wallet", "sepa_debit"]
_PLAIN = ["Order {n}", "Subscription {n}", "Invoice {n}", "Top-up {n}", ""]

FORMULAS = [
    '=HYPERLINK("http://example.com","pay")',
    "=1+1",
    "+41 79 000 00 00",
    "-2 items returned",
    "@SUM(A1:A9)",
    "\tindented by a tab",
    "\rstarts with a carriage return",
]
"""Descriptions that a spreadsheet would execute or garble."""

AWKWARD = [
    *FORMULAS,
    'She said "hello", twice',
    "comma, semicolon; pipe|",
    "two\nlines",
    "two\r\nlines, the Windows way",
    "a lone\rcarriage return",
    "Grüße aus Zürich",
    "請求書 第42号",
    "فاتورة رقم ٤٢",
    "חשבונית 42 (mixed with English)",
    "🎉 party 👩‍👩‍👧‍👦 with a family",
    "back\\slash and 'single quotes'",
    "NULL",
    "-70",
    " leading and trailing blanks ",
    "non\u00a0breaking and zero\u200bwidth",
]
"""Descriptions that are rendered wrongly by something, somewhere. Each merchant has all of them."""


@dataclass(frozen=True)
class Merchant:
    """A merchant and where its webhooks go."""

    id: str
    name: str
    email: str
    secret: str


MERCHANTS = [
    Merchant(
        "merchant-001", "Blue Bottle Books", "pay@books.example", "local-secret-of-merchant-1"
    ),
    Merchant("merchant-002", "Müller & Söhne GmbH", "kasse@mueller.example", "geheim-für-müller-2"),
    # The form that Standard Webhooks issues secrets in: base64 behind a prefix.
    Merchant(
        "merchant-003",
        "東京ティーハウス",
        "keiri@teahouse.example",
        "whsec_bG9jYWwtc2VjcmV0LW9mLW1lcmNoYW50LTM=",
    ),
]


@dataclass(frozen=True)
class Seed:
    """Every record, by table."""

    merchants: list[Record]
    payments: list[Record]
    transactions: list[Record]

    def payments_between(self, merchant_id: str, first: date, last: date) -> list[Record]:
        """A merchant's payments created from the first day to the last (both whole days, UTC)."""
        start = datetime.combine(first, time(), UTC)
        end = datetime.combine(last + timedelta(days=1), time(), UTC)
        return [
            payment
            for payment in self.payments
            if payment["merchantID"] == merchant_id and start <= created_at(payment) < end
        ]


def generate(receiver: str) -> Seed:
    """The records; webhooks go to the receiver at that address, one path per merchant."""
    source = random.Random(_SEED)  # noqa: S311 - reproducible, and nothing is secret about it
    payments = [p for merchant in MERCHANTS for p in _payments(source, merchant.id)]
    return Seed(
        merchants=[_merchant(merchant, receiver) for merchant in MERCHANTS],
        payments=payments,
        transactions=list(_transactions(source, payments)),
    )


def write(dynamodb: Any, seed: Seed, prefix: str = "") -> None:
    """Put every record into the tables, which exist."""
    tables = {
        "Merchants": seed.merchants,
        "Payments": seed.payments,
        "Transactions": seed.transactions,
    }
    batches = [
        {f"{prefix}{table}": [{"PutRequest": {"Item": encode_item(r)}} for r in batch]}
        for table, records in tables.items()
        for batch in _batches(records)
    ]
    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(lambda batch: _write_batch(dynamodb, batch), batches))


def created_at(payment: Record) -> datetime:
    """The instant that a payment's `createdAt` means, to the microsecond.

    On purpose not Remit's own parser: this side checks the other.
    """
    text = payment["createdAt"].replace("Z", "+00:00")
    head, offset = text[:-6], text[-6:]
    whole, _, fraction = head.partition(".")
    instant = datetime.strptime(f"{whole}{offset}", "%Y-%m-%dT%H:%M:%S%z")
    return instant.astimezone(UTC).replace(microsecond=int(fraction.ljust(6, "0")[:6]))


def rfc3339_nano(instant: datetime, nanoseconds: int = 0) -> str:
    """As Go writes it: the writer's offset, no trailing zeros, `Z` for UTC."""
    digits = f"{instant.microsecond * 1000 + nanoseconds:09d}".rstrip("0")
    offset = instant.strftime("%z")
    zone = "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}"
    return f"{instant:%Y-%m-%dT%H:%M:%S}{'.' if digits else ''}{digits}{zone}"


def _merchant(merchant: Merchant, receiver: str) -> Record:
    return {
        "id": merchant.id,
        "name": merchant.name,
        "email": merchant.email,
        "status": "active",
        "webhookURL": f"{receiver}/{merchant.id}",
        "webhookSecret": merchant.secret,
        "features": {"exports", "webhooks"},
        "rateLimits": {"PaymentsPerMinute": 600, "PaymentsPerDay": 100_000},
        "createdAt": "2024-03-01T09:00:00Z",
        "updatedAt": "2025-11-30T17:45:12.5+01:00",
        "version": 3,
    }


def _payments(source: random.Random, merchant_id: str) -> Iterator[Record]:
    inside = PAYMENTS_IN_MONTH[merchant_id]
    start = datetime.combine(MONTH[0], time(), UTC)
    end = datetime.combine(MONTH[1] + timedelta(days=1), time(), UTC)
    month = (end - start).total_seconds()
    before, after = start - timedelta(days=45), end + timedelta(days=45)
    instants = [
        *_edges(start, end),
        *(start + _within(source, month) for _ in range(inside - 2)),
        *(before + _within(source, 45 * 86400) for _ in range(inside // 2)),
        *(end + _within(source, (after - end).total_seconds()) for _ in range(inside // 2)),
    ]
    for number, instant in enumerate(instants):
        yield _payment(source, merchant_id, number, instant)


def _edges(start: datetime, end: datetime) -> list[datetime]:
    """The first and last instant of the month, and their neighbours outside it."""
    tick = timedelta(microseconds=1)
    return [start, end - tick, start - tick, end]


def _within(source: random.Random, seconds: float) -> timedelta:
    # A second away from both ends, so that only the edges sit on them.
    return timedelta(seconds=source.uniform(1, seconds - 1))


def _payment(source: random.Random, merchant_id: str, number: int, instant: datetime) -> Record:
    created = instant.astimezone(source.choice(_OFFSETS))
    nanoseconds = 0
    if source.random() < 0.2:
        created = created.replace(microsecond=0) if number > 3 else created
    elif source.random() < 0.5:
        nanoseconds = source.randrange(1000)
    payment: Record = {
        "id": f"pay-{merchant_id[-3:]}-{number:05d}",
        "idempotencyKey": f"{merchant_id}:{source.getrandbits(64):016x}",
        "merchantID": merchant_id,
        "amount": _amount(source, number),
        "currency": _weighted(source, _CURRENCIES),
        "status": _weighted(source, _STATUSES),
        "paymentMethod": source.choice(_METHODS),
        "createdAt": rfc3339_nano(created, nanoseconds),
        "updatedAt": rfc3339_nano(created + timedelta(seconds=source.uniform(0, 90))),
        "version": source.randint(1, 4),
    }
    # A missing customer is a missing attribute: an empty string cannot be the key of an index.
    if source.random() < 0.8:
        payment["customerID"] = f"cus-{source.randrange(400):04d}"
    if source.random() < 0.7:
        payment["metadata"] = _metadata(source, number)
    if (description := _description(source, number)) is not None:
        payment["description"] = description
    return payment


def _amount(source: random.Random, number: int) -> int:
    if number % 97 == 5:
        return -source.randint(1, 20_000)  # an adjustment in the customer's favour
    if number % 211 == 7:
        return source.randint(2**53, 2**62)  # a float would not hold it
    return source.randint(1, 500_000)


def _description(source: random.Random, number: int) -> str | None:
    # Edges first, then every awkward text once, inside the month; later ones by chance.
    if 4 <= number < 4 + len(AWKWARD):
        return AWKWARD[number - 4]
    kind = source.random()
    if kind < 0.05:
        return None
    if kind < 0.15:
        return source.choice(AWKWARD)
    return source.choice(_PLAIN).format(n=number)


def _metadata(source: random.Random, number: int) -> Record:
    metadata: Record = {"order": f"A-{number}", "channel": source.choice(["web", "app", "pos", ""])}
    if source.random() < 0.3:
        metadata["basket"] = {
            "items": [
                {"sku": f"sku-{source.randrange(50)}", "quantity": source.randint(1, 5)}
                for _ in range(source.randint(1, 3))
            ],
            "gift": source.random() < 0.2,
            "note": source.choice([None, "Grüße 🎁", 'with "quotes"', ""]),
        }
    return metadata


def _transactions(source: random.Random, payments: Iterable[Record]) -> Iterator[Record]:
    for payment in payments:
        if payment["status"] != "succeeded" or payment["amount"] < 0:
            continue
        yield _transaction(source, payment, "capture", payment["amount"], timedelta(seconds=2))
        if source.random() < 0.04:
            refunded = source.randint(1, payment["amount"])
            yield _transaction(source, payment, "refund", refunded, timedelta(days=3))


def _transaction(
    source: random.Random, payment: Record, kind: str, amount: int, later: timedelta
) -> Record:
    processed = rfc3339_nano(created_at(payment) + later)
    return {
        "id": f"txn-{kind}-{payment['id']}",
        "paymentID": payment["id"],
        # The platform writes neither of these two; the report `refunds` needs them (README).
        "merchantID": payment["merchantID"],
        "currency": payment["currency"],
        "type": kind,
        "amount": amount,
        "status": "succeeded",
        "processedAt": processed,
        "processorID": f"proc-{source.getrandbits(40):010x}",
        "responseCode": "00",
        "responseText": "Approved",
        "auditTrail": [{"Timestamp": processed, "Action": kind, "UserID": "system"}],
        "createdAt": processed,
        "updatedAt": processed,
        "version": 1,
    }


def _weighted(source: random.Random, weights: dict[str, float]) -> str:
    return source.choices(list(weights), list(weights.values()))[0]


def _batches(records: list[Record]) -> Iterator[list[Record]]:
    for start in range(0, len(records), _BATCH):
        yield records[start : start + _BATCH]


def _write_batch(dynamodb: Any, batch: dict[str, Any]) -> None:
    while batch:
        batch = dynamodb.batch_write_item(RequestItems=batch).get("UnprocessedItems", {})
