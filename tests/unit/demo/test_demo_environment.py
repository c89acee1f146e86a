from __future__ import annotations

from pathlib import Path

from demo.environment import Secrets, stack_environment, with_callers
from demo.ports import Ports
from remit.auth import TokenSettings
from remit.settings import Settings

PORTS = Ports(airflow=18080, aws=15055, receiver=18090)
DIRECTORY = Path("/tmp/stack")


def test_nothing_of_the_callers_airflow_and_aws_gets_in() -> None:
    caller = {
        "HOME": "/home/dev",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW_CONN_AWS_DEFAULT": "aws://real-key:real-secret@",
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "real",
        "JWT_SECRET": "real",
        "REMIT_WEBHOOK_CHUNK": "10",
    }
    environment = with_callers(stack(), caller)
    assert "real" not in " ".join(environment.values())
    assert "AWS_PROFILE" not in environment
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert environment["HOME"] == "/home/dev"
    assert environment["REMIT_WEBHOOK_CHUNK"] == "10"


def test_everything_is_on_the_loopback_address() -> None:
    addresses = [value for value in stack().values() if "http://" in value]
    assert addresses
    assert all("http://127.0.0.1:" in value for value in addresses)
    assert stack()["AIRFLOW__API__HOST"] == "127.0.0.1"


def test_the_callers_extra_variables_have_the_last_word() -> None:
    extra = {"REMIT_SLICE_ROWS": "500", "AIRFLOW__CORE__PARALLELISM": "2"}
    environment = stack_environment(DIRECTORY, PORTS, Secrets.random(), extra)
    assert environment["REMIT_SLICE_ROWS"] == "500"
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "2"


def test_remit_accepts_its_settings() -> None:
    assert Settings.from_environment(stack()).webhook_networks == "127.0.0.0/8"
    assert TokenSettings.from_environment(stack()).audience == "payment-api"


def test_every_stack_has_keys_of_its_own() -> None:
    one, other = Secrets.random(), Secrets.random()
    assert not set(vars(one).values()) & set(vars(other).values())


def stack() -> dict[str, str]:
    return stack_environment(DIRECTORY, PORTS, Secrets.random(), {})
