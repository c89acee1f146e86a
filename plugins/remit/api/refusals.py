"""What the hook refuses by the rules of HTTP, before or beside what the core says.

RemitError
├── Refusal
│   ├── PayloadTooLarge         the body is larger than the route takes
│   ├── UnsupportedMediaType    the body is something else than plain JSON
│   ├── BodyTooSlow             the body did not come in time
│   ├── KeyReused               the idempotency key belongs to another request
│   └── Conflict
│       └── KeyInUse            the key's first request is still under way
└── Transient
    ├── RateLimited             the merchant has used up the requests of this moment
    └── Overloaded              so much is under way that this process takes no more
"""

from __future__ import annotations

from datetime import timedelta

from remit.errors import Conflict, Refusal, Transient


class PayloadTooLarge(Refusal):
    """A body that the route does not take."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than the {limit} bytes that may be sent here")


class UnsupportedMediaType(Refusal):
    """A body that is not said to be plain JSON."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: a body is sent as 'Content-Type: application/json', in UTF-8")


class BodyTooSlow(Refusal):
    """A body that takes too long to come."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the body did not come within {seconds:g} seconds")


class KeyReused(Refusal):
    """An idempotency key whose first request was another one."""


class KeyInUse(Conflict):
    """The first request of an idempotency key has no answer yet."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__(
            "the first request with this Idempotency-Key is still under way: "
            "send it again to get its answer"
        )
        self.retry_after = retry_after


class Overloaded(Transient):
    """This process has as much under way as it takes on. Nothing was done."""


class RateLimited(Transient):
    """So many requests of a merchant have come that this one is not served."""

    def __init__(self, rate: int, retry_after: timedelta) -> None:
        super().__init__(f"more than {rate} requests per second: wait as long as Retry-After says")
        self.rate = rate
        self.retry_after = retry_after
