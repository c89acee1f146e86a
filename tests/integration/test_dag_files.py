from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.airflow import AIRFLOW_WARNINGS, ROOT

pytestmark = AIRFLOW_WARNINGS

DAG_FILES = sorted((ROOT / "dags").glob("*.py"))

HEAVY = (
    "aiohttp", "awscrt", "boto3", "botocore", "duckdb", "msgspec", "numpy", "pandas", "pyarrow",
    "remit.exports.engine", "remit.services",
)  # fmt: skip

_FRESHLY_LOADED = """
import sys
import airflow.sdk
before = set(sys.modules)
import runpy
runpy.run_path(sys.argv[1])
loaded = set(sys.modules) - before
print(sorted(name for name in sys.argv[2:] if name in loaded))
"""


def test_every_dag_is_found_without_import_errors(airflow: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(ROOT / "dags"))

    assert bag.import_errors == {}
    assert sorted(bag.dags) == [
        "deliver_webhooks",
        "export_payments",
        "poll_exports",
        "survey_webhooks",
    ]


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.stem)
def test_parsing_a_dag_file_imports_nothing_heavy(airflow: Path, path: Path) -> None:
    # A process of its own: here everything has been imported by other tests.
    command = [sys.executable, "-c", _FRESHLY_LOADED, str(path), *HEAVY]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=ROOT,
        env={"PATH": "", "PYTHONPATH": str(ROOT / "plugins"), "AIRFLOW_HOME": str(airflow)},
    )

    assert done.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.stem)
def test_every_dag_describes_itself_and_can_run_at_once(airflow: Path, path: Path) -> None:
    from airflow.dag_processing.dagbag import DagBag

    (dag,) = DagBag(dag_folder=str(path)).dags.values()

    assert dag.doc_md
    assert dag.catchup is False
    assert dag.is_paused_upon_creation is False
    assert "remit" in dag.tags
