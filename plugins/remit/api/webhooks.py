"""Routes of webhooks: what is, or was, delivered to the merchant, and with which attempts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import WithJsonSchema

from remit.api.answers import Answer
from remit.api.backend import Backend
from remit.api.call import Call, CurrentCall
from remit.api.fields import Fields
from remit.api.filters import After, Before, Cursor, Limit, instant_of, only
from remit.api.idempotency import Idempotency, Operation
from remit.api.pages import ANY_TEXT, limit_of, page, place_of
from remit.api.parameters import Body
from remit.api.permissions import needs
from remit.api.webhook_documents import webhook_details, webhook_document
from remit.api.webhook_schemas import REQUEUED, WEBHOOK, WEBHOOKS
from remit.clock import format_instant
from remit.webhooks.endpoint import ENDPOINT_ID, EVENT_PATTERN
from remit.webhooks.event import MAX_TYPE_LENGTH
from remit.webhooks.listing import STATUSES, WebhookFilter, find_webhook, list_webhooks
from remit.webhooks.policy import Status
from remit.webhooks.replay import replay_one

PERMISSION = "webhooks"

EndpointId = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "pattern": f"^{ENDPOINT_ID.pattern}$"}),
    Query(description="Only those of this endpoint"),
]
WebhookStatus = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "enum": list(STATUSES)}),
    Query(description="Only those of this status"),
]
Pattern = Annotated[
    str | None,
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": MAX_TYPE_LENGTH,
            "pattern": f"^({EVENT_PATTERN.pattern})$",
        }
    ),
    Query(description="Only those of this type, or of types that begin so: `payment.*`"),
]


class WebhookApi:
    """What the routes do, without HTTP."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def page(
        self, call: Call, wanted: WebhookFilter, limit: str | None, cursor: str | None
    ) -> Answer:
        """A page of the caller's own webhooks.

        Raises:
            InvalidRequest: the filter, the limit or the cursor is wrong.
        """
        scope = {
            "webhooks": call.merchant_id,
            "endpoint": wanted.endpoint_id,
            "status": wanted.status,
            "type": wanted.type,
            "after": wanted.created_after and format_instant(wanted.created_after),
            "before": wanted.created_before and format_instant(wanted.created_before),
        }
        start = place_of(cursor, scope, {"createdAt": wanted.bounds(), "id": ANY_TEXT})
        found = list_webhooks(
            self._backend.services, call.merchant_id, wanted, limit=limit_of(limit), start=start
        )
        documents = [webhook_document(record) for record in found.records]
        return Answer(200, page(documents, found.last, scope))

    def get(self, call: Call, webhook: str) -> Answer:
        """One webhook of the caller's own."""
        found = find_webhook(self._backend.services, call.merchant_id, webhook)
        return Answer(200, webhook_details(found))

    def replay(
        self, call: Call, webhook: str, values: Mapping[str, Any], operation: Operation
    ) -> Answer:
        """Put one webhook into the queue once more."""
        Fields(values).check()
        replay_one(
            self._backend.services,
            call.merchant_id,
            webhook,
            actor=call.actor,
            request_id=operation.id,
        )
        return Answer(202, {"webhook_id": webhook, "status": Status.PENDING.value})


def router(backend: Backend) -> APIRouter:
    """The routes."""
    api, idempotency = WebhookApi(backend), Idempotency(backend)
    routes = APIRouter(
        prefix="/webhooks",
        tags=["Webhooks"],
        dependencies=[Depends(needs(PERMISSION))],
    )

    @routes.get(
        "",
        name="list_webhooks",
        summary="List webhooks",
        responses=WEBHOOKS,
        dependencies=[
            Depends(
                only(
                    "endpoint",
                    "status",
                    "type",
                    "created_after",
                    "created_before",
                    "limit",
                    "cursor",
                )
            )
        ],
    )
    async def get_webhooks(  # noqa: PLR0917 - query parameters
        call: CurrentCall,
        endpoint: EndpointId = None,
        status: WebhookStatus = None,
        type: Pattern = None,  # noqa: A002 - the parameter's name
        created_after: After = None,
        created_before: Before = None,
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> Response:
        """The merchant's webhooks, the newest first, the platform's own records among them. A page
        may be shorter than `limit`, or empty, though there are more: there are as long as there is
        a `next_cursor`. One that is a moment old may be missing."""
        wanted = WebhookFilter(
            endpoint_id=endpoint,
            status=status,
            type=type,
            created_after=instant_of("created_after", created_after),
            created_before=instant_of("created_before", created_before),
        )
        return (await backend.run(api.page, call, wanted, limit, cursor)).response()

    @routes.get(
        "/{webhook}", summary="Get a webhook", responses=WEBHOOK, dependencies=[Depends(only())]
    )
    async def get_webhook(call: CurrentCall, webhook: str) -> Response:
        """One webhook, with its attempts and the text that is posted."""
        return (await backend.run(api.get, call, webhook)).response()

    @routes.post(
        "/{webhook}/replay",
        summary="Replay a webhook",
        status_code=202,
        responses=REQUEUED,
        dependencies=[Depends(only())],
    )
    async def replay_webhook(
        request: Request, call: CurrentCall, webhook: str, values: Body
    ) -> Response:
        """Deliver a webhook once more that was delivered, or is not tried any more: with the same
        id and the same body. Its attempts and its lifetime begin anew."""

        def do(operation: Operation) -> Answer:
            return api.replay(call, webhook, values, operation)

        answer = await idempotency.once(request, call, values, do)
        backend.deliveries.wake()
        return answer

    return routes
