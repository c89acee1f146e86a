"""Starting DAG runs through Airflow's public REST API, from a service of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from remit.errors import TriggerUnavailable
from remit.triggers import OUTBOX_ASSET
from remit.triggers.credentials import Credentials, credentials_of
from remit.triggers.settings import AirflowSettings
from remit.triggers.transport import Answer, Transport

log = logging.getLogger(__name__)

WELL_SECONDS = 5.0
"""A DAG that was found well is not looked at again for so long. A run that is started meanwhile
waits, if its DAG was paused, and the poller takes the job up."""

NOT_WELL_SECONDS = 1.0
"""The same for one that was not: what is to be started is left to the poller."""


class RestTrigger:
    """A `remit.triggers.Trigger` by HTTP. For any number of threads."""

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._monotonic = monotonic
        self._looking = threading.Lock()
        self._found: dict[str, tuple[float, str | None]] = {}
        """DAG to what is wrong with it, and until when that is taken for granted."""
        self._outbox_id: int | None = None

    @classmethod
    def of(cls, settings: AirflowSettings) -> RestTrigger:
        """As the settings say. Nothing is asked of Airflow yet."""
        transport = Transport(settings.url, ca_file=settings.ca_file)
        return cls(transport, credentials_of(settings, transport))

    def start(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> None:
        """See `Trigger`."""
        with self._looking:  # one look for all that wait
            until, wrong = self._found.get(dag_id, (0.0, None))
            if self._monotonic() >= until:
                self.check(dag_id)
            elif wrong is not None:
                raise TriggerUnavailable(wrong)
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf), "note": note}
        answer = self._call("POST", f"{_path(dag_id)}/dagRuns", body)
        if answer.status == 409:
            log.info("%s %s exists already", dag_id, run_id)
        elif not answer.ok:
            self._found.pop(dag_id, None)
            raise TriggerUnavailable(f"could not start {dag_id} {run_id}: {answer.detail()}")

    def wake_delivery(self) -> None:
        """See `Trigger`."""
        answer = self._update_outbox()
        if answer.status == 404:  # its id has changed: Airflow has a new database
            self._outbox_id = None
            answer = self._update_outbox()
        if not answer.ok:
            raise TriggerUnavailable(f"could not update {OUTBOX_ASSET}: {answer.detail()}")

    def check(self, dag_id: str) -> None:
        """See `Trigger`. Airflow is asked each time."""
        wrong = self._look(dag_id)
        lasts = WELL_SECONDS if wrong is None else NOT_WELL_SECONDS
        self._found[dag_id] = (self._monotonic() + lasts, wrong)
        if wrong is not None:
            raise TriggerUnavailable(wrong)

    def _look(self, dag_id: str) -> str | None:
        """What is wrong with a DAG."""
        answer = self._call("GET", _path(dag_id))
        if answer.status == 404:
            return f"the DAG {dag_id} is not known to Airflow"
        if not answer.ok:
            return f"the DAG {dag_id} cannot be looked at: {answer.detail()}"
        dag = answer.document()
        if dag.get("is_stale"):
            return f"the DAG {dag_id} is not known to Airflow"
        if dag.get("has_import_errors"):
            return f"the DAG {dag_id} has import errors"
        if dag.get("is_paused"):
            return f"the DAG {dag_id} is paused"
        return None

    def _update_outbox(self) -> Answer:
        if self._outbox_id is None:
            self._outbox_id = self._find_outbox()
        return self._call("POST", "/api/v2/assets/events", {"asset_id": self._outbox_id})

    def _find_outbox(self) -> int:
        # The pattern finds what has the name in it, and `_` stands for any character.
        answer = self._call("GET", f"/api/v2/assets?limit=100&name_pattern={OUTBOX_ASSET}")
        if not answer.ok:
            raise TriggerUnavailable(f"could not look {OUTBOX_ASSET} up: {answer.detail()}")
        for asset in answer.document().get("assets", []):
            if asset["name"] == OUTBOX_ASSET:
                return int(asset["id"])
        raise TriggerUnavailable(f"the asset {OUTBOX_ASSET} is not known to Airflow")

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """One call, and another one with a new token if Airflow refuses the one it had.

        Raises:
            TriggerUnavailable: Airflow is out of reach, fails, or does not let this user do that.
        """
        token = self._credentials.token()
        answer = self._transport.call(method, path, body, token=token)
        # An expired token is a 401, one that Airflow's key has not signed a 403.
        if answer.status in {401, 403} and self._credentials.another(token):
            token = self._credentials.token()
            answer = self._transport.call(method, path, body, token=token)
        if answer.status == 401:
            raise self._transport.rest(
                f"Airflow refuses the token of {self._credentials.origin}: {answer.detail()}"
            )
        if answer.status == 403:
            raise TriggerUnavailable(
                f"Airflow refuses {method} {path} ({answer.detail()}): see "
                f"{self._credentials.origin}; the token has to be valid, and its user has to read "
                "DAGs and assets, and to create DAG runs and asset events"
            )
        return answer


def _path(dag_id: str) -> str:
    return f"/api/v2/dags/{quote(dag_id, safe='')}"
