"""docker-compose.yaml and the image, checked without an engine.

Where the client has `docker compose`, its own reading of the file goes through the same checks.
"""

from __future__ import annotations

import argparse
import functools
import graphlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from remit.auth import TokenSettings
from remit.commands import serve
from remit.settings import Settings
from remit.triggers.settings import AirflowSettings

REPOSITORY = Path(__file__).resolve().parents[3]
COMPOSE = REPOSITORY / "docker-compose.yaml"

AIRFLOW = {
    "airflow-apiserver": ["airflow", "api-server"],
    "airflow-scheduler": ["airflow", "scheduler"],
    "airflow-dag-processor": ["airflow", "dag-processor"],
    "airflow-triggerer": ["airflow", "triggerer"],
    "airflow-worker": ["airflow", "celery", "worker"],
}
ONE_SHOT = {
    "airflow-init": ["airflow", "db", "migrate"],
    "aws-init": ["python", "-m", "remit", "infra", "apply"],
    "auth-init": ["python", "-c"],
}
BACKENDS = {"postgres", "redis", "aws"}
HOOK = {"hook": ["python", "-m", "remit", "serve"]}

REQUIRED = {
    "POSTGRES_PASSWORD": "pg0123",
    "AIRFLOW_FERNET_KEY": "fernet-key",
    "AIRFLOW_API_SECRET_KEY": "api-secret",
    "AIRFLOW_JWT_SECRET": "airflow-jwt",
    "REMIT_AIRFLOW_PASSWORD": "of-the-hook",
    "JWT_SECRET": "merchants-jwt",
}
"""The secrets, each with a value that is found again in the resolved file."""

DURATION = {"type": "string", "pattern": r"^(\d+(ms|s|m|h))+$"}
STRINGS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image"],
    "properties": {
        "image": {"type": "string", "pattern": r"^[a-z-]+:\d+(\.\d+)+(-[a-z]+)?$"},
        "build": {
            "type": "object",
            "additionalProperties": False,
            "required": ["context", "target"],
            "properties": {"context": {"type": "string"}, "target": {"type": "string"}},
        },
        "command": STRINGS,
        "init": {"const": True},
        "restart": {"enum": ["no", "unless-stopped"]},
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "volumes": {
            "type": "array",
            "items": {"type": "string", "pattern": r"^[a-z]+:/[a-z/]+$"},
        },
        "ports": {
            "type": "array",
            "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"},
        },
        "networks": {"type": "array", "items": {"enum": ["default", "hook"]}, "minItems": 1},
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["condition"],
                "properties": {
                    "condition": {"enum": ["service_healthy", "service_completed_successfully"]}
                },
            },
        },
        "stop_grace_period": DURATION,
        "healthcheck": {
            "type": "object",
            "additionalProperties": False,
            "required": ["test", "interval", "timeout", "retries", "start_period"],
            "properties": {
                "test": {**STRINGS, "minItems": 2},
                "interval": DURATION,
                "timeout": DURATION,
                "retries": {"type": "integer", "minimum": 1},
                "start_period": DURATION,
            },
        },
    },
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "required": ["name", "services", "volumes"],
    "properties": {
        "name": {"const": "remit"},
        "services": {"type": "object", "additionalProperties": SERVICE},
        "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
        "networks": {"type": "object", "additionalProperties": {"const": {}}},
    },
}
"""What of the Compose specification the file uses, and nothing else: a misspelt key is an error."""

Services = dict[str, dict[str, Any]]

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?P<operator>:?[-?])?(?P<operand>[^}]*)\})")


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """Fill in variables as the Compose specification says, for the forms that the file uses."""

    def one(match: re.Match[str]) -> str:
        name, operator = match["name"], match["operator"] or ""
        if name is None:
            return "$"
        given = variables.get(name)
        if given is None or (":" in operator and not given):
            if operator.endswith("?"):
                raise KeyError(name)
            return match["operand"] if operator else ""
        return given

    match value:
        case str():
            return _VARIABLE.sub(one, value)
        case list():
            return [interpolate(element, variables) for element in value]
        case dict():
            return {key: interpolate(content, variables) for key, content in value.items()}
        case _:
            return value


def ours(variables: Mapping[str, str]) -> dict[str, Any]:
    """The file with its variables filled in by this module."""
    resolved = interpolate(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")), variables)
    assert isinstance(resolved, dict)
    return resolved


def docker(*arguments: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`docker compose` on the file, with these variables and no .env file."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_CONFIG") if name in os.environ
    }
    command = ["docker", "compose", "--env-file", os.devnull, "-f", str(COMPOSE), *arguments]
    return subprocess.run(
        command, env={**kept, **variables}, capture_output=True, text=True, check=False, timeout=60
    )


@functools.cache
def has_docker_compose() -> bool:
    """Whether the client is there and has the plugin; no engine is needed."""
    return shutil.which("docker") is not None and (docker("version", variables={}).returncode == 0)


READERS = ["this module", *(["docker compose"] if has_docker_compose() else [])]


@pytest.fixture(params=READERS)
def services(request: pytest.FixtureRequest) -> Services:
    """The services as resolved, by every reader that is there."""
    if request.param == "this module":
        resolved = ours(REQUIRED)
    else:
        answer = docker("config", "--format", "json", variables=REQUIRED)
        assert answer.returncode == 0, answer.stderr
        resolved = json.loads(answer.stdout)
    return {name: dict(service) for name, service in resolved["services"].items()}


def test_the_file_uses_known_keys_and_well_formed_values() -> None:
    jsonschema.validate(ours(REQUIRED), SCHEMA)


def test_every_service_is_there_and_runs_what_it_is_named_for(services: Services) -> None:
    assert services.keys() == AIRFLOW.keys() | ONE_SHOT.keys() | HOOK.keys() | BACKENDS
    for name, command in (AIRFLOW | ONE_SHOT | HOOK).items():
        assert services[name]["command"][: len(command)] == command


def test_what_stays_up_has_a_health_check_and_what_ends_is_waited_for(services: Services) -> None:
    for name in AIRFLOW.keys() | HOOK.keys() | BACKENDS:
        assert "healthcheck" in services[name], name
        assert services[name]["restart"] == "unless-stopped", name
    for name in ONE_SHOT:
        assert services[name]["restart"] == "no", name
        assert "healthcheck" not in services[name], name


def test_dependencies_exist_in_the_right_kind_and_have_no_cycle(services: Services) -> None:
    graph = {}
    for name, service in services.items():
        needs = service.get("depends_on", {})
        graph[name] = set(needs)
        for other, need in needs.items():
            ends = need["condition"] == "service_completed_successfully"
            assert ends == (other in ONE_SHOT), f"{name} waits for {other}"
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert set(order) == services.keys()
    for name in AIRFLOW:
        assert {"airflow-init", "aws-init", "redis"} <= graph[name]


def test_volumes_are_declared_and_used(services: Services) -> None:
    declared = ours(REQUIRED)["volumes"].keys()
    used = {
        volume["source"] if isinstance(volume, dict) else volume.partition(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
    }
    assert used == declared


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_missing_secret_stops_everything(missing: str) -> None:
    variables = {name: value for name, value in REQUIRED.items() if name != missing}
    for given in (variables, {**variables, missing: ""}):
        with pytest.raises(KeyError, match=missing):
            ours(given)
        if has_docker_compose():
            answer = docker("config", variables=given)
            assert answer.returncode != 0
            assert missing in answer.stderr


def test_every_secret_comes_from_outside(services: Services) -> None:
    # REMIT_KMS_KEY is the name of a key, not the key.
    secret = re.compile(r"SECRET|PASSWORD$|(?<!KMS)_KEY$|_CONN$|RESULT_BACKEND")
    for name, service in services.items():
        for variable, value in (service.get("environment") or {}).items():
            if secret.search(variable) and not variable.startswith("AWS_"):
                assert any(given in value for given in REQUIRED.values()), f"{name}: {variable}"
    # The local AWS takes any key; no real one accepts this.
    keys = {s["environment"].get("AWS_SECRET_ACCESS_KEY", "local") for s in airflow(services)}
    assert keys == {"local"}


def test_all_of_airflow_shares_database_broker_keys_and_aws(services: Services) -> None:
    own = re.compile(r"JWT_|AIRFLOW__CORE__SIMPLE_AUTH|AIRFLOW__API__BASE_URL")
    shared = [
        {k: v for k, v in service["environment"].items() if not own.match(k)}
        for service in airflow(services)
    ]
    assert all(environment == shared[0] for environment in shared)
    assert shared[0]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
    assert "@postgres:5432/" in shared[0]["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert shared[0]["AIRFLOW__CELERY__BROKER_URL"].startswith("redis://redis:6379/")
    assert shared[0]["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == (
        "http://airflow-apiserver:8080/execution/"
    )
    for key in ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET"):
        assert shared[0][key]


def test_only_the_hook_knows_the_merchants_secret(services: Services) -> None:
    knows = {n for n, s in services.items() if "JWT_SECRET" in (s.get("environment") or {})}
    assert knows == {"hook"}


def test_the_hook_has_no_key_of_airflow_and_no_way_to_its_database(services: Services) -> None:
    hook = services["hook"]
    assert not [name for name in hook["environment"] if name.startswith("AIRFLOW_")]
    reached = {name for name in services if networks(services, name) & networks(services, "hook")}
    assert reached == {"hook", "airflow-apiserver", "aws"}
    host = hook["environment"]["REMIT_AIRFLOW_URL"].removeprefix("http://").partition(":")[0]
    assert host == "airflow-apiserver"


def test_the_hook_has_what_it_demands_and_its_arguments_are_taken(services: Services) -> None:
    environment = {name: str(value) for name, value in services["hook"]["environment"].items()}
    assert AirflowSettings.from_environment(environment).way == "user"
    Settings.from_environment(environment)
    TokenSettings.from_environment({**environment, "JWT_SECRET": "s" * 32})

    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    options = parser.parse_args(services["hook"]["command"][len(HOOK["hook"]) :])
    assert (options.host, options.port) == ("0.0.0.0", 8081)  # noqa: S104
    assert serve.trusted(options.forwarded_allow_ips) == []
    grace = int(services["hook"]["stop_grace_period"].removesuffix("s"))
    assert grace > options.grace


def test_proxies_and_the_address_of_the_hook_come_from_outside() -> None:
    hook = ours(
        {**REQUIRED, "REMIT_HOOK_PROXIES": "172.16.0.0/12", "REMIT_HOOK_ADDRESS": "10.0.0.5"}
    )["services"]["hook"]
    assert "--forwarded-allow-ips=172.16.0.0/12" in hook["command"]
    assert hook["ports"] == ["10.0.0.5:8081:8081"]


@pytest.mark.parametrize("before", [None, "", '{"admin": "kept", "remit-hook": "old"}'])
def test_the_hooks_user_has_its_password_in_airflows_file(
    services: Services, tmp_path: Path, before: str | None
) -> None:
    api_server, init = services["airflow-apiserver"], services["auth-init"]
    path = api_server["environment"]["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]
    program, file = init["command"][-1], tmp_path / "passwords.json"
    assert path in program
    assert "remit-hook:op" in api_server["environment"]["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    if before is not None:
        file.write_text(before)
    subprocess.run(
        [sys.executable, "-c", program.replace(path, str(file))],
        env=init["environment"],
        check=True,
        timeout=60,
    )
    expected = json.loads(before or "{}") | {"remit-hook": REQUIRED["REMIT_AIRFLOW_PASSWORD"]}
    assert json.loads(file.read_text()) == expected


def test_the_infrastructure_is_applied_to_the_local_aws_and_nowhere_else() -> None:
    real = {**REQUIRED, "AWS_ENDPOINT_URL": "", "AWS_SECRET_ACCESS_KEY": "a real one"}
    services = ours(real)["services"]
    assert services["airflow-worker"]["environment"]["AWS_ENDPOINT_URL"] == ""
    applied = services["aws-init"]["environment"]
    assert applied["AWS_ENDPOINT_URL"] == "http://aws:5055"
    assert applied["AWS_SECRET_ACCESS_KEY"] == "local"


def test_a_worker_has_time_to_end_its_tasks(services: Services) -> None:
    assert services["airflow-worker"]["stop_grace_period"] in {"2m", "2m0s"}
    assert all(service["init"] for service in airflow(services))


def test_ports_are_open_on_this_machine_only(services: Services) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    hosts = {p["host_ip"] if isinstance(p, dict) else p.partition(":")[0] for p in published}
    assert hosts == {"127.0.0.1"}
    assert len(published) == 3


def test_the_image_has_the_targets_and_ends_as_an_ordinary_user(services: Services) -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    bases = dict(re.findall(r"^FROM (\S+) AS (\S+)$", dockerfile, re.MULTILINE))
    stages = re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE)
    targets = {s["build"]["target"] for s in services.values() if "build" in s}
    assert targets <= set(stages)
    assert stages[-1] == "remit", "the image that `docker build .` makes"
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", next(iter(bases)))
    for stage in dockerfile.split("FROM ")[2:]:
        assert re.findall(r"^USER (\S+)$", stage, re.MULTILINE)[-1] == "airflow"
        assert re.search(r'^CMD \["', stage, re.MULTILINE), "exec form: signals reach the program"
    assert "-c constraints.txt" in dockerfile


def test_what_the_image_copies_exists_and_is_sent_to_the_build() -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    copies = re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE)
    copied = {name for line in copies for name in line.split()}
    ignore = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split("\n")
    assert copied == {line[1:] for line in ignore if line.startswith("!")}
    assert all((REPOSITORY / name).exists() for name in copied)


def test_the_example_of_the_variables_names_all_of_them_and_its_command_makes_the_secrets(
    tmp_path: Path,
) -> None:
    example = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
    used = {match["name"] for match in _VARIABLE.finditer(COMPOSE.read_text(encoding="utf-8"))}
    named = re.findall(r"^(#?)(\w+)=(.*)$", example, re.MULTILINE)
    assert {name for _, name, _ in named} == used - {None}
    assert {name for comment, name, _ in named if not comment} == REQUIRED.keys()
    assert not any(value for comment, _, value in named if not comment)

    lines = re.findall(r"^#   (.*)$", example, re.MULTILINE)
    subprocess.run(["sh", "-c", "\n".join(lines)], cwd=tmp_path, check=True, timeout=60)  # noqa: S607
    made = (tmp_path / ".env").read_text(encoding="utf-8").splitlines()
    secrets = dict(line.split("=", 1) for line in made)
    assert secrets.keys() == REQUIRED.keys()
    assert all(len(value) >= 32 for value in secrets.values())
    assert len(set(secrets.values())) == len(secrets)


def airflow(services: Services) -> list[dict[str, Any]]:
    """The services that run Airflow for good."""
    return [services[name] for name in AIRFLOW]


def networks(services: Services, name: str) -> set[str]:
    """The networks that a service is in."""
    return set(services[name].get("networks") or {"default"})
