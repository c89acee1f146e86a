"""Whatever goes wrong on the way, a download is the right file, or an error and no file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import requests
from hypothesis import given
from hypothesis import strategies as st

from remit.client import ClientError, RetryPolicy
from tests.unit.client.scripts import Reply, Script, broken, client_of
from tests.unit.client.test_client_download import LINK, completed, file_entry

CONTENT = bytes(range(256)) * 2
OTHER = CONTENT[::-1]

BREAKS = st.one_of(
    st.integers(0, len(CONTENT) - 1).map(lambda at: ("cut off", at)),
    st.integers(0, len(CONTENT) - 1).map(lambda at: ("ends early", at)),
)
FAULTS = st.one_of(
    BREAKS,
    st.sampled_from([400, 403, 404, 412, 416, 429, 500, 503]).map(lambda one: ("status", one)),
    st.just(("no ranges", 0)),
    st.just(("reset", 0)),
    st.just(("made anew", 0)),
    st.just(("damaged", 0)),
)


class FaultyS3(Script):
    """A hook whose S3 has these faults, one for each request, and none any more in the end."""

    def __init__(self, faults: list[tuple[str, int]]) -> None:
        super().__init__()
        self.faults = list(faults)
        self.content = CONTENT
        self.version = 1

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self.steps.append(self._step(request))
        return super().send(request, **options)

    def _step(self, request: requests.PreparedRequest) -> Reply | Exception:
        url = str(request.url)
        if url.startswith("https://hook.test"):
            return LINK if "download" in url else completed(file_entry(self.content))
        fault, number = self.faults.pop(0) if self.faults else ("none", 0)
        if fault == "reset":
            return broken()
        if fault == "status":
            return Reply(number)
        if fault == "made anew":
            self.content, self.version = OTHER, self.version + 1
            return Reply(404)
        return self._answer(request, fault, number)

    def _answer(self, request: requests.PreparedRequest, fault: str, number: int) -> Reply:
        etag, content = f'"{self.version}"', self.content
        if request.headers.get("If-Match", etag) != etag:
            return Reply(412)
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        status, said = 200, {"ETag": etag}
        if start and fault != "no ranges":
            status = 206
            said["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content = content[start:]
        body = content
        if fault in {"cut off", "ends early"}:
            body = content[:number]
        if fault == "damaged":
            body = bytes(byte ^ 1 for byte in content)
        return Reply(status, body, said, length=len(content) if fault == "cut off" else len(body))


@given(st.lists(FAULTS, max_size=12))
def test_a_download_is_the_right_file_or_an_error_and_no_file(
    faults: list[tuple[str, int]],
) -> None:
    script = FaultyS3(faults)
    client = client_of(script, retries=RetryPolicy(tries=5))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.csv"
        try:
            client.get_export("export-1").download(target)
        except ClientError:
            assert list(Path(folder).iterdir()) == []
        else:
            assert target.read_bytes() == script.content
            assert [path.name for path in Path(folder).iterdir()] == ["out.csv"]
    assert all(
        "Authorization" not in one.headers for one in script.asked if "s3.test" in str(one.url)
    )


@given(st.lists(BREAKS, max_size=20))
def test_what_only_breaks_comes_to_its_end(faults: list[tuple[str, int]]) -> None:
    script = FaultyS3([(fault, max(at, 1)) for fault, at in faults])
    with tempfile.TemporaryDirectory() as folder:
        (path,) = client_of(script).get_export("export-1").download(f"{folder}/")
        assert path.read_bytes() == CONTENT
