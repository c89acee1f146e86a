from __future__ import annotations

from pathlib import Path

import jwt
import pytest

from benchmarks.standins.http import Response, Server
from benchmarks.standins.reading import Request
from demo.client import merchant_client
from demo.environment import Secrets, stack_environment
from demo.info import StackInfo
from demo.ports import Ports


def test_the_client_speaks_for_its_merchant_and_goes_by_no_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    asked: list[tuple[str, str]] = []

    def handle(request: Request) -> Response:
        asked.append((request.target, request.headers["authorization"]))
        return Response(200, {}, [b'{"reports": []}'])

    with Server(handle) as server:
        ports = Ports(airflow=server.port, aws=1, receiver=2)
        environment = stack_environment(tmp_path, ports, Secrets.random(), {})
        client = merchant_client(StackInfo(tmp_path, ports, environment), "merchant-002")
        with client:
            assert client.reports() == []
    ((target, authorization),) = asked
    claims = jwt.decode(authorization.partition(" ")[2], options={"verify_signature": False})
    assert target == "/remit/reports"
    assert claims["merchant_id"] == "merchant-002"
