"""What holds a run to what it says that it did: a run that did something else is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime

from benchmarks.figures import BenchmarkFailed
from benchmarks.webhooks.dataset import Due
from benchmarks.webhooks.inbox import Arrival, Sample
from benchmarks.webhooks.store import Store
from demo.receiver import BadSignature, verify

_QUEUE = ("claim", "dueShard", "dueAt")


def check_arrivals(name: str, arrivals: Iterable[Arrival], due: Sequence[Due]) -> None:
    """Every webhook arrived once, at its endpoint, with all of its body, and nothing else did.

    Raises:
        BenchmarkFailed: something else arrived.
    """
    check_requests(name, arrivals, {(one.id, one.path, one.payload_bytes) for one in due})


def check_requests(
    name: str, arrivals: Iterable[Arrival], expected: Set[tuple[str, str, int]]
) -> None:
    """Each of these arrived once, and nothing else did: the webhook's id, the endpoint's path, the
    bytes of the body.

    Raises:
        BenchmarkFailed: something else arrived.
    """
    times = Counter((one.id, one.path, one.bytes) for one in arrivals)
    if missing := len(expected - times.keys()):
        raise BenchmarkFailed(f"{name}: {missing:,} of {len(expected):,} webhooks did not arrive")
    if others := len(times.keys() - expected):
        raise BenchmarkFailed(f"{name}: {others:,} requests arrived that nobody was to send")
    if again := sum(times.values()) - len(times):
        raise BenchmarkFailed(f"{name}: {again:,} webhooks arrived more than once")


def check_signatures(name: str, samples: Sequence[Sample], secrets: Mapping[str, str]) -> None:
    """The latest request of each path is signed, as the demo's receiver has it: by other code than
    Remit's, both sets of headers.

    Raises:
        BenchmarkFailed: one is not.
    """
    if {sample.path for sample in samples} != set(secrets):
        raise BenchmarkFailed(f"{name}: {len(samples)} of {len(secrets)} endpoints got something")
    now = datetime.now(UTC).timestamp()
    for sample in samples:
        try:
            verify(sample.headers, sample.body, secrets[sample.path], now)
        except BadSignature as error:
            raise BenchmarkFailed(f"{name}: {sample.path} got a wrong signature: {error}") from None


def check_delivered(name: str, store: Store, due: Sequence[Due]) -> None:
    """The record of every webhook says that it is delivered, and it has left the queue.

    Raises:
        BenchmarkFailed: one says something else.
    """
    delivered = {
        str(item["id"])
        for item in store.items("Webhooks")
        if item["status"] == "delivered"
        and item["attempts"] == 1
        and not any(attribute in item for attribute in _QUEUE)
    }
    if left := len({one.id for one in due} - delivered):
        raise BenchmarkFailed(f"{name}: {left:,} of {len(due):,} records do not say delivered")


def check_attempts(name: str, store: Store, due: Sequence[Due]) -> None:
    """There is the record of one attempt for each webhook.

    Raises:
        BenchmarkFailed: there are more or fewer.
    """
    attempts = Counter(str(item["webhookID"]) for item in store.items("WebhookAttempts"))
    if attempts != Counter(one.id for one in due):
        raise BenchmarkFailed(f"{name}: {attempts.total():,} attempts of {len(due):,} are recorded")
