"""The benchmark's payments: what a shape of them looks like.

Sizes are counted by DynamoDB's rules
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from benchmarks.standins.dynamodb.values import item_size

MERCHANT = "merchant-000001"
ITEM_BYTES = 480
ID_DIGITS = 16
EXAMPLE_TIME = "2026-01-01T00:00:00.000000Z"

Item = dict[str, Any]


def payment_id(number: int) -> str:
    """The id of a row."""
    return f"pay_{number:0{ID_DIGITS}d}"


def _base(chance: random.Random) -> Item:
    return {
        "id": {"S": payment_id(0)},
        "idempotencyKey": {"S": f"{chance.getrandbits(96):024x}"},
        "merchantID": {"S": MERCHANT},
        "amount": {"N": str(chance.randint(100, 9_999_999))},
        "currency": {"S": chance.choice(["USD", "USD", "EUR", "GBP", "JPY", "KWD"])},
        "status": {"S": chance.choice(["succeeded"] * 8 + ["failed", "pending"])},
        "paymentMethod": {"S": chance.choice(["card_visa", "card_mastercard", "sepa_debit"])},
        "customerID": {"S": f"cus_{chance.getrandbits(56):014x}"},
        "description": {"S": f"Order {chance.randint(1, 10**8)}"},
        "createdAt": {"S": EXAMPLE_TIME},
        "updatedAt": {"S": EXAMPLE_TIME},
        "version": {"N": "1"},
    }


def _shop_metadata(chance: random.Random) -> Item:
    return {
        "order_id": {"S": f"{chance.getrandbits(40):010x}"},
        "channel": {"S": chance.choice(["web", "app", "till"])},
        "store": {"S": chance.choice(["Berlin Mitte", "Wien Neubau", "Porto Bolhão"])},
        "attempt": {"N": str(chance.randint(1, 3))},
    }


def _nested(chance: random.Random) -> Item:
    """With a map of texts and a number, as shops attach it."""
    return _padded({**_base(chance), "metadata": {"M": _shop_metadata(chance)}})


def _nulls(chance: random.Random) -> Item:
    """As `nested`, by a writer that stores NULL for what is not known: every record is suspect, and
    the engine looks at each of them closely."""
    item = {**_base(chance), "metadata": {"M": _shop_metadata(chance)}}
    return _padded({**item, "customerID": {"NULL": True}})


def _flat(chance: random.Random) -> Item:
    """Without a map."""
    return _padded(_base(chance))


def _deep(chance: random.Random) -> Item:
    """With maps in maps, a list, a set, a truth value: what only a full decoder reads."""
    metadata = {
        "cart": {"M": {"items": {"L": [{"N": "12.50"}, {"S": 'a "quoted" name'}]}}},
        "tags": {"SS": ["blue", "new"]},
        "gift": {"BOOL": chance.random() < 0.5},
    }
    return _padded({**_base(chance), "metadata": {"M": metadata}})


def _padded(item: Item) -> Item:
    """The description is lengthened until the item has its size."""
    words = "thank you, and come again soon to our shop in the old town by the river "
    missing = ITEM_BYTES - item_size(item)
    text = item["description"]["S"] + ": " + words * 8
    keep = len(item["description"]["S"]) + missing
    return {**item, "description": {"S": text[:keep]}}


SHAPES: Mapping[str, Callable[[random.Random], Item]] = MappingProxyType(
    {"nested": _nested, "flat": _flat, "deep": _deep, "nulls": _nulls}
)
"""Shape of the items to how one is made; all have `ITEM_BYTES` bytes."""
