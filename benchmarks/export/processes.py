"""The processes of the benchmark: stand-ins that serve, subjects that run once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

from benchmarks.export.subjects.measuring import BUCKET, Measured, Parameters
from benchmarks.processes import OWN_PYTHON, REPOSITORY, serving, started
from benchmarks.standins.s3.api import FIGURES_PATH

PEERS_PYTHON = REPOSITORY / ".venv-peers" / "bin" / "python"


@dataclass(frozen=True)
class StandIns:
    """A table of so many payments, and a bucket that counts: their URLs."""

    dynamodb: str
    s3: str
    rows: int

    def arrived(self) -> int:
        """The bytes of all uploads so far."""
        with urlopen(f"{self.s3}{FIGURES_PATH}") as answer:  # noqa: S310 - our own server
            return int(json.load(answer)["bytes"])

    def sizes_of(self, keys: Iterable[str]) -> dict[str, int]:
        """The bytes of objects."""
        return {key: self._size_of(key) for key in keys}

    def _size_of(self, key: str) -> int:
        request = Request(f"{self.s3}/{BUCKET}/{quote(key)}", method="HEAD")  # noqa: S310
        with urlopen(request) as answer:  # noqa: S310
            return int(answer.headers["Content-Length"])


@contextmanager
def stand_ins(
    rows: int,
    shape: str = "nested",
    faults: Mapping[str, float] | None = None,
    *,
    partitions: int = 1,
    keep: bool = True,
) -> Iterator[StandIns]:
    """A table of so many payments and a counting bucket, each in a process of its own.

    With `keep` the table's pages lie ready in memory, 0.7 GB per million rows, and the process
    takes next to nothing from whoever reads them.
    """
    with serving("benchmarks.standins", "--counting") as sink:
        arguments = ["--rows", str(rows), "--shape", shape, "--s3", sink["s3"]]
        arguments += ["--partitions", str(partitions), *(["--keep"] if keep else [])]
        plan = json.dumps(dict(faults or {}))
        with serving("benchmarks.export.server", *arguments, "--faults", plan) as table:
            yield StandIns(table["dynamodb"], sink["s3"], rows)


def run(subject: str, parameters: Parameters, python: Path = OWN_PYTHON) -> Measured:
    """Run a subject to its end.

    Raises:
        BenchmarkFailed: it failed; its own words are on standard error.
    """
    (measured,) = run_at_once(subject, [parameters], python)
    return measured


def run_at_once(
    subject: str, parameters: Sequence[Parameters], python: Path = OWN_PYTHON
) -> list[Measured]:
    """Run a subject in several processes, which begin together once all have made their imports.

    Raises:
        BenchmarkFailed: one of them failed; its own words are on standard error.
    """
    module = f"benchmarks.export.subjects.{subject}"
    with ExitStack() as stack:
        subjects = [
            stack.enter_context(started(module, json.dumps(asdict(one)), python))
            for one in parameters
        ]
        for each in subjects:
            each.await_ready()
        for each in subjects:
            each.go()
        return [Measured.from_json(each.result()) for each in subjects]
