"""`python -m remit export`: ask for an export, wait for it, and bring its files to the disk.

It calls a hook as any merchant's program does. Where that is, `--url` or `REMIT_URL` says; the
token is in the file that `--token-file` names, or in `REMIT_TOKEN`, as a process's arguments are
for all to see. The first line of the output has the export's id: `--id` takes it up again.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remit.commands.command import show
from remit.errors import ConfigurationError, FieldError, InvalidRequest

if TYPE_CHECKING:  # requests is slow to import
    from remit.client import ExportHandle, RemitClient

HELP = "ask a hook for an export, wait for it, download its files"

NO_FILES = 3
"""Exit status: the export failed, was canceled or has expired."""
NOT_IN_TIME = 4
"""Exit status: `--timeout` is over, and the export goes on. Any other error is 1."""

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM

_OPTIONS = (
    "format",
    "report",
    "timezone",
    "columns",
    "status",
    "currency",
    "customer_id",
    "min_amount",
    "max_amount",
    "compression",
    "split_rows",
)
"""Fields of a request beside its range. What is not given is not sent: the hook knows the default.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The request, where the files go, and where the hook is."""
    parser.add_argument("--start", help="the first day, or an instant: 2026-01-01")
    parser.add_argument("--end", help="the last day, whole, or an instant, exclusive: 2026-01-31")
    parser.add_argument("--id", help="no new export: take this one up again")
    parser.add_argument("--format", help="csv (unless given), json, parquet or xlsx")
    parser.add_argument("--report", help="payments unless given")
    parser.add_argument("--timezone", help="of days: UTC unless given")
    parser.add_argument("--columns", help="names, by commas")
    parser.add_argument("--status", help="only records of this status")
    parser.add_argument("--currency", help="only records in this currency")
    parser.add_argument("--customer-id", help="only records of this customer")
    parser.add_argument("--min-amount", type=int, help="in minor units")
    parser.add_argument("--max-amount", type=int, help="in minor units")
    parser.add_argument("--compression", help="gzip or zstd, of csv and json")
    parser.add_argument("--split-rows", type=int, help="at most so many rows in a file")
    parser.add_argument(
        "--out",
        default=".",
        help="the file, or a folder for it; several files are numbered. The working folder unless "
        "given",
    )
    parser.add_argument("--timeout", type=float, help="wait so many seconds at the most")
    parser.add_argument("--url", help="the hook: https://payments.example/remit; or REMIT_URL")
    parser.add_argument(
        "--allow-http",
        action="store_true",
        help="send the token by http to another host, in a network that nobody listens to",
    )
    parser.add_argument("--token-file", help="a file with the token; or REMIT_TOKEN")


def run(options: argparse.Namespace) -> None:
    """Ask, wait and download.

    Raises:
        RemitError: it did not work out.
        SystemExit: the same, with a status of its own; or it was interrupted.
    """
    from remit.client import ExportNotCompleted, RemitClient, WaitTimedOut

    request = _request(options)
    url, token = _place(options), _token(options)
    _check_folder(options.out)
    client = RemitClient(url, token, allow_http=options.allow_http)
    with _ended_by_sigterm():
        try:
            _export(client, options, request)
        except OSError as error:
            raise ConfigurationError(f"--out {options.out}: {error}") from None
        except (ExportNotCompleted, WaitTimedOut) as error:
            _say(str(error))
            status = NOT_IN_TIME if isinstance(error, WaitTimedOut) else NO_FILES
            raise SystemExit(status) from None


def _export(client: RemitClient, options: argparse.Namespace, request: Mapping[str, Any]) -> None:
    taken_up = "without an id: the export may have been asked for all the same"
    try:
        export = _asked(client, options, request)
        taken_up = f"the export goes on: take it up again with --id {export.id}"
        show({"export_id": export.id, "status": export.document["status"]})
        sys.stdout.flush()
        export.wait(progress=True, timeout=options.timeout)
        files = export.download(options.out, progress=True)
    except KeyboardInterrupt:
        _say(f"interrupted, {taken_up}")
        raise SystemExit(INTERRUPTED) from None
    done = {name: export.document[name] for name in ("export_id", "status", "rows", "bytes")}
    show({**done, "files": [str(file) for file in files]})


def _asked(
    client: RemitClient, options: argparse.Namespace, request: Mapping[str, Any]
) -> ExportHandle:
    if options.id is not None:
        return client.get_export(options.id)
    return client.export(options.start, options.end, **request)


def _request(options: argparse.Namespace) -> dict[str, Any]:
    """The fields that are given, beside the range.

    Raises:
        InvalidRequest: there is a request and an export to take up, or neither is whole.
    """
    given = {name: getattr(options, name) for name in _OPTIONS}
    request = {name: value for name, value in given.items() if value is not None}
    if options.id is not None:
        ranged = {"start": options.start, "end": options.end, **request}
        wrong = [name for name, value in ranged.items() if value is not None]
        allowed = "without --id, which takes up an export that was asked for"
        errors = [FieldError(_flag(name), "it is for a new export", allowed) for name in wrong]
    else:
        missing = [name for name in ("start", "end") if getattr(options, name) is None]
        allowed = "a day or an instant, or --id"
        errors = [FieldError(_flag(name), "missing", allowed) for name in missing]
    if errors:
        raise InvalidRequest(*errors)
    if "columns" in request:
        request["columns"] = request["columns"].split(",")
    return request


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _place(options: argparse.Namespace) -> str:
    if not (url := options.url or os.environ.get("REMIT_URL", "")):
        raise ConfigurationError("where the hook is, is not said: --url, or REMIT_URL")
    return str(url)


def _token(options: argparse.Namespace) -> str | Callable[[], str]:
    if options.token_file is None:
        if not (token := os.environ.get("REMIT_TOKEN", "").strip()):
            raise ConfigurationError("there is no token: --token-file, or REMIT_TOKEN")
        return token

    def fresh() -> str:
        """It is read again when a token has ended: whoever renews it writes it there."""
        try:
            return Path(options.token_file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"--token-file cannot be read: {error}") from None

    return fresh


def _check_folder(out: str) -> None:
    """Before anything is asked for: an export that nobody can store helps nobody."""
    path = Path(out)
    folder = path if path.is_dir() or out.endswith("/") else path.parent
    if not out.endswith("/") and not folder.is_dir():
        raise ConfigurationError(f"--out {out}: there is no folder {str(folder)!r}")
    if folder.is_dir() and not os.access(folder, os.W_OK):
        raise ConfigurationError(f"--out {out}: the folder {str(folder)!r} cannot be written to")


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the block in good order, so that nothing is left of half a file."""

    def end(*_: object) -> None:
        raise SystemExit(TERMINATED)

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _say(text: str) -> None:
    print(f"remit export: {text}", file=sys.stderr)
