"""`Idempotency-Key`: the same request twice is done once, and answered twice.
Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from anyio import current_time, sleep
from fastapi import Request
from fastapi.responses import Response

from remit.api.answers import Answer
from remit.api.backend import Backend
from remit.api.call import Call, route_path
from remit.api.idempotency_records import (
    Asked,
    Busy,
    Done,
    FewerPermissions,
    Held,
    IdempotencyRecords,
    Operation,
    OtherRequest,
)
from remit.api.refusals import KeyInUse, KeyReused
from remit.audit import AuditLog
from remit.errors import (
    ConditionFailed,
    FieldError,
    InvalidRequest,
    NotPermitted,
    QueueFull,
    Refusal,
    RemitError,
    TooManyExports,
)

__all__ = ["HEADER", "REPLAYED", "Idempotency", "Operation"]

log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
"""`true` in an answer that was given before."""

PATIENCE = timedelta(seconds=20)
"""How long a duplicate waits for the first request's answer: a process that has just started, on a
busy machine, loads its reports first. A third of the lease, and less than callers wait."""

NOTHING_DONE = (Refusal, QueueFull, TooManyExports)
"""Errors that say that an attempt did nothing: if it was the first, the key is free again. After
any other the operation may have been done in part, and the next request with the key goes on with
it."""

_KEY = re.compile(r"[ -~]{1,255}")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds

Do = Callable[[Operation], Answer]
Begin = Callable[[IdempotencyRecords, Asked], Held | Busy | Done]
Show = Callable[[Answer], None]


class Idempotency:
    """Does operations once."""

    def __init__(self, backend: Backend, patience: timedelta = PATIENCE) -> None:
        self._backend = backend
        self._patience = patience

    async def once(
        self,
        request: Request,
        call: Call,
        values: Mapping[str, Any],
        do: Do,
        *,
        secret: str | None = None,
    ) -> Response:
        """Do an operation on a thread, or give the answer again that it had.

        `values` is what the request says, for the fingerprint: the same key with another path or
        other values is refused. Without the header the operation is a new one. `secret`: the answer
        holds one. It is kept sealed, and whenever it is given again the audit log says so first, by
        this action; the target is the document's `id`.

        Raises:
            InvalidRequest: the key is no key.
            KeyReused: it was used for another request.
            KeyInUse: the first request is still under way.
            NotPermitted: the first request's token had a permission that this one's lacks.
            StoreUnavailable: nothing was done, or a secret is not shown again.
        """
        key = key_of(request)
        if key is None:
            answer = await self._backend.run(self._do_new, do)
            return answer.response()
        fingerprint = fingerprint_of(request, values)
        asked = Asked(call.merchant_id, key, fingerprint, call.caller.permissions)
        give_up_at = current_time() + self._patience.total_seconds()
        show = None if secret is None else partial(self._tell, call, secret)
        pause, begin = _FIRST_PAUSE, IdempotencyRecords.begin
        while True:
            answered = await self._backend.run(self._attempt, begin, asked, do, show)
            if isinstance(answered, Answer):
                return answered.response()
            if current_time() >= give_up_at:
                raise KeyInUse(answered.until - self._backend.services.clock())
            await sleep(pause)  # no thread is held meanwhile
            pause = min(2 * pause, _LONGEST_PAUSE)
            begin = IdempotencyRecords.look

    def _do_new(self, do: Do) -> Answer:
        return do(Operation.new(self._backend.services.clock()))

    def _tell(self, call: Call, action: str, answer: Answer) -> None:
        """Tell the audit log of a secret that is shown again."""
        AuditLog(self._backend.services).write(
            call.merchant_id, action, actor=call.actor, target=answer.document["id"]
        )

    def _attempt(self, begin: Begin, asked: Asked, do: Do, show: Show | None) -> Answer | Busy:
        """Do the operation, unless it was done or somebody does it."""
        records = IdempotencyRecords(self._backend.services)
        try:
            found = begin(records, asked)
        except OtherRequest:
            raise KeyReused(
                f"this {HEADER} belongs to another request: another method, path or other values"
            ) from None
        except FewerPermissions as error:
            raise NotPermitted(f"the first request had the permission {error}") from None
        if isinstance(found, Busy):
            return found
        if not isinstance(found, Held):
            if show is not None:
                show(found.answer)
            headers = {**found.answer.headers, REPLAYED: "true"}
            return replace(found.answer, headers=headers)
        answer = _done(records, asked, found, do, show)
        try:
            records.finish(asked, found, answer, secret=show is not None)
        except ConditionFailed:
            return Busy(found.operation.at)  # another has taken it over: its answer counts
        except Exception:
            # It was done. Who asks again has the same operation done again, to no effect.
            log.exception("the answer of operation %s is not kept", found.operation.id)
            _end(records.leave, asked, found)
        return answer


def key_of(request: Request) -> str | None:
    """The request's key.

    Raises:
        InvalidRequest: it is none, or there are several.
    """
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        message = f"{len(given)} of them" if len(given) > 1 else "not a key"
        raise InvalidRequest(
            FieldError(HEADER, message, "one of 1 to 255 printable ASCII characters")
        )
    return given[0]


def fingerprint_of(request: Request, values: Mapping[str, Any]) -> str:
    """What tells one request from another: method, path and values, whatever their order."""
    said = [request.method, route_path(request.scope), values]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _done(
    records: IdempotencyRecords, asked: Asked, held: Held, do: Do, show: Show | None
) -> Answer:
    try:
        answer = do(held.operation)
        if show is not None and not held.fresh:
            show(answer)  # whoever began it may have shown it
    except NOTHING_DONE:
        # An earlier attempt may have done what this one was refused.
        _end(records.forget if held.fresh else records.leave, asked, held)
        raise
    except BaseException:
        _end(records.leave, asked, held)
        raise
    return answer


def _end(how: Callable[[Asked, Held], None], asked: Asked, held: Held) -> None:
    try:
        how(asked, held)
    except RemitError as error:
        log.warning("operation %s stays begun until its lease ends: %s", held.operation.id, error)
