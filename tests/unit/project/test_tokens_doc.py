"""What docs/tokens.md says, held against the code."""

from __future__ import annotations

import re
import shlex

import pytest

from remit.__main__ import _parser
from remit.auth.claims import OPTIONAL, REQUIRED
from remit.auth.compact import MAX_TOKEN_CHARACTERS, REFUSED_MEMBERS
from remit.auth.keyring import EARLY_SECONDS, FILE_PERIOD_SECONDS
from remit.auth.keys import ALGORITHMS
from remit.auth.revocation import PACE
from tests.unit.project.documents import Document, names

DOCUMENT = Document("docs/tokens.md")


def test_the_table_of_claims_is_what_is_checked() -> None:
    listed = {
        name: needed
        for cell, needed, _ in DOCUMENT.table("claim", "needed", "meaning")
        for name in names(cell)
    }
    assert listed == dict.fromkeys(REQUIRED, "required") | dict.fromkeys(OPTIONAL, "optional")


def test_the_table_of_keys_has_every_algorithm_that_most_know_by_its_name() -> None:
    listed = {
        name
        for _, algorithms, _ in DOCUMENT.table("setting", "algorithm", "read again")
        for name in re.findall(r"[A-Z][A-Za-z]*\d+|EdDSA", algorithms)
    }
    assert listed == ALGORITHMS.keys() - {"Ed25519"}


def test_members_that_refuse_a_token_and_limits_are_those_of_the_code() -> None:
    (sentence,) = re.findall(r"A token with ([^.]+) is refused", DOCUMENT.text.replace("\n", " "))
    assert set(names(sentence)) <= REFUSED_MEMBERS.keys()
    for number in (f"{MAX_TOKEN_CHARACTERS:,}", f"{ALGORITHMS['RS256'].least_bits:,}"):
        assert number in DOCUMENT.text
    assert f"within {FILE_PERIOD_SECONDS:g} seconds" in DOCUMENT.text
    assert f"every {EARLY_SECONDS:g} seconds at the most" in DOCUMENT.text
    assert f"reads it every {PACE.period:g} seconds" in DOCUMENT.text
    assert PACE.most_age == 60


@pytest.mark.parametrize(
    "line", [line for block in DOCUMENT.blocks("sh") for line in block.splitlines()]
)
def test_the_commands_are_those_of_the_command_line(line: str) -> None:
    words = shlex.split(line.partition(" < ")[0])
    assert words[:3] == ["python", "-m", "remit"]
    assert _parser().parse_args(words[3:]).command == "token"
