"""The limit: aiohttp posts bodies that are there already. No state, no claim, no signature."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from benchmarks.figures import BenchmarkFailed
from benchmarks.webhooks.dataset import Fleet, all_due
from benchmarks.webhooks.measuring import Parameters, measure


@dataclass(frozen=True, slots=True)
class Post:
    """One request."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def posts(parameters: Parameters) -> list[Post]:
    """The same bodies to the same endpoints as the others send; the id, so that the receiver knows
    what has arrived."""
    fleet = Fleet(parameters.receiver, parameters.endpoints)
    due = all_due(parameters.count, parameters.endpoints, parameters.payload_bytes)
    return [
        Post(
            fleet.url(one.merchant),
            {"Content-Type": "application/json", "webhook-id": one.id},
            one.event().payload().encode(),
        )
        for one in due
    ]


def deliver(parameters: Parameters, prepared: list[Post]) -> Mapping[str, int]:
    """Post them all."""
    return {"delivered": asyncio.run(_post(prepared, parameters.concurrency))}


async def _post(posts: list[Post], concurrency: int) -> int:
    left = iter(posts)

    async def worker() -> int:
        done = 0
        for post in left:
            async with session.post(post.url, data=post.body, headers=post.headers) as answer:
                await answer.read()
            if answer.status != 200:
                raise BenchmarkFailed(f"{post.url} answered {answer.status}")
            done += 1
        return done

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        return sum(await asyncio.gather(*(worker() for _ in range(concurrency))))


if __name__ == "__main__":
    measure(posts, deliver, "ClientSession, connections without a limit", ("aiohttp",))
