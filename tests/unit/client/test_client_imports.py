from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import remit.client

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"

LOADED = """
import json, sys
from remit.client import RemitClient, verify
RemitClient("https://hook.test/remit", "a.b.c")
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

COMMAND = """
import json, sys
from remit.__main__ import main
try:
    main(["export", "--start", "2026-01-01", "--end", "2026-01-31", "--url", "https://127.0.0.1:9"])
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

ITS_OWN = {"requests", "urllib3", "certifi", "idna", "charset-normalizer", "chardet"}
"""requests, and what comes with it."""

SERVERS = {"airflow", "boto3", "botocore", "awscrt", "pandas", "pyarrow", "duckdb", "numpy"}


@pytest.mark.parametrize("program", [LOADED, COMMAND], ids=["client", "command"])
def test_a_merchant_needs_requests_and_nothing_else_that_is_installed(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(PLUGINS), "REMIT_TOKEN": "no token"},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(done.stdout))
    assert not SERVERS & loaded
    installed = packages_distributions()
    needed = {name.lower() for module in loaded - {"remit"} for name in installed.get(module, ())}
    assert "requests" in needed
    assert needed <= ITS_OWN | _of_the_interpreter()


def _of_the_interpreter() -> set[str]:
    """What a bare interpreter of this environment loads by itself (`.pth` files)."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {name.partition(".")[0] for name in done.stdout.split()}
    found = packages_distributions()
    return {name.lower() for module in modules for name in found.get(module, ())}


def test_what_is_exported_is_there_and_in_order() -> None:
    assert remit.client.__all__ == sorted(remit.client.__all__)
    assert all(hasattr(remit.client, name) for name in remit.client.__all__)
