"""Commands of curl as documents show them, read strictly and sent from Python: a machine that runs
the tests need not have curl.

A flag or a piece of shell that is not known here is an error, so that no example means something
else to a reader's shell than it does to the tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import requests

_WORD_PART = re.compile(
    r"""'(?P<single>[^']*)'            # as it is
      | "(?P<double>(?:[^"\\`])*)"     # with variables
      | (?P<plain>[^\s'"\\`|&;<>()*?~#]+)""",
    re.VERBOSE,
)
_LINE = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\n'"])+""")
"""What is quoted may have lines of its own."""

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_ASSIGNMENT = re.compile(r"(?P<name>[A-Z][A-Z_]*)=(?P<value>[^\s'\"$]+)$")

_SWITCHES = {"-L": "follows", "-f": "fails", "--fail-with-body": "fails", "-s": "", "-sS": ""}
_WITH_VALUE = {"-X", "-H", "-d", "--json", "-o"}


_OF_A_BODY: Mapping[str, Mapping[str, str]] = {
    "-d": {"Content-Type": "application/x-www-form-urlencoded"},
    "--json": {"Content-Type": "application/json", "Accept": "application/json"},
}
"""What curl says of a body by itself."""


class NotUnderstood(ValueError):
    """Something that the tests cannot run."""


@dataclass(frozen=True)
class Curl:
    """One command: a request, and what becomes of its answer."""

    url: str
    method: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    output: str | None = None
    follows: bool = False
    fails: bool = False
    """The command itself fails by an answer of 400 or more."""

    def send(self, session: requests.Session, folder: Path) -> requests.Response:
        """Do what curl does; a file is written into `folder`."""
        answer = session.request(
            self.method,
            self.url,
            headers=dict(self.headers),
            data=self.body,
            allow_redirects=self.follows,
            timeout=30,
        )
        if self.output is not None:
            (folder / self.output).write_bytes(answer.content)
        return answer


@dataclass(frozen=True)
class Assignment:
    """`NAME=value`: what the reader copies from somewhere."""

    name: str
    value: str


@dataclass(frozen=True)
class Sha256Sum:
    """`sha256sum FILE`."""

    path: str


Statement = Curl | Assignment | Sha256Sum


def statements(block: str, variables: Mapping[str, str]) -> Iterator[Statement]:
    """What a block of shell does, one after the other; lines go on after a backslash.

    Raises:
        NotUnderstood: something else than the commands of this module.
    """
    block = block.replace("\\\n", " ")
    if _LINE.sub("", block).strip("\n"):
        raise NotUnderstood(f"a quote has no end: {block}")
    for line in filter(str.strip, _LINE.findall(block)):
        if assigned := _ASSIGNMENT.match(line):
            yield Assignment(assigned["name"], assigned["value"])
            continue
        command, *words = _words(line, variables)
        if command == "curl":
            yield _curl(words)
        elif command == "sha256sum" and len(words) == 1:
            yield Sha256Sum(words[0])
        else:
            raise NotUnderstood(line)


def _words(line: str, variables: Mapping[str, str]) -> list[str]:
    words: list[str] = []
    place, in_word = 0, False
    while place < len(line):
        if line[place].isspace():
            place, in_word = place + 1, False
            continue
        part = _WORD_PART.match(line, place)
        if part is None:
            if line[place] == "#" and not in_word:
                break
            raise NotUnderstood(f"{line!r} at {line[place:]!r}")
        text = part["single"]
        if text is None:
            text = _expanded(part["double"] if part["plain"] is None else part["plain"], variables)
        if in_word:
            words[-1] += text
        else:
            words.append(text)
        place, in_word = part.end(), True
    return words


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    expanded = _VARIABLE.sub(lambda found: variables[found[1] or found[2]], text)
    if "$" in expanded:
        raise NotUnderstood(text)
    return expanded


def _curl(words: list[str]) -> Curl:
    urls: list[str] = []
    given: dict[str, list[str]] = {flag: [] for flag in _WITH_VALUE}
    switches: dict[str, bool] = {}
    rest = iter(words)
    for word in rest:
        if word in given:
            given[word].append(next(rest, ""))
        elif word in _SWITCHES:
            switches |= {_SWITCHES[word]: True} if _SWITCHES[word] else {}
        elif word.startswith("-"):
            raise NotUnderstood(f"curl {word}")
        else:
            urls.append(word)
    if len(urls) != 1:
        raise NotUnderstood(f"curl with {len(urls)} URLs")
    if not re.fullmatch(r"[!-~]+", urls[0]) or re.search(r"[{}\[\]]", urls[0]):
        raise NotUnderstood(f"curl would read {urls[0]!r} as something else")
    headers = dict(header.split(": ", 1) for header in given["-H"])
    headers = {**next((_OF_A_BODY[flag] for flag in _OF_A_BODY if given[flag]), {}), **headers}
    body = _only([*given["-d"], *given["--json"]])
    return Curl(
        urls[0],
        _only(given["-X"]) or ("GET" if body is None else "POST"),
        headers,
        None if body is None else body.encode(),
        _only(given["-o"]),
        **switches,
    )


def _only(values: list[str]) -> str | None:
    if len(values) > 1:
        raise NotUnderstood(f"more than one value: {values}")
    return values[0] if values else None
