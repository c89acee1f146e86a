"""The page for people: whole, its own, and harmless."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.api.docs_example import curl_of
from remit.api.docs_page import page_of, text_of
from tests.support.openapi import operations

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Notes the elements, and that each is closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for _, attrs in self.found if attribute in attrs]


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    return client.get("/openapi.json").json()


@pytest.fixture
def text(client: TestClient) -> str:
    answer = client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def test_anybody_may_read_it_and_its_policy_allows_its_own_style_alone(client: TestClient) -> None:
    answer = client.get("/docs")
    (policy,) = answer.headers.get_list("content-security-policy")
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    assert client.head("/docs").status_code == client.head("/openapi.json").status_code == 200


def test_it_loads_nothing_and_runs_nothing(text: str) -> None:
    page = Page(text)
    assert page.open == []
    tags = {tag for tag, _ in page.found}
    assert not tags & {"script", "link", "img", "iframe", "form", "object", "base"}
    attributes = {name for _, attrs in page.found for name in attrs}
    assert not attributes & {"style", "src", "srcset", "onclick", "onload"}
    assert "url(" not in text
    assert "@import" not in text


def test_its_links_lead_somewhere_within(text: str) -> None:
    page = Page(text)
    names = page.all("id")
    assert len(set(names)) == len(names)
    links = set(page.all("href"))
    assert {one for one in links if not one.startswith("#")} == {"/remit/openapi.json"}
    assert {one[1:] for one in links if one.startswith("#")} <= set(names)


def test_every_operation_is_there_with_its_command(text: str, document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        name = operation["operationId"]
        (part,) = re.findall(rf'<article id="{name}".*?</article>', text, re.DOTALL)
        assert f'<a href="#{name}">' in text.partition("</nav>")[0]
        assert f">{method}</b> <code>{path}</code>" in part
        assert "Permission:" in part
        assert "curl" in part
        for status in operation["responses"]:
            assert f">{status}</b>" in part


def test_a_command_has_what_the_operation_needs(document: dict[str, Any]) -> None:
    found = document["paths"]["/webhooks/endpoints/{endpoint}/disable"]["post"]
    assert curl_of(document, "POST", "/webhooks/endpoints/{endpoint}/disable", found) == (
        'curl -X POST "$REMIT/webhooks/endpoints/ep-01m84ekemg2w5g23n8btf52x14/disable" \\\n'
        '  -H "Authorization: Bearer $TOKEN" \\\n'
        '  -H "Idempotency-Key: $(uuidgen)" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        '  -d \'{"reason": "moving to another host"}\''
    )
    health = document["paths"]["/health"]["get"]
    assert curl_of(document, "GET", "/health", health) == 'curl "$REMIT/health"'


def test_what_is_in_the_document_is_no_markup(document: dict[str, Any]) -> None:
    document["info"]["title"] = "<script>alert(1)</script>"
    assert "<script" not in page_of(document)
    assert text_of("**a** `<b>`") == "<strong>a</strong> <code>&lt;b&gt;</code>"
