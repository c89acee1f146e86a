"""Where the files of an export go on the disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from remit.client.errors import DownloadFailed

_COMPRESSED = frozenset({".gz", ".zst"})


def targets(path: str | os.PathLike[str], names: Sequence[str]) -> list[Path]:
    """A path for each of the files.

    A folder (one that is there, or a path that ends with a slash, which is made) has them under
    their own names. Any other path is the name of the only file; several are numbered by it:
    `payments.parquet` is `payments-0001.parquet` and so on.

    Raises:
        DownloadFailed: a name is none, or the folder is not there.
        OSError: the folder cannot be made.
    """
    text = os.fspath(path)
    target = Path(text)
    if text.endswith(("/", os.sep)):
        target.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        return [target / _checked(name) for name in names]
    if not target.parent.is_dir():
        raise DownloadFailed(f"there is no folder {str(target.parent)!r} to put {target.name!r} in")
    if len(names) == 1:
        return [target]
    return [_numbered(target, number) for number in range(1, len(names) + 1)]


def _numbered(target: Path, number: int) -> Path:
    suffixes = target.suffixes
    kept = "".join(suffixes[-2:] if target.suffix in _COMPRESSED else suffixes[-1:])
    return target.with_name(f"{target.name.removesuffix(kept)}-{number:04d}{kept}")


def _checked(name: str) -> str:
    """A file's name, which leads out of no folder."""
    if name in {"", ".", ".."} or "\0" in name or {"/", "\\"} & {*name}:
        raise DownloadFailed(f"{name!r} is no file name: say what the file shall be called")
    return name
