"""What a running stack is: its addresses, its keys and its processes, as saved in `stack.json`."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import botocore.session
import requests

from demo.environment import AIRFLOW_USER, PASSWORDS_FILE
from demo.loopback import loopback
from demo.ports import HOST, Ports
from demo.processes import ProcessRecord
from remit.auth import TokenSettings, mint
from remit.aws.session import Aws

PERMISSIONS = (
    "payments",
    "refunds",
    "settlements",
    "webhooks",
    "events",
    "schedules",
    "audit",
)
"""What the tokens of the local stack permit: all that docs/api.md shows."""

_FILE = "stack.json"
# (name in a file, environment variable, default, conversion): no file and no variable is read.
_NO_PROFILE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


@dataclass(frozen=True)
class StackInfo:
    """A stack as others use it. Everything in it is for the loopback address of this machine."""

    directory: Path
    ports: Ports
    environment: Mapping[str, str] = field(repr=False)
    processes: tuple[ProcessRecord, ...] = ()

    @property
    def airflow_url(self) -> str:
        """Origin of Airflow's UI and API."""
        return f"http://{HOST}:{self.ports.airflow}"

    @property
    def hook_url(self) -> str:
        """Base of the trigger hook."""
        return f"{self.airflow_url}/remit"

    @property
    def aws_url(self) -> str:
        """Endpoint of the local AWS."""
        return f"http://{HOST}:{self.ports.aws}"

    @property
    def receiver_url(self) -> str:
        """Base of the webhook receiver: one path per merchant, and `/received`."""
        return f"http://{HOST}:{self.ports.receiver}"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.directory / "logs"

    def token(self, merchant_id: str) -> str:
        """A merchant's token for the trigger hook, good for an hour."""
        settings = TokenSettings.from_environment(self.environment)
        return mint(settings, merchant_id, permissions=PERMISSIONS, now=datetime.now(UTC))

    def airflow(self) -> requests.Session:
        """A client that is logged in to Airflow's API as its administrator.

        Raises:
            requests.RequestException: the API server does not answer.
        """
        client = loopback()
        login = {"username": AIRFLOW_USER, "password": self.airflow_password}
        answer = client.post(f"{self.airflow_url}/auth/token", json=login, timeout=30)
        answer.raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client

    @property
    def airflow_password(self) -> str:
        """The password of Airflow's user `admin`."""
        passwords = json.loads((self.directory / PASSWORDS_FILE).read_text(encoding="utf-8"))
        return str(passwords[AIRFLOW_USER])

    def aws(self) -> Aws:
        """A session on the local AWS, whatever this process's own environment says."""
        session = botocore.session.Session(session_vars=_NO_PROFILE)
        session.set_credentials(
            self.environment["AWS_ACCESS_KEY_ID"], self.environment["AWS_SECRET_ACCESS_KEY"]
        )
        endpoints = dict.fromkeys(("dynamodb", "s3"), self.aws_url)
        return Aws(session, self.environment["AWS_REGION"], endpoints)

    def save(self) -> None:
        """Write `stack.json`, and `env` for a shell (`set -a; . .run/env`); both hold secrets."""
        saved = {**asdict(self), "directory": str(self.directory)}
        write_private(self.directory / _FILE, json.dumps(saved, indent=2) + "\n")
        lines = (f"{name}={shlex.quote(value)}\n" for name, value in self.environment.items())
        write_private(self.directory / "env", "".join(lines))

    @classmethod
    def load(cls, directory: Path) -> StackInfo | None:
        """The stack that was last started in a directory, running or not."""
        try:
            saved = json.loads((directory / _FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(
            directory=directory,
            ports=Ports(**saved["ports"]),
            environment=saved["environment"],
            processes=tuple(ProcessRecord(**record) for record in saved["processes"]),
        )

    def forget(self) -> None:
        """Remove the saved state of a stack that has ended; its logs stay."""
        for name in (_FILE, "env"):
            (self.directory / name).unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only."""
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
