"""Both stand-ins in one process: `python -m benchmarks.standins --dynamodb 0 --s3 0`.

Prints one line of JSON with their URLs when they are ready, and stops on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import signal
import sys
from collections.abc import Sequence

from benchmarks.standins.dynamodb.api import DynamoDb
from benchmarks.standins.faults import FaultPlan, Faults
from benchmarks.standins.http import Server
from benchmarks.standins.s3.api import S3
from benchmarks.standins.s3.contents import Counting, Keeping
from benchmarks.standins.s3.faults import UploadFaultPlan, UploadFaults

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; returns the exit status."""
    options = _options(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # for all threads: this one waits for them
    gc.disable()  # items refer to nothing but their values: a collection would only be a pause
    faults = Faults(FaultPlan(**json.loads(options.faults)))
    upload_faults = UploadFaults(UploadFaultPlan(**json.loads(options.s3_faults)))
    storage = Counting() if options.counting else Keeping()
    dynamodb = DynamoDb(faults=faults)
    s3 = S3(storage, upload_faults)
    with (
        Server(dynamodb.handle, options.dynamodb, "dynamodb") as dynamodb_server,
        Server(s3.handle, options.s3, "s3") as s3_server,
    ):
        print(json.dumps({"dynamodb": dynamodb_server.url, "s3": s3_server.url}), flush=True)
        signal.sigwait(_SIGNALS)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.standins", description=__doc__)
    parser.add_argument("--dynamodb", type=int, default=0, metavar="PORT", help="0: any")
    parser.add_argument("--s3", type=int, default=0, metavar="PORT", help="0: any")
    parser.add_argument(
        "--counting", action="store_true", help="checksum the bodies of objects, do not keep them"
    )
    parser.add_argument("--faults", default="{}", metavar="JSON", help="members of FaultPlan")
    parser.add_argument(
        "--s3-faults", default="{}", metavar="JSON", help="members of UploadFaultPlan"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
