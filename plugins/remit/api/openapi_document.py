"""The OpenAPI document: the routes as FastAPI describes them, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import dedent
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from remit import __version__
from remit.api import idempotency, request_id
from remit.api.components import (
    HEADERS,
    PARAMETERS,
    PATH_EXAMPLES,
    QUERY_EXAMPLES,
    SECURITY_SCHEMES,
    TOKEN,
    Schemas,
    reference,
)
from remit.api.contract import CONTRACTS, Contract, is_keyed, problems_of
from remit.api.problem_schemas import WAITS, examples, problem_responses

VERSION = "3.1.1"

_ABOUT = """\
Exports of payment data, signed webhooks, events and schedules.

Every request names its merchant by its token alone, sent as `Authorization: Bearer …`. Bodies are
JSON in UTF-8. Instants are RFC 3339, in answers always in UTC; amounts are integers in minor units.
Errors are problem documents (RFC 9457) whose `type` is stable. Every answer has an `X-Request-ID`,
by which its operator finds it in the log. What changes something is
safe to send again with an `Idempotency-Key`.
Lists come in pages: as long as there is a `next_cursor`, there is more."""

TAGS: Mapping[str, str] = MappingProxyType(
    {
        "Exports": "Files of a report's rows: asked for, followed, downloaded",
        "Reports": "What can be exported",
        "Schedules": "Exports of every hour, day, week or month",
        "Webhook endpoints": "Where webhooks are posted, and how",
        "Webhooks": "What is delivered, with its attempts; to deliver it once more",
        "Events": "For the services that make things happen",
        "Audit": "Who has done what",
        "Health": "For load balancers and monitoring",
    }
)
"""In the order of the page."""

_LINKS: Mapping[str, tuple[str, str, tuple[str, ...]]] = MappingProxyType(
    {
        "createExport": ("export", "export_id", ("getExport", "cancelExport", "downloadExport")),
        "createEndpoint": ("endpoint", "id", ("getEndpoint", "testEndpoint", "deleteEndpoint")),
        "testEndpoint": ("webhook", "webhook_id", ("getWebhook",)),
        "replayWebhooks": ("replay", "id", ("getReplay",)),
        "createSchedule": ("schedule", "id", ("getSchedule", "pauseSchedule", "deleteSchedule")),
    }
)
"""Operation to the parameter that a member of its answer is for, and of which operations."""


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The document, but for where the hook is. To make it takes a good part of a second."""
    described = app.openapi()["paths"]
    schemas = Schemas()
    paths: dict[str, Any] = {}
    for route in routes_of(app):
        (method,) = route.methods
        found = described[route.path_format][method.lower()]
        operation = _operation(route, method, found.get("parameters", ()))
        paths.setdefault(route.path_format, {})[method.lower()] = schemas.hoisted(operation)
    return {
        "openapi": VERSION,
        "info": {
            "title": "Remit",
            "version": __version__,
            "summary": "Payment exports and webhooks",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "security": [{TOKEN: []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.found.items())),
            "examples": examples(),
            "headers": dict(HEADERS),
            "parameters": dict(PARAMETERS),
            "securitySchemes": dict(SECURITY_SCHEMES),
        },
    }


def routes_of(app: FastAPI) -> Iterator[APIRoute]:
    """The routes that the document tells of."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            yield route


def operation_id(route: APIRoute) -> str:
    """The name that generated clients have for it: `create_export` is `createExport`."""
    first, *others = route.name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _operation(route: APIRoute, method: str, parameters: Any) -> dict[str, Any]:
    name = operation_id(route)
    contract = CONTRACTS[name]
    extra = route.openapi_extra or {}
    operation = {
        "tags": list(route.tags),
        "operationId": name,
        "summary": route.summary,
        "description": _description(route, contract),
        "parameters": [*_parameters(method, parameters)],
        "responses": _responses(route, method, name),
    }
    if "requestBody" in extra:
        operation["requestBody"] = extra["requestBody"]
    if contract.is_public:
        operation["security"] = []
    elif contract.roles:
        operation["security"] = [{TOKEN: list(contract.roles)}]
    if name in _LINKS:
        _link(operation, *_LINKS[name])
    return operation


def _description(route: APIRoute, contract: Contract) -> str:
    text = " ".join(dedent(route.endpoint.__doc__ or "").split())
    needs = "none, nor a token" if contract.is_public else contract.permission
    return f"{text}\n\n**Permission:** {needs}."


def _parameters(method: str, found: Any) -> Iterator[dict[str, Any]]:
    known: Mapping[str, Mapping[str, Any]] = {"path": PATH_EXAMPLES, "query": QUERY_EXAMPLES}
    for one in found:
        schema = {name: part for name, part in one["schema"].items() if name != "title"}
        example = known[one["in"]].get(one["name"], schema.get("default"))
        if one["in"] == "path":
            schema["minLength"] = 1
        if example is None:
            example = next(iter(schema.get("items", schema).get("enum", ())), None)
        yield {**one, "schema": schema, **({} if example is None else {"example": example})}
    if is_keyed(method):
        yield reference("parameters", idempotency.HEADER)
    yield reference("parameters", request_id.HEADER)


def _responses(route: APIRoute, method: str, name: str) -> dict[str, Any]:
    contract = CONTRACTS[name]
    given: Mapping[int | str, Mapping[str, Any]] = route.responses or {
        route.status_code or 200: {"description": "It is done; the answer has no body"}
    }
    answers = {
        str(status): {**answer, "headers": {**answer.get("headers", {})}}
        for status, answer in given.items()
    }
    problems = problem_responses(problems_of(name, method, route.path))
    found = {**answers, **problems}
    for status, answer in found.items():
        # A key's answer that is given again may be a success alone.
        replayed = is_keyed(method) and status in answers
        names = _headers(int(status), is_public=contract.is_public, is_replayable=replayed)
        own = answer.get("headers", {})
        answer["headers"] = {**own, **{one: reference("headers", one) for one in names}}
    return dict(sorted(found.items()))


def _headers(status: int, *, is_public: bool, is_replayable: bool) -> Iterator[str]:
    yield request_id.HEADER
    if status in {201, 307}:
        yield "Location"
    if status == 401:
        yield "WWW-Authenticate"
    elif not is_public:
        yield from ("RateLimit-Policy", "RateLimit")
    if status in WAITS:
        yield "Retry-After"
    if is_replayable:
        yield idempotency.REPLAYED


def _link(operation: dict[str, Any], parameter: str, member: str, targets: tuple[str, ...]) -> None:
    """Say which operations take what the answer names."""
    for status in ("201", "202"):
        if status in operation["responses"]:
            operation["responses"][status]["links"] = {
                target: {
                    "operationId": target,
                    "parameters": {parameter: f"$response.body#/{member}"},
                }
                for target in targets
            }
