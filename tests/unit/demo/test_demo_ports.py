from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from demo.errors import DemoError, PortBusy
from demo.ports import HOST, Ports, is_busy


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 0)) as server:
        yield server


def test_every_port_has_a_default() -> None:
    assert Ports.from_environment({}) == Ports(airflow=8080, aws=5055, receiver=8090)


def test_variables_move_the_ports() -> None:
    moved = {"REMIT_PORT": "18080", "REMIT_AWS_PORT": "15055", "REMIT_RECEIVER_PORT": "18090"}
    assert Ports.from_environment(moved) == Ports(airflow=18080, aws=15055, receiver=18090)


@pytest.mark.parametrize("text", ["eighty", "80", "70000", "-1", "8080.0", "\uff18080"])
def test_a_value_that_is_no_port_is_named(text: str) -> None:
    with pytest.raises(DemoError, match=r"REMIT_PORT is .* from 1024 to 65535"):
        Ports.from_environment({"REMIT_PORT": text})


def test_two_servers_cannot_share_a_port() -> None:
    with pytest.raises(DemoError, match="REMIT_PORT and REMIT_RECEIVER_PORT are both 8090"):
        Ports.from_environment({"REMIT_PORT": "8090"})


def test_a_busy_port_is_named_with_its_use_and_its_variable(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(PortBusy) as busy:
        Ports(airflow=_free(), aws=port, receiver=_free()).check()
    assert f"port {port} (the local AWS) is in use: set REMIT_AWS_PORT" in str(busy.value)


def test_free_ports_pass() -> None:
    Ports(airflow=_free(), aws=_free(), receiver=_free()).check()


def test_a_listener_on_all_addresses_makes_a_port_busy() -> None:
    with socket.create_server(("", 0)) as server:
        assert is_busy(server.getsockname()[1])


def test_a_port_bound_but_not_listening_is_busy() -> None:
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        assert is_busy(holder.getsockname()[1])


def test_a_port_is_free_again_after_its_connections_closed(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    client = socket.create_connection((HOST, port))
    server, _ = listener.accept()
    server.close()  # the side that closes first leaves TIME_WAIT behind
    client.close()
    listener.close()
    assert not is_busy(port)


def _free() -> int:
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])
