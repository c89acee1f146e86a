"""Writes moves in batches. One that is stale, or that DynamoDB refuses, costs only itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from remit.aws.items import encode_item
from remit.aws.tables import Tables
from remit.aws.transactions import FAILED_CONDITION, TRANSACTION_LIMIT, TRANSIENT_REASONS
from remit.aws.wire import Wire
from remit.errors import ConditionFailed, RecordRefused, RemitError, StoreUnavailable
from remit.webhooks.moves import Changes, Move
from remit.webhooks.results import Result

log = logging.getLogger(__name__)

_ROUNDS = 8  # of one batch: each but the last has dropped an action, or met another transaction
_WAIT_SECONDS = 0.02  # for another transaction; it doubles
_CONFLICT = "TransactionConflict"


@dataclass(slots=True)
class _Action:
    """One action of a transaction; `writes_attempt` tells the record of an attempt from a move."""

    index: int
    action: dict[str, Any] = field(repr=False)
    writes_attempt: bool = False


@dataclass(slots=True)
class _Batch:
    """A batch on its way: what is still to be written, and what became of the rest."""

    moves: Sequence[Move]
    patience: float
    actions: list[_Action] = field(default_factory=list)
    results: dict[int, Result] = field(default_factory=dict)
    alone: list[int] = field(default_factory=list)


class Writer:
    """Writes to `Webhooks` and `WebhookAttempts` on one event loop."""

    def __init__(self, tables: Tables, wire: Wire) -> None:
        self._webhooks = tables.webhooks
        self._attempts = tables.attempts
        self._wire = wire

    async def write(self, moves: Sequence[Move], patience: float = 0.0) -> list[Result]:
        """Write moves, as many in one transaction as it takes, and say what became of each. While
        DynamoDB cannot be reached, this is not given up for so many seconds."""
        size = TRANSACTION_LIMIT // 2 if any(m.attempt for m in moves) else TRANSACTION_LIMIT
        batches = [moves[start : start + size] for start in range(0, len(moves), size)]
        done = await asyncio.gather(*(self._write_batch(batch, patience) for batch in batches))
        return [result for results in done for result in results]

    async def _write_batch(self, moves: Sequence[Move], patience: float) -> list[Result]:
        batch = _Batch(moves, patience)
        for index, move in enumerate(moves):
            self._add(batch, index, move)
        try:
            await self._transact(batch)
        except StoreUnavailable as error:
            log.warning("%d webhooks are not recorded: %s", len(batch.actions), error)
        except RecordRefused:
            # DynamoDB does not say which one it is.
            batch.alone += [action.index for action in batch.actions if not action.writes_attempt]
        except RemitError:
            # No table, no permission: to give them back would deliver them again and again.
            log.exception("%d webhooks could not be recorded", len(batch.actions))
            for action in batch.actions:
                batch.results.setdefault(action.index, Result.ERROR)
        alone = await asyncio.gather(
            *(self._write_alone(moves[index], patience) for index in batch.alone)
        )
        batch.results |= dict(zip(batch.alone, alone, strict=True))
        return [batch.results.get(index, Result.UNRECORDED) for index in range(len(moves))]

    def _add(self, batch: _Batch, index: int, move: Move) -> None:
        try:
            actions = [_Action(index, {"Update": self._update(move.key, move.change)})]
            if move.attempt is not None:
                actions.append(_Action(index, {"Put": self._put(move)}, writes_attempt=True))
        except Exception:
            # Whatever is peculiar about this one webhook: the others of its batch go on.
            log.exception("webhook=%r could not be recorded", move.key)
            batch.results[index] = Result.ERROR
        else:
            batch.actions += actions

    async def _transact(self, batch: _Batch) -> None:
        for number in range(_ROUNDS):
            if not batch.actions:
                return
            actions = [action.action for action in batch.actions]
            reasons = await self._wire.transact(actions, batch.patience)
            if reasons is None:
                for action in batch.actions:
                    batch.results.setdefault(action.index, batch.moves[action.index].result)
                return
            self._drop(batch, reasons)
            if any(reason in TRANSIENT_REASONS for reason in reasons):
                await asyncio.sleep(_WAIT_SECONDS * 2**number)
        log.warning("%d webhooks are not recorded: other writes came first", len(batch.actions))

    def _drop(self, batch: _Batch, reasons: Sequence[str | None]) -> None:
        """Keep of a canceled batch what was not the reason."""
        refused: set[int] = set()
        kept = []
        for action, reason in zip(batch.actions, reasons, strict=True):
            move = batch.moves[action.index]
            if reason == FAILED_CONDITION or (
                # Whoever writes to a webhook that is not claimed claims it.
                reason == _CONFLICT and move.result is Result.CLAIMED
            ):
                # The attempt was made, whoever holds the webhook now: its own record stays.
                batch.results[action.index] = Result.LOST
                log.log(
                    _LOUDNESS.get(move.result, logging.WARNING), "webhook=%r is another's", move.key
                )
            elif reason is None or reason in TRANSIENT_REASONS:
                kept.append(action)
            else:
                refused.add(action.index)
        batch.alone += sorted(refused)
        batch.actions = [action for action in kept if action.index not in refused]

    async def _write_alone(self, move: Move, patience: float) -> Result:
        """Write one move by itself, in short if DynamoDB refuses it as it is."""
        try:
            result = await self._alone_or_in_short(move, patience)
        except ConditionFailed:
            log.warning("webhook=%r is another's", move.key)
            result = Result.LOST
        except StoreUnavailable as error:
            log.warning("webhook=%r is not recorded: %s", move.key, error)
            return Result.UNRECORDED
        except RemitError:
            log.exception("webhook=%r could not be recorded", move.key)
            return Result.ERROR
        if move.attempt is not None:
            # It was made, whoever holds the webhook now.
            await self._put_alone(move, patience)
        return result

    async def _put_alone(self, move: Move, patience: float) -> None:
        try:
            await self._wire.call("PutItem", self._put(move), patience)
        except RemitError as error:
            log.warning("webhook=%r lacks the record of an attempt: %s", move.key, error)

    async def _alone_or_in_short(self, move: Move, patience: float) -> Result:
        try:
            await self._wire.call("UpdateItem", self._update(move.key, move.change), patience)
        except RecordRefused as error:
            if move.short is None:
                raise
            log.warning("webhook=%r is recorded in short: %s", move.key, error)
            short = self._update(move.key, move.short())
            await self._wire.call("UpdateItem", short, patience)
            return move.short_result or move.result
        return move.result

    def _update(self, key: str, change: Changes) -> dict[str, Any]:
        return self._webhooks.update_action(key, **change)

    def _put(self, move: Move) -> dict[str, Any]:
        return {"TableName": self._attempts.name, "Item": encode_item(move.attempt or {})}


_LOUDNESS = {Result.CLAIMED: logging.DEBUG, Result.DEFERRED: logging.DEBUG}
"""To lose a race for a webhook that is due is what happens between deliverers."""
