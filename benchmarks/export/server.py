"""The table behind the benchmark, as a process of its own: `python -m benchmarks.export.server`.

A stand-in for DynamoDB whose `Payments` are made as they are asked for, beside the empty tables
that an export needs. Prints its URL as one line of JSON when it is ready; stops on SIGTERM or
SIGINT.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Sequence

import botocore.session

from benchmarks.export.dataset import TABLE, PaymentPages
from benchmarks.export.shapes import SHAPES
from benchmarks.standins.dynamodb.api import DynamoDb
from benchmarks.standins.faults import FaultPlan, Faults
from benchmarks.standins.http import Server
from remit.aws.cloudformation import apply
from remit.aws.session import Aws

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal; returns the exit status."""
    options = _options(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # for all threads: this one waits for them
    faults = Faults()
    dynamodb = DynamoDb(faults=faults)
    with Server(dynamodb.handle, 0, "dynamodb") as server:
        apply(aws_at(server.url, options.s3), {})
        pages = PaymentPages(options.rows, options.shape, options.partitions)
        pages.warm_up(keep=options.keep)
        dynamodb.tables.mount(TABLE, pages)
        faults.plan = FaultPlan(**json.loads(options.faults))
        print(json.dumps({"dynamodb": server.url}), flush=True)
        signal.sigwait(_SIGNALS)
    return 0


def aws_at(dynamodb: str, s3: str) -> Aws:
    """AWS behind these endpoints, with credentials that are worth nothing anywhere else."""
    session = botocore.session.Session()
    session.set_credentials("testing", "testing")
    return Aws(session, "us-east-1", {"dynamodb": dynamodb, "s3": s3})


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export.server", description=__doc__)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="nested")
    parser.add_argument("--partitions", type=int, default=1, help="of the index, see PaymentPages")
    parser.add_argument("--keep", action="store_true", help="all pages in memory, made before")
    parser.add_argument("--s3", required=True, metavar="URL", help="the stand-in for S3")
    parser.add_argument("--faults", default="{}", metavar="JSON", help="members of FaultPlan")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
