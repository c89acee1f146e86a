from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from demo.environment import Secrets, stack_environment
from demo.info import PERMISSIONS, StackInfo
from demo.ports import Ports
from demo.processes import ProcessRecord
from remit.auth import TokenSettings, Verifier

PORTS = Ports(airflow=18080, aws=15055, receiver=18090)


@pytest.fixture
def info(tmp_path: Path) -> StackInfo:
    environment = stack_environment(tmp_path, PORTS, Secrets.random(), {"REMIT_NOTE": "it's $HOME"})
    records = (ProcessRecord("aws", 123, 1_770_000_000.25), ProcessRecord("scheduler", 124, 1.5, 1))
    return StackInfo(tmp_path, PORTS, environment, records)


def test_what_is_saved_is_loaded(info: StackInfo) -> None:
    info.save()
    assert StackInfo.load(info.directory) == info


def test_nothing_saved_is_nothing_loaded(tmp_path: Path) -> None:
    assert StackInfo.load(tmp_path) is None


def test_a_forgotten_stack_is_not_loaded(info: StackInfo) -> None:
    info.save()
    info.forget()
    assert StackInfo.load(info.directory) is None
    assert list(info.directory.iterdir()) == []


def test_saved_keys_are_for_the_owner_only(info: StackInfo) -> None:
    info.save()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in info.directory.iterdir()}
    assert modes == {"stack.json": 0o600, "env": 0o600}


def test_a_shell_can_source_the_environment(info: StackInfo) -> None:
    info.save()
    script = f"set -a; . '{info.directory}/env'; printenv REMIT_NOTE JWT_SECRET"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["it's $HOME", info.environment["JWT_SECRET"]]


def test_a_token_is_one_that_the_hook_accepts(info: StackInfo) -> None:
    verifier = Verifier(TokenSettings.from_environment(info.environment))
    caller = verifier.verify(info.token("merchant-001"))
    assert caller.merchant_id == "merchant-001"
    assert caller.permissions == set(PERMISSIONS)


def test_aws_clients_ignore_the_callers_profile(
    info: StackInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    client = info.aws().client("dynamodb")
    assert client.meta.endpoint_url == "http://127.0.0.1:15055"
    assert client._request_signer._credentials.access_key == "local"
