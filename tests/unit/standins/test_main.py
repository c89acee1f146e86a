from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from tests.support.process import ROOT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_are_served_until_a_signal(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "benchmarks.standins", "--counting"]
    faults = ["--faults", '{"throttle_every": 2}']
    with subprocess.Popen([*command, *faults], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline())
        assert urls.keys() == {"dynamodb", "s3"}
        for url in urls.values():
            address = urlsplit(url)
            socket.create_connection((address.hostname, address.port), timeout=5).close()
        process.send_signal(number)
        assert process.wait(10) == 0
