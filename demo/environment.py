"""The environment variables of the stack's processes.

Nothing of the caller's own Airflow or AWS set-up gets in: no configuration, no profile, no
credentials, no proxy on the way to the loopback address. The caller's `REMIT_*` settings do.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo import REPOSITORY
from demo.ports import HOST, Ports

_FOREIGN = ("AIRFLOW", "AWS_", "JWT_", "MOTO_", "OTEL_", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
_DUMMY_KEY = "local"  # moto takes any key; nothing here can reach an AWS account
_REGION = "us-east-1"

AIRFLOW_USER = "admin"
PASSWORDS_FILE = "passwords.json"


@dataclass(frozen=True)
class Secrets:
    """Random keys of one stack; they live as long as its directory."""

    fernet_key: str
    airflow_jwt: str
    airflow_api: str
    merchant_jwt: str

    @classmethod
    def random(cls) -> Secrets:
        """New keys of 256 bits or more."""
        return cls(
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            airflow_jwt=secrets.token_urlsafe(64),
            airflow_api=secrets.token_urlsafe(32),
            merchant_jwt=secrets.token_urlsafe(48),
        )


def stack_environment(
    directory: Path, ports: Ports, keys: Secrets, extra: Mapping[str, str]
) -> dict[str, str]:
    """What the stack adds to the caller's environment; `extra` has the last word."""
    aws = f"http://{HOST}:{ports.aws}"
    return {
        **_process(),
        **_airflow(directory, ports, keys),
        **_aws(aws),
        **_remit(keys),
        **extra,
    }


def with_callers(
    stack: Mapping[str, str], caller: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The stack's variables over what is left of the caller's."""
    kept = {name: value for name, value in caller.items() if not name.startswith(_FOREIGN)}
    return {**kept, **stack}


def _process() -> dict[str, str]:
    binaries = Path(sys.executable).parent  # not resolved: the virtual environment's own
    return {
        "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(REPOSITORY / "plugins"),
        "PYTHONUNBUFFERED": "1",  # so that a log file shows the last words of what failed
        "NO_PROXY": f"{HOST},localhost",
        "no_proxy": f"{HOST},localhost",
        # On macOS a forked process that looks up the system's proxies is killed without this.
        "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
        "OTEL_SDK_DISABLED": "true",  # no telemetry
    }


def _airflow(directory: Path, ports: Ports, keys: Secrets) -> dict[str, str]:
    server = f"http://{HOST}:{ports.airflow}"
    return {
        "AIRFLOW_HOME": str(directory / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # The executor forks this many workers when it starts. Eight share a small machine well.
        "AIRFLOW__CORE__PARALLELISM": "8",
        # A full name needs a resolver, which may be slow or absent; here a label is enough.
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        # A login, although this is a developer's machine: without one, every web page that is open
        # in a browser could post to Airflow, and Airflow would add a token of its own to each
        # request, the trigger hook's included, which refuses two.
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{AIRFLOW_USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(directory / PASSWORDS_FILE),
        "AIRFLOW__CORE__FERNET_KEY": keys.fernet_key,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{server}/execution/",
        "AIRFLOW__API__BASE_URL": server,
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(ports.airflow),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": keys.airflow_api,
        "AIRFLOW__API_AUTH__JWT_SECRET": keys.airflow_jwt,
        # SQLite has one writer at a time. On a busy machine the others wait longer than 5 s (the
        # default) before they give up with "database is locked".
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{directory}/airflow/airflow.db?timeout=30",
        # An idle scheduler looks for new runs after this long (1 s by default).
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # A new file in dags/ shows up after this long (300 s by default).
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    }


def _aws(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": _DUMMY_KEY,
        "AWS_SECRET_ACCESS_KEY": _DUMMY_KEY,
        "AWS_REGION": _REGION,
        "AWS_DEFAULT_REGION": _REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(
            {
                "conn_type": "aws",
                "login": _DUMMY_KEY,
                "password": _DUMMY_KEY,
                "extra": {"region_name": _REGION, "endpoint_url": endpoint},
            }
        ),
    }


def _remit(keys: Secrets) -> dict[str, str]:
    return {
        "JWT_SECRET": keys.merchant_jwt,
        "JWT_ISSUER": "remit-demo",
        "JWT_AUDIENCE": "payment-api",
        "REMIT_AWS_CONN_ID": "aws_default",
        "REMIT_WEBHOOK_NETWORKS": "127.0.0.0/8",  # where the receiver is, without a certificate
    }
