"""Airflow as the tests have it: a home of its own, SQLite, DAG and plugin folders of the project.

The environment is set when this module is imported, which `tests/conftest.py` does before any test
module can import Airflow: Airflow reads it once, on its first import.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remit.services import Services
from remit.settings import Settings
from tests.support.aws import REGION, empty_tables

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(tempfile.mkdtemp(prefix="remit-airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

os.environ.update(
    AIRFLOW_HOME=str(HOME),
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME / 'airflow.db'}",
    AIRFLOW__API_AUTH__JWT_SECRET="only-for-tests-" * 5,
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=str(HOME / "logs"),
)

AIRFLOW_WARNINGS = [
    # Airflow 3.3 compiles .airflowignore with a class that pathspec 1.0 has renamed.
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),
]
"""For `pytestmark`: what Airflow's own code warns of. Ours still must not."""

RunDag = Callable[..., Any]
"""`run_dag(dag_id, **arguments of DAG.test)`: runs it to its end and returns the `DagRun`."""


@pytest.fixture(scope="session")
def airflow() -> Path:
    """An empty metadata database; about ten seconds. Returns `AIRFLOW_HOME`."""
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    done = subprocess.run(migrate, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return HOME


@pytest.fixture
def run_dag(airflow: Path) -> RunDag:
    """Runs a DAG of the project in this process."""

    def run(dag_id: str, **arguments: Any) -> Any:
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(dag_folder=str(ROOT / "dags" / f"{dag_id}.py"))
        assert bag.import_errors == {}
        return bag.dags[dag_id].test(**arguments)

    return run


@pytest.fixture
def airflow_services(
    aws_server: str, airflow: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    """Empty tables in real time, and the connection through which tasks reach them."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_DEFAULT",
        json.dumps(
            {
                "conn_type": "aws",
                "login": "testing",
                "password": "testing",
                "extra": {"region_name": REGION, "endpoint_url": aws_server},
            }
        ),
    )
    monkeypatch.setenv("REMIT_WEBHOOK_NETWORKS", "127.0.0.0/8")
    aws = empty_tables(aws_server)
    return Services(Settings.from_environment(), aws)
