"""What the documents refer to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
DOCUMENTS = [
    *sorted(REPOSITORY.glob("*.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")

by_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY))
)


@by_document
def test_relative_links_lead_to_files(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [t for t in targets if not (document.parent / t).exists()] == []


@by_document
def test_links_into_documents_lead_to_headings(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", document.read_text(encoding="utf-8"))
    wrong = [
        f"{name}#{anchor}"
        for name, anchor in targets
        if anchor not in anchors(document.parent / name if name else document)
    ]
    assert wrong == []


def anchors(document: Path) -> set[str]:
    """What a link may name in it, as GitHub makes it of the headings."""
    text = re.sub(
        r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@by_document
def test_every_make_target_that_is_named_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"(?:`make |\(make -s |^make (?=[a-z-]+$))([a-z-]+)", text, re.MULTILINE)
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert set(named) <= targets


@by_document
def test_every_file_of_the_repository_that_is_named_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    folders = "dags|plugins|include|infra|demo|tests|benchmarks|docs|scripts"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", text)
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


def test_the_index_of_the_decisions_is_complete() -> None:
    folder = REPOSITORY / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^(\d+)\. \[(.+)\]\((\d{4}-[a-z0-9-]+\.md)\)$", index, re.MULTILINE)
    assert [name for _, _, name in listed] == [path.name for path in sorted(folder.glob("0*.md"))]
    for number, title, name in listed:
        head = (folder / name).read_text(encoding="utf-8").partition("\n")[0]
        assert head == f"# {number}. {title}"
        assert name.startswith(f"{int(number):04d}-")
