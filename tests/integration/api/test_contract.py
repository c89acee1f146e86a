"""The hook keeps to its OpenAPI document, whatever is made of it: requests that it allows, ones
that it does not, and without a token."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, CheckFunction, Response
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    negative_data_rejection,
    positive_data_acceptance,
)
from schemathesis.specs.openapi.schemas import OpenApiSchema
from starlette.types import ASGIApp, Receive, Scope, Send

from remit.api.app import create_app
from remit.api.openapi_document import openapi_document
from remit.auth import Verifier, mint
from remit.errors import ConfigurationError
from remit.services import Services
from tests.support.api import TOKENS, NotedRuns, bearer
from tests.support.clock import ManualClock
from tests.support.openapi import operations, resolved

PERMISSIONS = ("payments", "refunds", "webhooks", "events", "schedules", "audit", "history")

SEED = 20261123
FEW, MANY = 10, 300
"""Examples of each operation, beside those of the document and the edges of its schemas."""


class Mounted:
    """Stands for the app of the test that runs, at `/remit`: the schema is read before there is
    one. Starlette's own mounts let no path with a line break through to the hook."""

    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        if scope["type"] == "http":
            scope = {**scope, "root_path": "/remit"}
        await self.app(scope, receive, send)


MOUNTED = Mounted()


def document_schema() -> OpenApiSchema:
    """The document of an app that serves nobody."""
    hook = create_app(_no_services, NotedRuns(), ConfigurationError("nobody is served"))
    document = {**openapi_document(hook), "servers": [{"url": "/remit"}]}
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig(seed=SEED))
    schema.app = MOUNTED
    return schema


def _no_services() -> Services:
    raise ConfigurationError("there are none")


def stable(examples: int) -> settings:
    """The same examples in every run, however slow the machine is."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


Headers = Mapping[str, str]


@pytest.fixture
def header_of(
    services: Services, runs: NotedRuns, clock: ManualClock
) -> Iterator[Callable[[str], Headers]]:
    """Of a merchant, the header of a token with every permission, for an app on new tables."""
    # So many that no limit is in the way.
    ours = replace(
        services, settings=replace(services.settings, max_active_exports=10_000, api_rate=10_000)
    )
    MOUNTED.app = create_app(lambda: ours, runs, Verifier(TOKENS, clock))

    def header_of(merchant: str) -> Headers:
        return bearer(mint(TOKENS, merchant, permissions=PERMISSIONS, now=clock()))

    yield header_of
    MOUNTED.app = None


@pytest.fixture
def header(header_of: Callable[[str], Headers]) -> Headers:
    """That of one merchant."""
    return header_of("merchant-1")


UNTELLABLE: Mapping[str, str] = {
    "createExport": "dates are in an order, a field is given once, columns are a report's own",
    "createSchedule": "zones, columns and destinations depend on the deployment",
    "changeSchedule": "as for a new one",
    "createEndpoint": "a URL's host and a secret's length are beyond what a schema can say",
    "changeEndpoint": "as for a new one",
    "rotateSecret": "a secret's length is beyond what a schema can say",
    "replayWebhooks": "instants are in an order",
}
"""Operation to why a request may be refused that its schema allows."""

UNTELLABLE_PARAMETERS: Mapping[str, str] = {
    "cursor": "cursors are made by the hook alone",
    "created_before": "it has to be after `created_after`",
    "before": "it has to be after `after`",
    "Idempotency-Key": "it may have been used for another request",
}
"""The same, of requests with such a parameter."""


def id_of(case: Case) -> str:
    """The operation's id."""
    name: str = case.operation.definition.raw["operationId"]
    return name


def unjudged(case: Case) -> str | None:
    """Why a request may be refused that the document allows; None: it may not."""
    given = {*(case.query or {}), *(case.headers or {})}
    reasons = [why for one, why in UNTELLABLE_PARAMETERS.items() if one in given]
    return UNTELLABLE.get(id_of(case), next(iter(reasons), None))


def excluded(case: Case) -> list[CheckFunction]:
    """The checks that an answer cannot be held to; all others it is."""
    checks: list[CheckFunction] = [positive_data_acceptance] if unjudged(case) else []
    if any(value in (None, [], {}) for value in (case.query or {}).values()):
        # Unknown, and nothing at all by the time that it is written down.
        checks.append(negative_data_rejection)
    if case.path == "/webhooks/replay":
        # It is a path of `GET /webhooks/{webhook}`, too, so GET is rightly among its methods.
        checks.append(allow_header_conformance)
    return checks


schema = document_schema()


@schema.parametrize()
@stable(FEW)
def test_what_is_answered_is_in_the_document(case: Case, header: Headers) -> None:
    case.call_and_validate(headers=dict(header), excluded_checks=excluded(case))


@pytest.mark.slow
@schema.parametrize()
@stable(MANY)
def test_what_is_answered_to_hundreds_of_requests_is_in_the_document(
    case: Case, header: Headers
) -> None:
    case.call_and_validate(headers=dict(header), excluded_checks=excluded(case))


MADE = {("createEndpoint", 201), ("createExport", 202), ("createSchedule", 201)}
USED = {("getEndpoint", 200), ("getSchedule", 200), ("getExport", 200), ("cancelExport", 200)}
UNMADE = {("deleteEndpoint", 204), ("deleteSchedule", 204)}
"""What scenarios come by, so that they are none of refusals alone."""


def follow_links(
    header_of: Callable[[str], Headers], scenarios: int, expected: set[tuple[str, int]]
) -> None:
    """Do what the document links with one another: what was made is there until it is deleted."""

    seen: set[tuple[str, int]] = set()
    right = {
        operation["operationId"]: operation["requestBody"]["content"]["application/json"]["example"]
        for _, _, operation in operations(resolved(schema.raw_schema))
        if "requestBody" in operation
    }
    for name in ("createEndpoint", "changeEndpoint"):
        right[name] = {**right[name], "url": "http://127.0.0.1:9/hooks"}  # no name to look up

    numbers = itertools.count()

    class Scenario(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            # A merchant who has nothing yet, so that a scenario is the same whenever it is run.
            self.header = header_of(f"merchant-{next(numbers):06}")

        def before_call(self, case: Case) -> None:
            super().before_call(case)
            name = id_of(case)
            if name in right:  # one of a thousand bodies that a schema allows makes something
                case.body, case.query, case.headers = dict(right[name]), {}, {}

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"headers": dict(self.header)}

        def validate_response(
            self, response: Response, case: Case, additional_checks: Any = None, **kwargs: Any
        ) -> None:
            seen.add((id_of(case), response.status_code))
            case.validate_response(
                response,
                additional_checks=additional_checks,
                # What was meant to be wrong has become right above.
                excluded_checks=[*excluded(case), negative_data_rejection],
                transport_kwargs=kwargs or None,
                recorder=self.recorder,
            )

    Scenario.run(settings=settings(stable(scenarios), stateful_step_count=8))
    assert seen >= expected


def test_what_was_made_is_there_until_it_is_deleted(
    header_of: Callable[[str], Headers],
) -> None:
    follow_links(header_of, 4 * FEW, MADE)


@pytest.mark.slow
def test_in_hundreds_of_scenarios_what_was_made_is_there_until_it_is_deleted(
    header_of: Callable[[str], Headers],
) -> None:
    follow_links(header_of, 2 * MANY, MADE | USED | UNMADE)
