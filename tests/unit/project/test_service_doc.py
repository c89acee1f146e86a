"""docs/service.md, held against the code."""

from __future__ import annotations

import argparse
import re

from remit.api.deliveries import INTERVAL_SECONDS
from remit.commands import serve
from remit.log_lines import OneLine
from remit.triggers import rest, transport
from tests.unit.project.documents import Document, names

DOCUMENT = Document("docs/service.md")


def test_the_arguments_are_those_of_the_command() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    serve.add_arguments(parser)
    listed = {
        names(argument)[0]: default
        for argument, default, _ in DOCUMENT.table("argument", "default", "meaning")
    }
    assert listed == {
        action.option_strings[0]: f"`{action.default}`" if action.default else "none"
        for action in parser._actions
    }
    meanings = {
        names(row[0])[0]: row[2] for row in DOCUMENT.table("argument", "default", "meaning")
    }
    for number in serve.NUMBERS.values():
        assert meanings[number.name] == number.meaning


def test_the_example_of_the_command_is_taken() -> None:
    (command,) = DOCUMENT.blocks("sh")
    arguments = command.replace("\\\n", " ").partition(" serve ")[2].split()
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    options = parser.parse_args(arguments)
    assert serve.trusted(options.forwarded_allow_ips) == ["10.0.3.7"]


def test_the_times_are_those_of_the_code() -> None:
    text = " ".join(DOCUMENT.text.split())
    told = (
        f"waits {transport.CONNECT_SECONDS:g} s for a connection and {transport.READ_SECONDS:g} s "
        f"for an answer, {transport.CALL_SECONDS:g} s in all"
    )
    assert told in text
    assert {
        int(one) for one in re.findall(r"an? (4\d\d|5\d\d)\b", told_of_second_tries(text))
    } == set(transport.PASSING)
    assert f"left alone for {transport.REST_SECONDS:g} s" in text
    assert f"not looked at again for {rest.WELL_SECONDS:g} s" in text
    assert "Four calls are under way" in text
    assert transport.AT_ONCE == 4
    assert INTERVAL_SECONDS == 1
    assert "a second later once more" in text


def told_of_second_tries(text: str) -> str:
    """The sentence about them."""
    (sentence,) = re.findall(r"What broke off, and what met .*? is tried once more", text)
    return str(sentence)


def test_the_line_of_the_log_is_one() -> None:
    (line,) = re.findall(r"^\d{4}-.* paused$", DOCUMENT.text, re.MULTILINE)
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ERROR remit\.api\.exports \[", line)
    assert OneLine.default_time_format == "%Y-%m-%dT%H:%M:%S"


def test_the_ways_to_say_who_is_calling_are_those_of_the_settings() -> None:
    rows = DOCUMENT.table("setting", "the token is")
    assert [names(row[0]) for row in rows] == [
        ["REMIT_AIRFLOW_USER", "REMIT_AIRFLOW_PASSWORD"],
        ["REMIT_AIRFLOW_TOKEN_FILE"],
        ["REMIT_AIRFLOW_TOKEN"],
    ]
