"""The ports of the stack: where each comes from, and a clear word if one is taken."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from demo.errors import DemoError, PortBusy

HOST = "127.0.0.1"
"""Everything listens here and nowhere else."""


@dataclass(frozen=True)
class Ports:
    """One port per server. Airflow's log servers are not started: all logs are local files."""

    airflow: int = 8080
    aws: int = 5055
    receiver: int = 8090

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Ports:
        """The defaults, moved by `REMIT_PORT`, `REMIT_AWS_PORT` and `REMIT_RECEIVER_PORT`.

        Raises:
            DemoError: a value is not a port, or two servers were given the same one.
        """
        ports = cls(
            **{
                name: _number(variable, text)
                for name, (variable, _) in _PORTS.items()
                if (text := environment.get(variable, "").strip())
            }
        )
        taken: dict[int, str] = {}
        for name, (variable, _) in _PORTS.items():
            number = getattr(ports, name)
            if number in taken:
                raise DemoError(f"{taken[number]} and {variable} are both {number}: each needs one")
            taken[number] = variable
        return ports

    def check(self) -> None:
        """Raise `PortBusy`, naming the port, its use and the variable that moves it."""
        for name, (variable, purpose) in _PORTS.items():
            number = getattr(self, name)
            if is_busy(number):
                raise PortBusy(
                    f"port {number} ({purpose}) is in use: set {variable} to a free one, "
                    f"such as {variable}={number + 10000 if number < 50000 else number - 10000}"
                )


_PORTS = {
    "airflow": ("REMIT_PORT", "Airflow's UI and API, and the trigger hook"),
    "aws": ("REMIT_AWS_PORT", "the local AWS"),
    "receiver": ("REMIT_RECEIVER_PORT", "the webhook receiver"),
}


def is_busy(port: int) -> bool:
    """Whether something listens on that port of the loopback address, or on all addresses."""
    # Some systems let one bind 127.0.0.1 although another process listens on all addresses, and
    # some listeners have a full backlog: so both a connection and a bind are tried.
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((HOST, port)) == 0:
            return True
    with socket.socket() as probe:
        # Connections of an earlier run that linger in TIME_WAIT do not make a port busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def _number(variable: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1024 <= int(text) <= 65535:
        raise DemoError(f"{variable} is {text!r}: it must be a port number from 1024 to 65535")
    return int(text)
