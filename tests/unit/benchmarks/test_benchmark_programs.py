"""The programs begin as `make` begins them: without a PYTHONPATH."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from demo import REPOSITORY


@pytest.mark.parametrize("name", ["benchmarks.api", "benchmarks.export", "benchmarks.webhooks"])
def test_a_program_finds_all_that_it_imports(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", name, "--help"],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage" in done.stdout
