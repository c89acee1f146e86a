"""`python -m demo run|up|down|token`: what `make demo`, `make up`, `make down`, `make token` do."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from demo import REPOSITORY, seed
from demo.errors import DemoError
from demo.info import StackInfo
from demo.ports import Ports
from demo.processes import adopt_orphans, is_running, stop
from demo.signals import Interrupted, raise_on_signals
from demo.stack import GRACE_SECONDS, Stack
from demo.walkthrough import walk


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("verb", choices=["run", "up", "down", "token"])
    parser.add_argument("--merchant", default=seed.MERCHANTS[0].id, help="whose token")
    options = parser.parse_args(arguments)
    raise_on_signals()
    if options.verb == "run":
        return _run()
    try:
        if options.verb == "up":
            _up()
        elif options.verb == "down":
            _down()
        else:
            print(_running().token(options.merchant))
    except DemoError as error:
        _report(error)
        return 1
    except Interrupted as interrupt:
        return interrupt.exit_code
    return 0


def _run() -> int:
    """The walk on a stack of its own. The last line of stdout is one JSON object, come what may."""
    adopt_orphans()
    directory = Path(tempfile.mkdtemp(prefix="remit-demo-"))
    try:
        stack = Stack(directory, Ports.from_environment())
        with stack:
            result = walk(stack)
    except Interrupted as interrupt:
        shutil.rmtree(directory, ignore_errors=True)
        error = f"interrupted by {interrupt}, everything is stopped"
        return _last_line(interrupt.exit_code, {"status": "failed", "error": error})
    except Exception as error:  # noqa: BLE001 - the last line is promised, whatever happens
        _report(error)
        if any(directory.iterdir()):
            print(f"All logs are in {directory / 'logs'}", file=sys.stderr)
        else:
            directory.rmdir()
        return _last_line(1, {"status": "failed", "error": _headline(error)})
    shutil.rmtree(directory, ignore_errors=True)
    return _last_line(0, {"status": "ok", **result})


def _up() -> None:
    directory = _directory()
    if (info := StackInfo.load(directory)) is not None:
        if all(map(is_running, info.processes)):
            print("The stack is already up; `make down` stops it.")
            _welcome(info)
            return
        stop(info.processes, GRACE_SECONDS)  # what is left of one that broke
    _welcome(Stack(directory, Ports.from_environment()).start())


def _down() -> None:
    info = StackInfo.load(_directory())
    if info is None:
        print("Nothing to stop: no stack was started here with `make up`.")
        return
    stop(info.processes, GRACE_SECONDS)
    info.forget()
    print(f"Stopped. The logs of that run stay in {info.logs}")


def _running() -> StackInfo:
    info = StackInfo.load(_directory())
    if info is None or not all(map(is_running, info.processes)):
        raise DemoError("no stack is up: start one with `make up`")
    return info


def _directory() -> Path:
    return Path(os.environ.get("REMIT_RUN_DIR", REPOSITORY / ".run")).resolve()


def _welcome(info: StackInfo) -> None:
    merchant = seed.MERCHANTS[0].id
    token = info.token(merchant)
    first, last = seed.MONTH
    print(
        f"""
Airflow    {info.airflow_url}   (user admin, password {info.airflow_password})
Webhooks   {info.receiver_url}/received   (what the merchants' receiver got)
AWS        {info.aws_url}
Logs       {info.logs}

A token for {merchant}, good for an hour (`make token` prints a new one):

{token}

An export of its payments of {first:%B %Y}:

curl -X POST '{info.hook_url}/payments/export?start_date={first}&end_date={last}&format=csv' \\
  -H 'Authorization: Bearer {token}'

The answer's check_url leads on. `make down` stops everything.
"""
    )


def _report(error: Exception) -> None:
    sys.stdout.flush()
    if not isinstance(error, DemoError):
        traceback.print_exception(error)  # nobody expected it: show where it comes from
        return
    print(f"\nFailed: {error}", file=sys.stderr)
    if tail := error.log_tail():
        print(f"\nThe end of {error.log}:\n{tail}\n", file=sys.stderr)


def _headline(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _last_line(exit_code: int, result: dict[str, object]) -> int:
    sys.stderr.flush()
    print(json.dumps(result), flush=True)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
