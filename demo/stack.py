"""The stack: a local AWS with seeded data, a webhook receiver, and Airflow.

    with Stack(directory, Ports.from_environment()) as info:
        requests.get(info.hook_url + "/exports/…", headers={"Authorization": info.token("…")})

On the way in everything is started and waited for, on the way out everything is stopped, whatever
happened in between. `start` and `stop` do the same where a block does not fit.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from demo import REPOSITORY, seed
from demo.environment import (
    AIRFLOW_USER,
    PASSWORDS_FILE,
    Secrets,
    stack_environment,
    with_callers,
)
from demo.errors import DemoError
from demo.info import StackInfo, write_private
from demo.ports import HOST, Ports
from demo.processes import Processes
from demo.readiness import AirflowReady, Condition, RunsUnderWay, answers
from remit.aws import cloudformation
from remit.settings import Settings

GRACE_SECONDS = 6
"""From SIGTERM to SIGKILL. Short, because all that a stack holds goes with it."""

READY_SECONDS = 180
"""How long the slowest machine may take; one with two cores takes about 20 s."""

SETTLE_SECONDS = 30
_POLL_SECONDS = 0.2

_AIRFLOW = {
    "api-server": ["api-server"],
    # The log servers would listen on all addresses. Every log is a local file here, which the API
    # server reads by itself.
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}

_SCHEDULER_SETTINGS = REPOSITORY / "demo" / "scheduler"

Say = Callable[[str], None]


class Stack:
    """One stack, in a directory of its own, which is emptied first."""

    def __init__(
        self,
        directory: Path,
        ports: Ports,
        *,
        environment: Mapping[str, str] | None = None,
        say: Say = print,
    ) -> None:
        """`environment` is set for all of its processes; `say` is told what is going on."""
        self._say = say
        self._environment = stack_environment(directory, ports, Secrets.random(), environment or {})
        self._processes = Processes(directory / "logs")
        self.directory = directory
        self.ports = ports
        self.seed = seed.generate(f"http://{HOST}:{ports.receiver}")

    @property
    def info(self) -> StackInfo:
        """The stack as it is now."""
        records = tuple(self._processes.records)
        return StackInfo(self.directory, self.ports, self._environment, records)

    def __enter__(self) -> StackInfo:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> StackInfo:
        """Start everything and wait until it serves.

        Raises:
            PortBusy: before anything is started.
            DemoError: something failed to start; what had started is stopped.
        """
        self.ports.check()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self.info

    def stop(self) -> None:
        """Stop everything. The directory with its logs stays."""
        self._processes.stop(GRACE_SECONDS)
        self.info.forget()

    def settle(self) -> None:
        """Wait a little until no DAG run is under way.

        When Airflow has just started, every schedule fires at once and fills a small machine.
        """
        under_way = RunsUnderWay(self.info)
        deadline = time.monotonic() + SETTLE_SECONDS
        while under_way() is not None and time.monotonic() < deadline:
            self._processes.check()
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Raise `DemoError` if a process of the stack has ended."""
        self._processes.check()

    def _start(self) -> None:
        self._empty_directory()
        self._say("starting the local AWS and the webhook receiver, preparing Airflow's database")
        arguments = ["-m", "demo.aws", "--port", str(self.ports.aws)]
        self._launch("aws", arguments, PYTHONPATH=str(REPOSITORY))
        self._launch("airflow-db", ["-m", "airflow", "db", "migrate"])
        self._launch_receiver()
        self._until(answers("aws", f"{self.info.aws_url}/moto-api/"))
        self._until(answers("receiver", f"{self.info.receiver_url}/received"))
        self._create_and_seed()
        self._processes.wait("airflow-db", READY_SECONDS)
        self._say("starting Airflow: API server, scheduler, dag processor, triggerer")
        for component in _AIRFLOW:
            self._launch_airflow(component)
        self._until(AirflowReady(self.info, _dag_ids()))

    def _empty_directory(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        (self.directory / "logs").mkdir(parents=True)
        (self.directory / "airflow").mkdir()
        self.directory.chmod(0o700)  # logs and stack.json hold keys
        password = secrets.token_urlsafe(12)
        write_private(self.directory / PASSWORDS_FILE, json.dumps({AIRFLOW_USER: password}))

    def _launch(self, name: str, arguments: list[str], stage: int = 0, **extra: str) -> None:
        environment = {**with_callers(self._environment), **extra}
        # -P: the working directory stays off sys.path.
        self._processes.start(name, [sys.executable, "-P", *arguments], environment, stage)
        self.info.save()  # at once: whatever happens now, `make down` finds the process

    def _launch_airflow(self, component: str) -> None:
        arguments = ["-m", "airflow", *_AIRFLOW[component]]
        if component == "api-server":
            self._launch(component, arguments)
        elif component == "scheduler":
            path = f"{self._environment['PYTHONPATH']}{os.pathsep}{_SCHEDULER_SETTINGS}"
            self._launch(component, arguments, stage=1, PYTHONPATH=path)
        else:
            self._launch(component, arguments, stage=1)

    def _launch_receiver(self) -> None:
        keys = self.directory / "receiver.json"
        write_private(keys, json.dumps({m.id: m.secret for m in seed.MERCHANTS}))
        arguments = ["--port", str(self.ports.receiver), "--secrets", str(keys)]
        self._launch("receiver", ["-m", "demo.receiver", *arguments], PYTHONPATH=str(REPOSITORY))

    def _create_and_seed(self) -> None:
        settings = Settings.from_environment(with_callers(self._environment))
        aws = self.info.aws()
        parameters = {"TablePrefix": settings.table_prefix, "BucketName": settings.bucket}
        created = cloudformation.apply(aws, parameters)
        seed.write(aws.client("dynamodb"), self.seed, settings.table_prefix)
        self._say(
            f"created {len(created)} tables and buckets, wrote {len(self.seed.merchants)} merchants"
            f" and {len(self.seed.payments):,} payments"
        )

    def _until(self, missing: Condition) -> None:
        """Wait until nothing is missing, for a bounded time and while every process lives."""
        deadline = time.monotonic() + READY_SECONDS
        while (gap := missing()) is not None:
            self._processes.check()
            if time.monotonic() >= deadline:
                message = f"not ready after {READY_SECONDS} s: {gap.what}"
                raise DemoError(message, self._processes.log(gap.process))
            time.sleep(_POLL_SECONDS)


def _dag_ids() -> set[str]:
    """The DAGs that have to be there: each file in dags/ is named as its DAG."""
    return {path.stem for path in (REPOSITORY / "dags").glob("*.py")}
