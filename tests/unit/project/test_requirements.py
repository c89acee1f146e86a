"""constraints.txt pins everything that the requirement files ask for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[3]
FILES = ("requirements.txt", "requirements-dev.txt", "requirements-distributed.txt")


def lines(name: str) -> list[str]:
    """The lines of a requirement file that are neither comments nor options."""
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and line[0] not in "#-"]


def pins() -> dict[str, list[Requirement]]:
    """Package to its pins; there may be one for each version of Python."""
    pinned: dict[str, list[Requirement]] = {}
    for line in lines("constraints.txt"):
        requirement = Requirement(line)
        pinned.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return pinned


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_pinned_to_a_version_that_it_allows(name: str) -> None:
    pinned = pins()
    for requirement in map(Requirement, lines(name)):
        for pin in pinned[canonicalize_name(requirement.name)]:
            (exact,) = pin.specifier
            assert Version(exact.version) in requirement.specifier, f"{requirement} and {pin}"


def test_every_constraint_is_one_exact_version() -> None:
    for requirements in pins().values():
        for pin in requirements:
            assert [specifier.operator for specifier in pin.specifier] == ["=="]


def test_ci_runs_the_gate_and_both_suites() -> None:
    script = REPOSITORY / ".ci" / "run"
    commands = re.findall(r"^make .*$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert commands == ["make check", "make test", "make test-slow"]
    assert script.stat().st_mode & 0o111
