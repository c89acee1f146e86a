from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import requests
from awscrt import checksums

from remit.client import (
    DownloadFailed,
    ExportExpired,
    ExportHandle,
    FileDamaged,
    NotFound,
    RetryPolicy,
)
from remit.client import download as downloads
from tests.unit.client.scripts import (
    HOOK,
    S3,
    Reply,
    Script,
    Step,
    Time,
    broken,
    client_of,
    export_document,
    problem,
    reply,
)

CONTENT = b"0123456789" * 5
LINK = Reply(307, b"", {"Location": S3})
DENIED = Reply(403, b"<Error><Code>AccessDenied</Code></Error>")
ETAG = {"ETag": '"e1"'}


def file_entry(content: bytes = CONTENT, **changes: Any) -> dict[str, Any]:
    crc = checksums.crc64nvme(content).to_bytes(8, "big")
    return {
        "name": "payments.csv",
        "rows": 1,
        "bytes": len(content),
        "checksum": {
            "sha256": hashlib.sha256(content).hexdigest(),
            "crc64nvme": base64.b64encode(crc).decode(),
        },
        **changes,
    }


def completed(*files: dict[str, Any], **members: Any) -> Reply:
    return reply(export_document("completed", files=list(files or [file_entry()]), **members))


def whole(content: bytes = CONTENT) -> Reply:
    return Reply(200, content, ETAG)


def cut_off(content: bytes, of: int = len(CONTENT), status: int = 200, **headers: str) -> Reply:
    return Reply(status, content, {**ETAG, **headers}, length=of)


def rest(start: int, content: bytes = CONTENT, end: int | None = None) -> Reply:
    said = f"bytes {start}-{len(content) - 1}/{len(content)}"
    body = content[start:end]
    return Reply(206, body, {**ETAG, "Content-Range": said}, length=len(content) - start)


def export_of(
    script: Script, time: Time | None = None, retries: RetryPolicy | None = None
) -> ExportHandle:
    script.steps.appendleft(completed())
    return client_of(script, time, retries=retries).get_export("export-1")


def ranges(script: Script) -> list[str | None]:
    """`Range` of each request for the file itself."""
    return [
        one.headers.get("Range") for one in script.asked if str(one.url).startswith("https://s3")
    ]


def test_a_file_is_brought_to_its_path(tmp_path: Path) -> None:
    script = Script(completed(), LINK, whole())
    target = tmp_path / "out.csv"
    assert export_of(script).download(target) == [target]
    assert target.read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert [one.url for one in script.asked[2:]] == [
        f"{HOOK}/exports/export-1/download?file=1",
        S3,
    ]


def test_s3_is_not_shown_the_token(tmp_path: Path) -> None:
    script = Script(completed(), LINK, whole())
    export = export_of(script)
    session = requests.Session()
    session.headers["Authorization"] = "Bearer of.the.session"
    session.mount("https://", script)
    export._transport._session = session
    export.download(tmp_path / "out.csv")
    assert script.header("Authorization")[-2:] == ["Bearer head.body.signature", None]
    assert script.header("Accept-Encoding")[-1] == "identity"


def test_what_was_there_is_replaced_when_the_new_file_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_bytes(b"before")
    export_of(Script(completed(), LINK, whole())).download(str(target))
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "wrong"),
    [(CONTENT[:-1] + b"x", "SHA-256 is"), (CONTENT + b"x", "longer than 50 bytes")],
    ids=["another byte", "one byte more"],
)
def test_a_damaged_file_is_an_error_and_leaves_nothing(
    tmp_path: Path, content: bytes, wrong: str
) -> None:
    target = tmp_path / "out.csv"
    target.write_bytes(b"before")
    with pytest.raises(FileDamaged, match=wrong):
        export_of(Script(completed(), LINK, whole(content))).download(target)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert target.read_bytes() == b"before"


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, SystemExit])
def test_whatever_ends_a_download_leaves_nothing_of_it(tmp_path: Path, error: type) -> None:
    def stop(done: int, total: int) -> None:
        assert list(tmp_path.iterdir()), "there is something to leave"
        raise error

    with pytest.raises(error):
        export_of(Script(completed(), LINK, whole())).download(tmp_path / "out.csv", stop)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_goes_on_where_it_was(tmp_path: Path) -> None:
    script, time = Script(completed(), LINK, cut_off(CONTENT[:20]), rest(20)), Time()
    export_of(script, time).download(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == CONTENT
    assert ranges(script) == [None, "bytes=20-"]
    assert script.header("If-Match")[-1] == '"e1"'
    assert time.slept == [0.25]


def test_an_answer_that_ends_early_without_a_word_is_gone_on_with(tmp_path: Path) -> None:
    script = Script(completed(), LINK, whole(CONTENT[:30]), rest(30, end=40), rest(40))
    export_of(script).download(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == CONTENT
    assert ranges(script) == [None, "bytes=30-", "bytes=40-"]


@pytest.mark.parametrize(
    "failure",
    [
        broken(),
        requests.ReadTimeout(),
        Reply(503, b"<Code>SlowDown</Code>"),
        Reply(500),
        Reply(429),
    ],
    ids=["reset", "timeout", "503", "500", "429"],
)
def test_s3_is_asked_again_when_it_fails(tmp_path: Path, failure: Step) -> None:
    script = Script(completed(), LINK, failure, whole())
    export_of(script).download(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == CONTENT


def test_s3_is_waited_for_as_long_as_it_asks(tmp_path: Path) -> None:
    busy = Reply(503, b"", {"Retry-After": "3"})
    script, time = Script(completed(), LINK, busy, whole()), Time()
    export_of(script, time).download(tmp_path / "out.csv")
    assert time.slept == [3.25]


@pytest.mark.parametrize(
    "again",
    [
        [whole()],
        [Reply(412), whole()],
        [Reply(416), whole()],
        [Reply(206, CONTENT[10:], {"Content-Range": "bytes 10-49/50"}), whole()],
        [Reply(206, CONTENT[20:]), whole()],
    ],
    ids=["no ranges", "another object", "shorter now", "another range", "a range unsaid"],
)
def test_what_is_not_the_rest_of_the_file_is_begun_anew(tmp_path: Path, again: list[Step]) -> None:
    script = Script(completed(), LINK, cut_off(CONTENT[:20]), *again)
    export_of(script).download(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == CONTENT
    assert ranges(script)[-1] == ("bytes=20-" if len(again) == 1 else None)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_link_that_has_ended_is_asked_for_again(tmp_path: Path, status: int) -> None:
    over = Reply(status, b"<Error><Code>ExpiredToken</Code></Error>")
    fresh = Reply(307, b"", {"Location": "https://s3.test/fresh"})
    script = Script(completed(), LINK, over, completed(), fresh, whole())
    time = Time()
    export_of(script, time).download(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == CONTENT
    assert script.asked[-1].url == "https://s3.test/fresh"
    assert time.slept == []


def test_a_link_that_ends_in_the_middle_is_gone_on_with_by_a_fresh_one(tmp_path: Path) -> None:
    script = Script(completed(), LINK, cut_off(CONTENT[:20]), DENIED, completed(), LINK, rest(20))
    export_of(script).download(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == CONTENT
    assert ranges(script) == [None, "bytes=20-", "bytes=20-"]


def test_links_that_never_work_are_an_error_that_names_s3_s_code(tmp_path: Path) -> None:
    script = Script(completed(), LINK, DENIED, completed(), LINK, DENIED)
    with pytest.raises(DownloadFailed) as caught:
        export_of(script).download(tmp_path / "out.csv")
    assert str(caught.value) == (
        "payments.csv: GET https://s3.test/bucket/key answered 403 (AccessDenied)"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_was_made_anew_meanwhile_is_begun_anew(tmp_path: Path) -> None:
    other = b"something else"
    script = Script(
        completed(),
        LINK,
        cut_off(CONTENT[:20]),
        Reply(404),
        completed(file_entry(other)),
        LINK,
        whole(other),
    )
    export_of(script).download(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == other


def test_an_export_that_has_expired_meanwhile_says_so(tmp_path: Path) -> None:
    script = Script(completed(), LINK, DENIED, reply(export_document("expired")))
    with pytest.raises(ExportExpired):
        export_of(script).download(tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_tries_without_a_byte_are_bounded_and_the_signature_is_not_shown(tmp_path: Path) -> None:
    script = Script(completed(), LINK, *[broken()] * 3)
    with pytest.raises(DownloadFailed) as caught:
        export_of(script, retries=RetryPolicy(tries=3)).download(tmp_path / "out.csv")
    assert "reset by peer" in str(caught.value)
    assert "signature" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert not script.steps


def test_a_download_that_gets_on_may_break_any_number_of_times(tmp_path: Path) -> None:
    pieces = [rest(start, end=start + 5) for start in range(5, len(CONTENT), 5)]
    script = Script(completed(), LINK, cut_off(CONTENT[:5]), *pieces)
    export_of(script, retries=RetryPolicy(tries=2)).download(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == CONTENT


def test_any_other_answer_of_s3_is_final(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="answered 405"):
        export_of(Script(completed(), LINK, Reply(405))).download(tmp_path / "out.csv")


def test_no_link_is_an_error_of_the_hook(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        export_of(Script(completed(), problem(404))).download(tmp_path / "out.csv")


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    export_of(Script(completed(file_entry(b"")))).download(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == b""


def test_bytes_come_in_pieces_of_a_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "CHUNK_BYTES", 20)
    seen: list[tuple[int, int]] = []
    export = export_of(Script(completed(), LINK, whole()))
    export.download(tmp_path / "out.csv", lambda done, total: seen.append((done, total)))
    assert seen == [(20, 50), (40, 50), (50, 50)]


def test_progress_is_of_all_files_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [file_entry(CONTENT, name="a.csv"), file_entry(CONTENT, name="b.csv")]
    script = Script(completed(*files), LINK, whole(), LINK, whole())
    export_of(script).download(tmp_path, progress=True)
    assert capsys.readouterr().err.splitlines() == [
        "export-1  50 %  downloaded 50 B",
        "export-1  100 %  downloaded 100 B",
    ]


def test_several_files_go_into_a_folder_under_their_own_names(tmp_path: Path) -> None:
    files = [file_entry(b"one", name="p_1.csv"), file_entry(b"two", name="p_2.csv")]
    script = Script(completed(*files), LINK, whole(b"one"), LINK, whole(b"two"))
    found = export_of(script).download(f"{tmp_path}/new/folder/")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "new/folder/p_1.csv",
        "new/folder/p_2.csv",
    ]
    assert [path.read_bytes() for path in found] == [b"one", b"two"]
    assert [str(one.url) for one in script.asked if "download" in str(one.url)] == [
        f"{HOOK}/exports/export-1/download?file={number}" for number in (1, 2)
    ]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("out.parquet", ["out-0001.parquet", "out-0002.parquet"]),
        ("out.csv.gz", ["out-0001.csv.gz", "out-0002.csv.gz"]),
        ("2026.01.csv", ["2026.01-0001.csv", "2026.01-0002.csv"]),
        ("out", ["out-0001", "out-0002"]),
    ],
)
def test_several_files_are_numbered_by_a_name(tmp_path: Path, path: str, names: list[str]) -> None:
    files = [file_entry(b"one"), file_entry(b"two")]
    script = Script(completed(*files), LINK, whole(b"one"), LINK, whole(b"two"))
    export_of(script).download(tmp_path / path)
    assert sorted(found.name for found in tmp_path.iterdir()) == names


def test_the_second_of_two_files_may_fail_and_the_first_stays(tmp_path: Path) -> None:
    files = [file_entry(b"one", name="a"), file_entry(b"two", name="b")]
    script = Script(completed(*files), LINK, whole(b"one"), LINK, whole(b"owt"))
    with pytest.raises(FileDamaged, match="b: its SHA-256"):
        export_of(script).download(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".", "", "a\\b", "a\0b"])
def test_a_name_of_the_hook_leads_out_of_no_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(DownloadFailed, match="is no file name"):
        export_of(Script(completed(file_entry(name=name)))).download(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="there is no folder"):
        export_of(Script(completed())).download(tmp_path / "nowhere" / "out.csv")


COMPOSED = {"sha256": None, "crc64nvme": file_entry()["checksum"]["crc64nvme"]}


def test_a_file_of_several_segments_is_compared_by_its_crc(tmp_path: Path) -> None:
    composed, wrong = file_entry(checksum=COMPOSED), CONTENT[:-1] + b"x"
    export_of(Script(completed(composed), LINK, whole())).download(tmp_path / "a")
    with pytest.raises(FileDamaged, match="its CRC64NVME is"):
        export_of(Script(completed(composed), LINK, whole(wrong))).download(tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def manifest_of(*lengths: int, name: str = "payments.csv", content: bytes = CONTENT) -> Reply:
    segments, start = [], 0
    for length in lengths:
        digest = hashlib.sha256(content[start : start + length]).hexdigest()
        segments.append({"offset": start, "length": length, "sha256": digest})
        start += length
    document = {"files": [{"name": name, "checksums": {"segments": segments}}]}
    return Reply(200, json.dumps(document).encode())


@pytest.fixture
def no_awscrt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of a merchant, who has no awscrt."""
    monkeypatch.setattr("remit.client.checksums.find_spec", lambda _: None)


@pytest.mark.usefixtures("no_awscrt")
@pytest.mark.parametrize("lengths", [(50,), (20, 30), (0, 1, 49), (50, 0)])
def test_without_awscrt_each_segment_is_compared(
    tmp_path: Path, lengths: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "CHUNK_BYTES", 7)
    composed = completed(file_entry(checksum=COMPOSED), manifest_url="/remit/…")
    script = Script(composed, LINK, manifest_of(*lengths), LINK, whole())
    export_of(script).download(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == CONTENT
    assert str(script.asked[2].url).endswith("download?file=manifest")


@pytest.mark.usefixtures("no_awscrt")
@pytest.mark.parametrize(
    ("lengths", "content", "wrong"),
    [
        ((20, 30), CONTENT[:-1] + b"x", "SHA-256 of its segment 2"),
        ((20, 30), b"x" + CONTENT[1:], "SHA-256 of its segment 1"),
        ((20, 29), CONTENT, "longer than its segments"),
        ((20, 31), CONTENT, "shorter than its segments"),
    ],
)
def test_a_damaged_segment_is_named(
    tmp_path: Path, lengths: tuple[int, ...], content: bytes, wrong: str
) -> None:
    composed = completed(file_entry(checksum=COMPOSED), manifest_url="/remit/…")
    script = Script(composed, LINK, manifest_of(*lengths), LINK, whole(content))
    with pytest.raises(FileDamaged, match=wrong):
        export_of(script).download(tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_awscrt")
def test_a_manifest_without_the_file_is_an_error(tmp_path: Path) -> None:
    composed = completed(file_entry(checksum=COMPOSED), manifest_url="/remit/…")
    script = Script(composed, LINK, manifest_of(50, name="another"))
    with pytest.raises(DownloadFailed, match=r"has no payments\.csv"):
        export_of(script).download(tmp_path / "out.csv")


def test_a_file_without_any_checksum_is_compared_by_its_size_and_a_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bare = file_entry(checksum={"sha256": None, "crc64nvme": None})
    export_of(Script(completed(bare), LINK, whole())).download(tmp_path / "out.csv")
    assert "its size alone is compared" in caplog.text
    with pytest.raises(FileDamaged):
        export_of(Script(completed(bare), LINK, whole(CONTENT + b"x"))).download(tmp_path / "b")


def test_a_file_whose_size_nobody_has_written_down_ends_where_its_answer_does(
    tmp_path: Path,
) -> None:
    unsized = file_entry(bytes=None)
    script = Script(completed(unsized), LINK, cut_off(CONTENT[:20]), rest(20))
    seen: list[tuple[int, int]] = []
    export_of(script).download(tmp_path / "out.csv", lambda done, of: seen.append((done, of)))
    assert (tmp_path / "out.csv").read_bytes() == CONTENT
    assert seen == [(20, 0), (50, 0)]


def test_the_manifest_is_read() -> None:
    script = Script(LINK, cut_off(b'{"files"', of=13), rest(8, b'{"files": []}'))
    assert export_of(script).manifest() == {"files": []}


def test_a_target_that_cannot_be_written_is_the_system_s_error(tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()
    (tmp_path / "out.csv" / "payments.csv").mkdir()
    script = Script(completed(), LINK, whole())
    with pytest.raises(OSError, match=r"payments\.csv"):
        export_of(script).download(tmp_path / "out.csv")
    assert [path.name for path in (tmp_path / "out.csv").iterdir()] == ["payments.csv"]
