"""When the stack is ready: conditions, asked of the servers themselves."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import requests

from demo.errors import DemoError
from demo.info import StackInfo
from demo.loopback import loopback

_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Gap:
    """What is not there yet, and the process whose log may say why."""

    what: str
    process: str


Condition = Callable[[], Gap | None]
"""Returns what is missing, or None when all is there."""


def answers(process: str, url: str) -> Condition:
    """The process answers on that URL."""
    client = loopback()

    def missing() -> Gap | None:
        answer = _get(client, url)
        return None if answer is not None and answer.ok else Gap(f"no answer from {url}", process)

    return missing


class AirflowReady:
    """Every component is healthy, every DAG is there and not paused, the hook asks for a token."""

    def __init__(self, info: StackInfo, dag_ids: Set[str]) -> None:
        self._info = info
        self._api = f"{info.airflow_url}/api/v2"
        self._dag_ids = dag_ids

    def __call__(self) -> Gap | None:
        """What is missing; see `Condition`."""
        return self._health_gap() or self._dag_gap() or self._hook_gap()

    def _health_gap(self) -> Gap | None:
        health = _json(self._anyone, f"{self._api}/monitor/health")
        if health is None:
            return Gap("the API server does not answer", "api-server")
        for component, state in health.items():
            if state["status"] != "healthy":
                name = component.replace("_", "-")
                log = "api-server" if name == "metadatabase" else name
                return Gap(f"{name} is {state['status'] or 'not there'}", log)
        return None

    def _dag_gap(self) -> Gap | None:
        try:
            admin = self._admin
        except requests.RequestException as error:
            return Gap(f"Airflow refuses the login: {error}", "api-server")
        errors = _json(admin, f"{self._api}/importErrors")
        for error in (errors or {}).get("import_errors", []):
            raise DemoError(f"{error['filename']} does not import:\n{error['stack_trace']}")
        dags = _json(admin, f"{self._api}/dags?limit=100")
        running = {dag["dag_id"] for dag in (dags or {}).get("dags", []) if not dag["is_paused"]}
        if waiting := sorted(self._dag_ids - running):
            return Gap(f"DAGs not parsed yet: {', '.join(waiting)}", "dag-processor")
        return None

    def _hook_gap(self) -> Gap | None:
        """The hook is up and guarded when it answers 401 to a caller without a token."""
        answer = _get(self._anyone, f"{self._info.hook_url}/exports/none")
        if answer is not None and answer.status_code == 401:
            return None
        got = "nothing" if answer is None else f"{answer.status_code} {answer.text[:200]}"
        return Gap(f"the trigger hook answers {got} where it should ask for a token", "api-server")

    @cached_property
    def _anyone(self) -> requests.Session:
        return loopback()

    @cached_property
    def _admin(self) -> requests.Session:
        return self._info.airflow()


class RunsUnderWay:
    """No DAG run is queued or running."""

    def __init__(self, info: StackInfo) -> None:
        self._url = f"{info.airflow_url}/api/v2/dags/~/dagRuns?state=queued&state=running&limit=1"
        self._admin = info.airflow()

    def __call__(self) -> Gap | None:
        """The runs that are; see `Condition`."""
        runs = _json(self._admin, self._url)
        if runs is not None and runs["total_entries"] == 0:
            return None
        return Gap("DAG runs are under way", "scheduler")


def _json(client: requests.Session, url: str) -> Any:
    answer = _get(client, url)
    return answer.json() if answer is not None and answer.ok else None


def _get(client: requests.Session, url: str) -> requests.Response | None:
    try:
        return client.get(url, timeout=_TIMEOUT_SECONDS)
    except requests.RequestException:
        return None
