"""The OpenAPI document is valid, whole, and true to itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from remit.api.guard import PUBLIC
from remit.api.openapi_document import TAGS, openapi_document, routes_of
from remit.api.problem_schemas import MEDIA_TYPE, PROBLEM, example_of
from remit.api.problems import EVERY_KIND, KINDS, PREFIX
from tests.support.openapi import operations, resolved
from tests.support.operations import LISTS_OWN, OPERATIONS
from tests.support.operations import PUBLIC as NO_TOKEN


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    return client.get("/openapi.json").json()


@pytest.fixture
def whole(document: dict[str, Any]) -> dict[str, Any]:
    """The document without references."""
    return resolved(document)


def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_it_says_where_the_hook_is(client: TestClient, document: dict[str, Any]) -> None:
    assert document["servers"] == [{"url": "/remit"}]
    assert TestClient(client.app).get("/openapi.json").json()["servers"] == [{"url": "/"}]  # type: ignore[arg-type]


def test_it_has_every_route_and_nothing_else(client: TestClient, document: dict[str, Any]) -> None:
    app: FastAPI = client.app  # type: ignore[assignment]
    served = {
        (method, route.path)
        for route in app.routes
        for method in route.methods  # type: ignore[attr-defined]
        if method != "HEAD"
    }
    described = {(method, path) for method, path, _ in operations(document)}
    assert served - described == {("GET", "/openapi.json"), ("GET", "/docs")}
    assert described <= served
    assert len(list(routes_of(app))) == len(described)


def test_every_operation_is_described(whole: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(whole)]
    assert len(set(ids)) == len(ids)
    for method, path, operation in operations(whole):
        where = f"{method} {path}"
        assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", operation["operationId"]), where
        assert 5 < len(operation["summary"]) < 50, where
        assert operation["tags"][0] in TAGS, where
        assert len(operation["description"]) > 40, where
        assert all(one["description"] for one in operation["parameters"] if one["in"] != "path")


def test_every_operation_names_its_permission(whole: dict[str, Any]) -> None:
    for method, path, operation in operations(whole):
        needs = OPERATIONS[f"{method} {path}"]
        security = operation.get("security", whole["security"])
        assert (security == []) == (path in PUBLIC) == (needs == NO_TOKEN)
        if needs == NO_TOKEN:
            continue
        ((scheme, roles),) = security[0].items()
        assert scheme in whole["components"]["securitySchemes"]
        assert roles == re.findall(r"`(\w+)`", needs)
        said = operation["description"].partition("**Permission:** ")[2]
        assert all(f"`{role}`" in said for role in roles)
        assert ("the report" in said) == ("the report" in needs)
        assert said.startswith("none") == (needs == LISTS_OWN)


def test_every_operation_says_how_it_refuses(whole: dict[str, Any]) -> None:
    for method, path, operation in operations(whole):
        refused = operation["responses"].keys()
        assert refused >= {"422", "500"}
        if path in PUBLIC:
            assert "401" not in refused
            continue
        assert refused >= {"401", "429", "503"}, path
        needs = OPERATIONS[f"{method} {path}"]
        assert ("403" in refused) == (needs != LISTS_OWN)
        assert ("404" in refused) == ("{" in path)
        assert ({"408", "413", "415"} <= refused) == (method in {"POST", "PATCH"})
        names = {one["name"] for one in operation["parameters"] if one["in"] == "header"}
        assert ("Idempotency-Key" in names) == (method != "GET")
        assert "X-Request-ID" in names


def test_every_answer_has_its_headers(whole: dict[str, Any]) -> None:
    for method, path, operation in operations(whole):
        for status, answer in operation["responses"].items():
            headers = answer["headers"].keys()
            assert "X-Request-ID" in headers
            assert ("Retry-After" in headers) >= (status in {"429", "503"})
            assert ("Location" in headers) == (status in {"201", "307"})
            has_rate = path not in PUBLIC and status != "401"
            assert ({"RateLimit", "RateLimit-Policy"} <= headers) == has_rate
            replayed = method != "GET" and status < "400"
            assert ("Idempotent-Replayed" in headers) == replayed


def test_every_problem_is_the_same_component(document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status >= "400":
                (media_type,) = answer["content"]
                assert media_type == MEDIA_TYPE
                schema = answer["content"][media_type]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}
                assert answer["content"][media_type]["examples"]


def test_every_kind_of_problem_appears(whole: dict[str, Any]) -> None:
    shown = {
        example["value"]["type"]
        for _, _, operation in operations(whole)
        for status, answer in operation["responses"].items()
        if status >= "400"
        for example in answer["content"][MEDIA_TYPE]["examples"].values()
    }
    assert shown >= {f"{PREFIX}{kind.type}" for kind in KINDS.values()}
    assert whole["components"]["schemas"]["Problem"]["properties"]["type"]["enum"] == sorted(
        {f"{PREFIX}{kind.type}" for kind in EVERY_KIND}
    )


@pytest.mark.parametrize("kind", [*dict.fromkeys(KINDS.values())], ids=lambda kind: kind.type)
def test_the_example_of_a_problem_is_one(kind: Any) -> None:
    Draft202012Validator(PROBLEM).validate(example_of(kind))


def contents(whole: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where a body is described, and how: requests and answers."""
    for method, path, operation in operations(whole):
        where = f"{method} {path}"
        for one in operation.get("requestBody", {}).get("content", {}).values():
            yield where, one
        for status, answer in operation["responses"].items():
            for one in answer.get("content", {}).values():
                yield f"{where} {status}", one


def test_every_body_has_an_example_that_its_schema_allows(whole: dict[str, Any]) -> None:
    found = list(contents(whole))
    assert len(found) > 150
    for where, content in found:
        examples = [one["value"] for one in content.get("examples", {}).values()]
        examples += [content["example"]] if "example" in content else []
        assert examples, where
        for example in examples:
            errors = Draft202012Validator(content["schema"]).iter_errors(example)
            assert [error.message for error in errors] == [], where


def test_every_success_has_a_body_but_for_what_is_deleted(whole: dict[str, Any]) -> None:
    for method, path, operation in operations(whole):
        good = {status for status in operation["responses"] if status < "400"}
        assert good
        for status in good:
            assert ("content" in operation["responses"][status]) == (status != "204")
            assert (status == "204") == (method == "DELETE"), path


def test_every_parameter_has_an_example_that_its_schema_allows(whole: dict[str, Any]) -> None:
    for method, path, operation in operations(whole):
        for one in operation["parameters"]:
            if "example" not in one:
                assert not one["required"], (method, path, one["name"])
                continue
            schema = one["schema"].get("items", one["schema"])
            errors = Draft202012Validator(schema).iter_errors(one["example"])
            assert [error.message for error in errors] == [], (method, path, one["name"])


def test_an_export_can_be_asked_for_by_query_and_by_body(whole: dict[str, Any]) -> None:
    operation = whole["paths"]["/payments/export"]["post"]
    assert not operation["requestBody"]["required"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
    query = {one["name"] for one in operation["parameters"] if one["in"] == "query"}
    assert query == body.keys() > {"start_date", "end_date", "format"}


def test_links_lead_to_operations_that_take_their_parameters(whole: dict[str, Any]) -> None:
    parameters = {
        operation["operationId"]: {one["name"] for one in operation["parameters"]}
        for _, _, operation in operations(whole)
    }
    links = [
        (link, answer["content"]["application/json"]["schema"])
        for _, _, operation in operations(whole)
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert len(links) > 8
    for link, schema in links:
        ((name, source),) = link["parameters"].items()
        assert name in parameters[link["operationId"]]
        assert source.removeprefix("$response.body#/") in schema["properties"]


def test_two_schemas_of_one_name_are_refused(client: TestClient) -> None:
    app: FastAPI = client.app  # type: ignore[assignment]
    schema = {"title": "Alive", "type": "object"}
    described = {200: {"description": "", "content": {"application/json": {"schema": schema}}}}

    @app.get("/again", name="get_health", responses=described)
    async def again() -> None:
        """Nothing."""

    with pytest.raises(ValueError, match="two schemas 'Alive'"):
        openapi_document(app)
