"""Routes of the endpoints that webhooks go to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from remit.api.answers import NO_CONTENT, Answer
from remit.api.backend import Backend
from remit.api.call import Call, CurrentCall, Root
from remit.api.endpoint_documents import (
    CHANGES,
    CREATED,
    ENDPOINT,
    ENDPOINTS,
    NEW,
    REASON,
    ROTATED,
    ROTATION,
    TESTED,
    endpoint_document,
)
from remit.api.fields import Fields
from remit.api.filters import only
from remit.api.idempotency import Idempotency, Operation
from remit.api.parameters import Body
from remit.api.permissions import needs
from remit.errors import FieldError, InvalidRequest
from remit.ids import ulid
from remit.webhooks.endpoint_request import shown
from remit.webhooks.endpoints import EndpointStore
from remit.webhooks.rotation import MAX_OVERLAP
from remit.webhooks.trial import send_test

PERMISSION = "webhooks"

SHOWN_AGAIN = "webhooks.endpoint.secret_shown"
"""The audit log's word for an answer with a secret that is given again."""


class EndpointApi:
    """What the routes do, without HTTP. The rules are the store's."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def create(
        self, call: Call, values: Mapping[str, Any], mounted_at: str, operation: Operation
    ) -> Answer:
        """A new endpoint. Its id is the operation's: one that was broken off after it was stored
        finds it, and shows the secret that it has."""
        created = self._store(operation).create(call.merchant_id, values, actor=call.actor)
        document = {**endpoint_document(created.endpoint), "secret": created.secret}
        location = f"{mounted_at}/webhooks/endpoints/{created.endpoint.id}"
        return Answer(201, document, {"Location": location})

    def list(self, call: Call) -> Answer:
        """All endpoints of the caller's own."""
        found = self._store().list(call.merchant_id)
        return Answer(200, {"data": [endpoint_document(endpoint) for endpoint in found]})

    def get(self, call: Call, endpoint: str) -> Answer:
        """One endpoint of the caller's own."""
        return Answer(200, endpoint_document(self._store().get(call.merchant_id, endpoint)))

    def change(self, call: Call, endpoint: str, values: Mapping[str, Any]) -> Answer:
        """Set some of an endpoint's fields."""
        changed = self._store().change(call.merchant_id, endpoint, values, actor=call.actor)
        return Answer(200, endpoint_document(changed))

    def delete(self, call: Call, endpoint: str) -> Answer:
        """Delete an endpoint."""
        self._store().delete(call.merchant_id, endpoint, actor=call.actor)
        return Answer(NO_CONTENT, {})

    def disable(self, call: Call, endpoint: str, values: Mapping[str, Any]) -> Answer:
        """Send nothing to an endpoint any more."""
        Fields(values, "reason").check()
        key, reason = (call.merchant_id, endpoint), values.get("reason")
        # The store says what is wrong with a reason, whatever it is.
        disabled = self._store().disable(*key, reason, actor=call.actor)  # type: ignore[arg-type]
        return Answer(200, endpoint_document(disabled))

    def enable(self, call: Call, endpoint: str, values: Mapping[str, Any]) -> Answer:
        """Send to an endpoint again."""
        Fields(values).check()
        enabled = self._store().enable(call.merchant_id, endpoint, actor=call.actor)
        return Answer(200, endpoint_document(enabled))

    def rotate(
        self, call: Call, endpoint: str, values: Mapping[str, Any], operation: Operation
    ) -> Answer:
        """A new secret. Its id is the operation's, as an endpoint's is."""
        Fields(values, "overlap_seconds", "secret").check()
        rotated = self._store(operation).rotate_secret(
            call.merchant_id,
            endpoint,
            actor=call.actor,
            overlap=overlap_of(values.get("overlap_seconds")),
            secret=values.get("secret"),
        )
        return Answer(200, {**endpoint_document(rotated.endpoint), "secret": rotated.secret})

    def test(
        self, call: Call, endpoint: str, values: Mapping[str, Any], operation: Operation
    ) -> Answer:
        """Send a test event to an endpoint."""
        Fields(values).check()
        event_id = f"evt-test-{operation.id}"
        webhook_id = send_test(
            self._backend.services,
            self._backend.outbox,
            call.merchant_id,
            endpoint,
            actor=call.actor,
            event_id=event_id,
            at=operation.at,
        )
        return Answer(202, {"webhook_id": webhook_id, "event_id": event_id})

    def _store(self, operation: Operation | None = None) -> EndpointStore:
        new_id = ulid if operation is None else _id_of(operation)
        return EndpointStore.of(self._backend.services, new_id)


def _id_of(operation: Operation) -> Callable[[datetime], str]:
    """Gives the operation's own ULID, however often it is asked."""

    def new_id(_: datetime) -> str:
        return ulid(operation.at, operation.bits)

    return new_id


def overlap_of(seconds: Any) -> timedelta | None:
    """How long old secrets sign on; None: the deployment's time.

    Raises:
        InvalidRequest: it is no such number.
    """
    if seconds is None:
        return None
    most = int(MAX_OVERLAP.total_seconds())
    if type(seconds) is not int or not 0 <= seconds <= most:
        message, allowed = f"{shown(seconds)} is no such number", f"0 to {most} seconds"
        raise InvalidRequest(FieldError("overlap_seconds", message, allowed))
    return timedelta(seconds=seconds)


def router(backend: Backend) -> APIRouter:
    """The routes."""
    api, idempotency = EndpointApi(backend), Idempotency(backend)
    routes = APIRouter(
        prefix="/webhooks/endpoints",
        tags=["Webhook endpoints"],
        dependencies=[Depends(needs(PERMISSION)), Depends(only())],
    )

    @routes.post(
        "", summary="Create an endpoint", status_code=201, responses=CREATED, openapi_extra=NEW
    )
    async def create_endpoint(
        request: Request, call: CurrentCall, values: Body, root: Root
    ) -> Response:
        """A new endpoint, of which a merchant has 50 at the most. Its secret is in this answer, and
        shown again for its `Idempotency-Key` alone."""

        def do(operation: Operation) -> Answer:
            return api.create(call, values, root, operation)

        return await idempotency.once(request, call, values, do, secret=SHOWN_AGAIN)

    @routes.get("", summary="List endpoints", responses=ENDPOINTS)
    async def list_endpoints(call: CurrentCall) -> Response:
        """All endpoints, with their health. `default` is the merchant's own `webhookURL`."""
        return (await backend.run(api.list, call)).response()

    @routes.get("/{endpoint}", summary="Get an endpoint", responses=ENDPOINT)
    async def get_endpoint(call: CurrentCall, endpoint: str) -> Response:
        """One endpoint, with its health."""
        return (await backend.run(api.get, call, endpoint)).response()

    @routes.patch(
        "/{endpoint}", summary="Change an endpoint", responses=ENDPOINT, openapi_extra=CHANGES
    )
    async def change_endpoint(
        request: Request, call: CurrentCall, endpoint: str, values: Body
    ) -> Response:
        """Set the given fields; null takes one back to what it is by default."""

        def do(_: Operation) -> Answer:
            return api.change(call, endpoint, values)

        return await idempotency.once(request, call, values, do)

    @routes.delete("/{endpoint}", summary="Delete an endpoint", status_code=204)
    async def delete_endpoint(request: Request, call: CurrentCall, endpoint: str) -> Response:
        """Delete an endpoint with its secrets. What waits for it is not delivered any more."""

        def do(_: Operation) -> Answer:
            return api.delete(call, endpoint)

        return await idempotency.once(request, call, {}, do)

    _add_actions(routes, backend, api, idempotency)
    return routes


def _add_actions(
    routes: APIRouter, backend: Backend, api: EndpointApi, idempotency: Idempotency
) -> None:
    """What is done to an endpoint beyond its fields."""

    @routes.post(
        "/{endpoint}/disable",
        summary="Disable an endpoint",
        responses=ENDPOINT,
        openapi_extra=REASON,
    )
    async def disable_endpoint(
        request: Request, call: CurrentCall, endpoint: str, values: Body
    ) -> Response:
        """Send nothing to an endpoint any more. What it would have received is kept, and can be
        replayed. One that is disabled already stays as it is."""

        def do(_: Operation) -> Answer:
            return api.disable(call, endpoint, values)

        return await idempotency.once(request, call, values, do)

    @routes.post("/{endpoint}/enable", summary="Enable an endpoint", responses=ENDPOINT)
    async def enable_endpoint(
        request: Request, call: CurrentCall, endpoint: str, values: Body
    ) -> Response:
        """Send to an endpoint again, at once, whatever its failures before."""

        def do(_: Operation) -> Answer:
            return api.enable(call, endpoint, values)

        return await idempotency.once(request, call, values, do)

    @routes.post(
        "/{endpoint}/rotate-secret",
        summary="Rotate a secret",
        responses=ROTATED,
        openapi_extra=ROTATION,
    )
    async def rotate_secret(
        request: Request, call: CurrentCall, endpoint: str, values: Body
    ) -> Response:
        """A new secret, which is in this answer, and shown again for its `Idempotency-Key` alone.
        The old ones sign beside it until the overlap ends."""

        def do(operation: Operation) -> Answer:
            return api.rotate(call, endpoint, values, operation)

        return await idempotency.once(request, call, values, do, secret=SHOWN_AGAIN)

    @routes.post("/{endpoint}/test", summary="Send a test event", status_code=202, responses=TESTED)
    async def test_endpoint(
        request: Request, call: CurrentCall, endpoint: str, values: Body
    ) -> Response:
        """Send an `endpoint.test` event to this endpoint alone, whatever its filter. It is signed,
        delivered and retried as every other event is."""

        def do(operation: Operation) -> Answer:
            return api.test(call, endpoint, values, operation)

        answer = await idempotency.once(request, call, values, do)
        backend.deliveries.wake()
        return answer
