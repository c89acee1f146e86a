"""The walk that `make demo` takes: for each format, from a merchant's token to a checked file.

mint a token ► ask for the export ► wait ► download ► check ► find the webhook

What a merchant does, it does with `remit.client`.
"""

from __future__ import annotations

import hashlib
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from demo import seed
from demo.client import eventually, expect_status, merchant_client, send
from demo.errors import CheckFailed
from demo.files import FORMATS, check_rows
from demo.info import StackInfo
from demo.loopback import loopback
from demo.stack import Stack
from remit.client import ClientError, ExportHandle

EXPORT_SECONDS = 120
WEBHOOK_SECONDS = 90
"""Bounds for a slow machine. Both take a few seconds on two cores."""


@dataclass(frozen=True)
class Exported:
    """One finished export, as the last line of the demo reports it."""

    export_id: str
    format: str
    rows: int
    bytes: int
    sha256: str
    seconds_to_link: float


def walk(stack: Stack) -> dict[str, Any]:
    """Export one merchant's month in each format and check everything about it.

    Raises:
        DemoError: something is not as it should be.
    """
    print("Airflow is up; letting the first scheduled runs finish")
    stack.settle()
    print("\nAsking for three exports of January 2026, one format and one merchant each:\n")
    pairs = zip(FORMATS, seed.MERCHANTS, strict=True)
    exports = [_export(stack, form, merchant.id) for form, merchant in pairs]
    verified = [_verified_webhook(stack, exported.export_id) for exported in exports]
    _print_summary(exports, len(verified))
    return {
        "exports": [asdict(exported) for exported in exports],
        "webhooks_verified": len(verified),
    }


def _export(stack: Stack, form: str, merchant_id: str) -> Exported:
    """One export from the request to the checked file."""
    client = merchant_client(stack.info, merchant_id)
    expected = stack.seed.payments_between(merchant_id, *seed.MONTH)
    asked_at = time.monotonic()
    export = client.export(*seed.MONTH, format=form)
    progress = _Progress(f"{form:<8} {merchant_id}  {export.id}")

    def look(document: dict[str, Any]) -> None:
        stack.check()
        progress.show(document["status"])

    try:
        export.wait(look, EXPORT_SECONDS).link(1)
        seconds_to_link = time.monotonic() - asked_at
        exported = _checked(export, stack.directory / "downloads", seconds_to_link, expected)
    except (CheckFailed, ClientError) as failure:
        progress.end("failed")
        log = _task_log(stack.info, "export_payments", export.id)
        raise CheckFailed(f"{form} ({export.id}): {failure}", log) from failure
    progress.end(f"{exported.rows:,} rows checked, link after {seconds_to_link:.1f} s")
    return exported


def _checked(
    export: ExportHandle, folder: Path, seconds_to_link: float, expected: list[seed.Record]
) -> Exported:
    """Download the file and hold it against its manifest, its status and the seeded records. The
    client has compared its checksum; here it is made once more."""
    (path,) = export.download(f"{folder}/")
    content = path.read_bytes()
    document, (file,) = export.document, export.manifest()["files"]
    rows = check_rows(document["format"], content, expected)
    digest = hashlib.sha256(content).hexdigest()
    for source, claimed in (
        ("the manifest", {**file, "sha256": file["checksums"]["sha256"]}),
        ("the status", {**document, "sha256": document["checksum"]["sha256"]}),
    ):
        for name, actual in {"rows": rows, "bytes": len(content), "sha256": digest}.items():
            if claimed[name] != actual:
                raise CheckFailed(f"{source} says {name} {claimed[name]!r}, the file {actual!r}")
    return Exported(
        export_id=export.id,
        format=document["format"],
        rows=rows,
        bytes=len(content),
        sha256=digest,
        seconds_to_link=round(seconds_to_link, 3),
    )


def _verified_webhook(stack: Stack, export_id: str) -> dict[str, Any]:
    """The delivery that told the merchant about an export; its signatures were verified."""
    received = f"{stack.info.receiver_url}/received"
    client = loopback()

    def look() -> dict[str, Any] | None:
        stack.check()
        answer = send(client, "GET", received)
        expect_status(answer, 200)
        document = answer.json()
        for refused in document["refused"]:
            raise CheckFailed(f"the receiver refused a webhook: {refused}")
        return next((d for d in document["verified"] if _announces(d["event"], export_id)), None)

    try:
        delivery: dict[str, Any] = eventually(
            look, f"the webhook of {export_id} has not arrived", WEBHOOK_SECONDS
        )
    except CheckFailed as failure:
        raise CheckFailed(str(failure), _task_log(stack.info, "deliver_webhooks", "")) from failure
    return delivery


def _announces(event: dict[str, Any], export_id: str) -> bool:
    return event["type"] == "export.completed" and event["data"]["export_id"] == export_id


def _task_log(info: StackInfo, dag_id: str, run: str) -> Path:
    """The newest log of a task of that DAG whose run id contains `run`, or the scheduler's."""
    runs = (info.directory / "airflow" / "logs").glob(f"dag_id={dag_id}/run_id=*{run}*")
    logs = [path for directory in runs for path in directory.rglob("*.log")]
    return max(logs, key=lambda path: path.stat().st_mtime, default=info.logs / "scheduler.log")


def _print_summary(exports: list[Exported], webhooks: int) -> None:
    print(f"\n{'format':<8} {'rows':>6} {'bytes':>9} {'link after':>10}  sha256")
    for e in exports:
        print(f"{e.format:<8} {e.rows:>6,} {e.bytes:>9,} {e.seconds_to_link:>8.1f} s  {e.sha256}")
    print(f"{webhooks} webhooks received, every signature verified.\n")


class _Progress:
    """One line per export: rewritten in place on a terminal, a new line per change elsewhere."""

    def __init__(self, head: str) -> None:
        self._head = head
        self._in_place = sys.stdout.isatty()
        self._started = time.monotonic()
        self._shown = ""

    def show(self, status: str) -> None:
        """Show the status, and on a terminal how long it has taken so far."""
        if self._in_place:
            self._rewrite(f"{status} {time.monotonic() - self._started:.1f} s")
        elif status != self._shown:
            print(f"{self._head}  {status}", flush=True)
        self._shown = status

    def end(self, outcome: str) -> None:
        """Show the outcome and end the line."""
        if self._in_place:
            self._rewrite(outcome)
            print()
        else:
            print(f"{self._head}  {outcome}", flush=True)

    def _rewrite(self, text: str) -> None:
        print(f"\r\x1b[K{self._head}  {text}", end="", flush=True)
