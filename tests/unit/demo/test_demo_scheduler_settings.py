from __future__ import annotations

import subprocess
import sys

from demo import REPOSITORY

SETTINGS = REPOSITORY / "demo" / "scheduler"


def test_the_scheduler_settings_load_and_set_nothing() -> None:
    """Airflow loads this file while it is only half imported itself: it must not be needed."""
    program = (
        "import sys, airflow_local_settings as settings\n"
        "print(settings.__all__, 'airflow' in sys.modules, 'duckdb' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{SETTINGS}:{REPOSITORY / 'plugins'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[] False True"
