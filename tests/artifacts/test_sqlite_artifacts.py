"""Artifacts as blobs in the database file."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nbtrack.artifacts import ArtifactStore, PutFiles, sha256, sqlite
from nbtrack.artifacts import incoming as module
from nbtrack.artifacts.encoding import CHUNK
from nbtrack.errors import IntegrityError, InvalidParameterError, NotFoundError
from nbtrack.tracking import Client

INCOMPRESSIBLE = random.Random(0).randbytes(2 * CHUNK + 17)


@pytest.fixture
def run_id(client: Client) -> str:
    return client.start_run("a-run").run_id


@pytest.fixture
def artifacts(client: Client) -> ArtifactStore:
    return client.workspace.artifacts


def change(path: Path, sql: str, *args: object) -> None:
    conn = sqlite3.connect(path)
    conn.execute("PRAGMA foreign_keys = OFF")
    assert conn.execute(sql, args).rowcount > 0
    conn.commit()
    conn.close()


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    conn = sqlite3.connect(path)
    try:
        return conn.execute(sql).fetchall()
    finally:
        conn.close()


def put(artifacts: ArtifactStore, run_id: str, **files: bytes) -> None:
    artifacts.put(run_id, files)


def test_a_run_of_earlier_has_its_paths(client: Client, artifacts: ArtifactStore) -> None:
    """Also one that began here, and was forgotten meanwhile."""
    first = client.start_run().run_id
    put(artifacts, first, a=b"1")
    client.flush()
    for _ in range(sqlite._MAX_RUNS + 1):
        put(artifacts, client.start_run().run_id, a=b"1")
    with pytest.raises(InvalidParameterError, match="'A'"):
        put(artifacts, first, A=b"2")


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=2_000))
@example(data=b"")
@example(data=b"a" * (3 * CHUNK))
@example(data=INCOMPRESSIBLE)
@example(data=INCOMPRESSIBLE[:CHUNK])
@example(data=b"\0" * CHUNK + INCOMPRESSIBLE[: CHUNK // 2])
@example(data=INCOMPRESSIBLE[:CHUNK] + b"a" * CHUNK)
def test_bytes_come_back(artifacts: ArtifactStore, run_id: str, data: bytes) -> None:
    put(artifacts, run_id, file=data)
    assert artifacts.read(run_id, "file") == data
    (info,) = artifacts.list(run_id)
    assert (info.path, info.digest, info.size_bytes) == ("file", sha256(data), len(data))


def test_compressed_where_it_pays_and_in_chunks(
    artifacts: ArtifactStore, run_id: str, client: Client
) -> None:
    put(artifacts, run_id, raw=INCOMPRESSIBLE, text=b"abc" * CHUNK)
    client.flush()
    assert dict(
        rows(client.path, "SELECT path, encoding FROM artifacts JOIN blobs USING (digest)")
    ) == {
        "raw": "raw",
        "text": "zstd",
    }
    sizes = rows(
        client.path,
        "SELECT seq, length(data) FROM blob_chunks JOIN artifacts USING (digest)"
        " WHERE path = 'raw' ORDER BY seq",
    )
    assert sizes == [(0, CHUNK), (1, CHUNK), (2, 17)]


def test_bytes_are_kept_once(artifacts: ArtifactStore, run_id: str, client: Client) -> None:
    other = client.start_run().run_id
    put(artifacts, run_id, a=b"same", b=b"same")
    put(artifacts, other, a=b"same")
    assert artifacts.read(other, "a") == b"same"
    assert rows(client.path, "SELECT count(*) FROM blobs") == [(1,)]
    assert rows(client.path, "SELECT count(*) FROM artifacts") == [(3,)]


def test_a_file_is_overwritten(artifacts: ArtifactStore, run_id: str) -> None:
    put(artifacts, run_id, a=b"1")
    put(artifacts, run_id, a=b"2")
    assert artifacts.read(run_id, "a") == b"2"
    assert len(artifacts.list(run_id)) == 1


def test_compressing_happens_off_the_callers_thread(
    artifacts: ArtifactStore, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def watched(data: bytes) -> str:
        threads.append(threading.current_thread().name)
        return sha256(data)

    monkeypatch.setattr(module, "sha256", watched)
    artifacts.put(run_id, {"a": b"1"})
    artifacts.list(run_id)
    assert threads == ["nbtrack-writer"]


def test_listing_below_a_path(artifacts: ArtifactStore, run_id: str) -> None:
    files = {"a/x": b"1", "a/y/z": b"2", "ab": b"3", "a%": b"4"}
    artifacts.put(run_id, files)
    assert [file.path for file in artifacts.list(run_id)] == ["a%", "a/x", "a/y/z", "ab"]
    for path in ("a", "a/", "/a"):
        assert [file.path for file in artifacts.list(run_id, path)] == ["a/x", "a/y/z"]
    assert [file.path for file in artifacts.list(run_id, "ab")] == ["ab"]
    assert artifacts.list(run_id, "%") == []
    assert artifacts.list("f" * 32) == []


@pytest.mark.parametrize("path", ["../outside", "/outside", "a\0b", "half\ud83d"])
def test_hostile_paths_store_nothing(client: Client, path: str) -> None:
    run_id = client.start_run().run_id
    artifacts = client.workspace.artifacts
    with pytest.raises(InvalidParameterError, match="is no path for an artifact"):
        artifacts.put(run_id, {"good": b"1", path: b"2"})
    assert artifacts.list(run_id) == []
    assert rows(client.path, "SELECT count(*) FROM blobs") == [(0,)]


@pytest.mark.parametrize("path", ["../outside", "/outside", "a\0b", "half\ud83d"])
def test_hostile_paths_in_a_journal_store_nothing(client: Client, path: str) -> None:
    """What is unpacked may come from anywhere."""
    run_id = client.start_run().run_id
    client.workspace.writer.submit(PutFiles(run_id, {"good": b"1", path: b"2"}))
    with pytest.warns(UserWarning, match="is no path for an artifact"):
        client.flush()
    assert client.workspace.artifacts.list(run_id) == []
    assert rows(client.path, "SELECT count(*) FROM blobs") == [(0,)]


def test_what_was_handed_over_may_change_afterwards(artifacts: ArtifactStore, run_id: str) -> None:
    files = {"a": b"1"}
    artifacts.put(run_id, files)
    files["a"] = b"2"
    assert artifacts.read(run_id, "a") == b"1"


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(files=st.dictionaries(st.text("ab", min_size=1), st.binary(max_size=100), max_size=5))
def test_a_record_comes_back_from_its_packed_form(files: dict[str, bytes]) -> None:
    record = PutFiles("r", files)
    assert PutFiles.unpack(json.loads(json.dumps(record.pack())), record.blobs) == record


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE blob_chunks SET data = CAST('garbage' AS BLOB)", "cannot be read"),
        ("UPDATE blob_chunks SET data = substr(data, 1, length(data) - 5)", "do not match"),
        ("DELETE FROM blob_chunks", "cannot be read"),
        ("UPDATE blobs SET encoding = 'raw'", "do not match sha256:"),
        ("UPDATE blobs SET size_bytes = 10", "cannot be read"),
        ("UPDATE blobs SET size_bytes = 1000000000000", "cannot be read"),
    ],
)
def test_damaged_bytes_are_never_handed_out(
    artifacts: ArtifactStore, run_id: str, client: Client, sql: str, why: str
) -> None:
    put(artifacts, run_id, file=b"abc" * 1000)
    client.flush()
    change(client.path, sql)
    with pytest.raises(IntegrityError, match=why) as caught:
        artifacts.read(run_id, "file")
    assert "artifact 'file' of run" in caught.value.message


def test_other_bytes_are_never_handed_out(
    artifacts: ArtifactStore, run_id: str, client: Client
) -> None:
    put(artifacts, run_id, raw=INCOMPRESSIBLE, packed=b"abc" * 1000)
    client.flush()
    change(
        client.path,
        "UPDATE blob_chunks SET data = ? WHERE digest = ?",
        zstandard.compress(b"abd" * 1000),
        sha256(b"abc" * 1000),
    )
    change(client.path, "DELETE FROM blob_chunks WHERE seq = 1")
    for name in ("raw", "packed"):
        with pytest.raises(IntegrityError, match="do not match sha256:") as caught:
            artifacts.read(run_id, name)
        assert caught.value.hint == "Take the database from a backup."


def test_a_frame_that_claims_to_be_huge_gets_no_memory(
    artifacts: ArtifactStore, run_id: str, client: Client
) -> None:
    put(artifacts, run_id, file=b"abc" * 1000)
    client.flush()
    # A frame's header: magic, descriptor for a size of 8 bytes, then 2**50 bytes.
    bomb = b"\x28\xb5\x2f\xfd\xe0" + (2**50).to_bytes(8, "little") + b"\0" * 20
    assert zstandard.frame_content_size(bomb) == 2**50
    change(client.path, "UPDATE blob_chunks SET data = ?", bomb)
    with pytest.raises(IntegrityError, match="its size is not what was noted"):
        artifacts.read(run_id, "file")


def test_download(artifacts: ArtifactStore, run_id: str, tmp_path: Path) -> None:
    artifacts.put(run_id, {"a/x": b"1", "a/y/z": b"2", "b": b"3"})
    target = tmp_path / "out"
    assert artifacts.download(run_id, "a", target) == target / "a"
    found = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    assert found == {"a/x", "a/y/z"}
    assert artifacts.download(run_id, "b", target).read_bytes() == b"3"
    assert artifacts.download(run_id, "", tmp_path / "all") == tmp_path / "all"
    assert (tmp_path / "all" / "a" / "y" / "z").read_bytes() == b"2"


@pytest.mark.parametrize("path", ["../outside", "/absolute/outside", "a/../../outside"])
def test_download_stays_inside_its_folder(
    artifacts: ArtifactStore, run_id: str, client: Client, tmp_path: Path, path: str
) -> None:
    """A database can come from anywhere, also with paths that nbtrack never writes."""
    put(artifacts, run_id, file=b"1")
    client.flush()
    change(client.path, "UPDATE artifacts SET path = ?", path)
    target = tmp_path / "deep" / "out"
    with pytest.raises(InvalidParameterError, match="is no path for an artifact"):
        artifacts.download(run_id, "", target)
    assert list(tmp_path.rglob("outside")) == []


def test_what_is_not_there(artifacts: ArtifactStore, run_id: str, tmp_path: Path) -> None:
    put(artifacts, run_id, file=b"1")
    for act in (
        lambda: artifacts.read(run_id, "other"),
        lambda: artifacts.download(run_id, "other", tmp_path),
        lambda: artifacts.download(run_id, "../nbtrack.db", tmp_path),
    ):
        with pytest.raises(NotFoundError, match=f"The run {run_id} has no artifact '.*'"):
            act()
