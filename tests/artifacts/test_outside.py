"""Contents outside of the database file: what goes there, how, and what a kill leaves."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nbtrack.artifacts import PutContent, PutFiles, fsspec, places, sha256, uploads
from nbtrack.artifacts.incoming import Content, put_content, receive
from nbtrack.db import connect_writer
from nbtrack.errors import (
    IntegrityError,
    InvalidParameterError,
    MissingPackageError,
    NbtrackError,
    NotFoundError,
    StoreError,
)
from nbtrack.settings import settings
from nbtrack.tracking import Client, notices

MB = 2**20
NOISE = random.Random(3).randbytes(3 * MB)
EVEN = b"even " * MB
needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")


def ask(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as conn:
        return [row[0] if len(row) == 1 else row for row in conn.execute(query)]


def beside(client: Client) -> list[str]:
    folder = places.folder(client.path)
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    path = tmp_path / "noise.bin"
    path.write_bytes(NOISE)
    return path


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start Python with a database, and `client` of it."""

    def start(text: str, path: Path, **environment: str) -> subprocess.Popen[str]:
        code = "import sys, os, time\nfrom nbtrack import Client\nclient = Client(sys.argv[1])\n"
        return subprocess.Popen(
            [sys.executable, "-c", code + textwrap.dedent(text), str(path)],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )

    return start


# -- what goes where


def test_what_is_long_is_a_file_beside_the_database(client: Client, noise: Path) -> None:
    settings.artifact_file_mb = 1
    with client.start_run() as run:
        client.log_artifact(run.run_id, noise)
        run.log_text("a" * 2 * MB, "long.txt")
        run.log_text("short", "short.txt")
    client.flush()
    names = [sha256(data)[7:] for data in (NOISE, b"a" * 2 * MB)]
    assert beside(client) == sorted(
        [f"{names[0][:2]}/{names[0]}", f"{names[1][:2]}/{names[1]}.zst"]
    )
    assert ask(client.path, "SELECT count(*) FROM blob_chunks") == [1]
    assert ask(client.path, "SELECT stored_bytes FROM blobs WHERE encoding = 'raw'") == [
        len(NOISE),
        None,
    ]
    assert client.path.stat().st_size < MB
    assert (places.folder(client.path) / names[0][:2] / names[0]).read_bytes() == NOISE


def test_by_default_all_but_very_long_contents_are_in_the_file(client: Client, noise: Path) -> None:
    with client.start_run() as run:
        client.log_artifact(run.run_id, noise)
    client.flush()
    assert not places.folder(client.path).exists()


def test_only_a_small_record_goes_through_the_journal(client: Client, noise: Path) -> None:
    settings.artifact_file_mb = 1
    run = client.start_run()
    client.flush()
    before = client.workspace.writer.journal.waiting
    with closing(sqlite3.connect(client.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # all that is logged waits
        client.log_artifact(run.run_id, noise)
        journals = list(client.path.parent.glob("*-pending-*"))
        assert before == 0
        assert all(NOISE[:1000] not in path.read_bytes() for path in journals)
        (name,) = beside(client)
        assert name.startswith(f"incoming/{client.workspace.session.session_id}-")
    assert client.workspace.artifacts.read(run.run_id, "noise.bin") == NOISE
    assert [name.split("/")[0] for name in beside(client)] == [sha256(NOISE)[7:9]]


def test_long_files_take_little_memory(client: Client, tmp_path: Path, script: Any) -> None:
    big = tmp_path / "big.bin"
    with big.open("wb") as file:
        for i in range(150):
            file.write(random.Random(i).randbytes(MB))
    text = f"""
        import re
        from pathlib import Path
        def peak():
            # Not ru_maxrss: that begins with what the process had that started this one.
            status = Path("/proc/self/status").read_text()
            return int(re.search(r"VmHWM:\\s+([0-9]+)", status)[1]) // 1024
        run = client.start_run()
        run.log_text("warm", "a")
        client.flush()
        client.download_artifacts(run.run_id, "a")
        before = peak()
        client.log_artifact(run.run_id, {str(big)!r})
        client.flush()
        client.download_artifacts(run.run_id, "big.bin", "out")
        print(peak() - before)
        assert client.check() == []
        """
    process = script(text, client.path, NBTRACK_ARTIFACT_FILE_MB="100")
    assert int(process.communicate(timeout=120)[0]) < 60
    assert process.returncode == 0
    assert (tmp_path / "out" / "big.bin").read_bytes() == big.read_bytes()


def test_a_database_behind_a_link_has_its_contents_beside_the_file(
    client: Client, tmp_path: Path, noise: Path
) -> None:
    settings.artifact_file_mb = 1
    run = client.start_run()
    client.flush()
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.db"
    link.symlink_to(client.path)
    other = Client(link)
    other.log_artifact(run.run_id, noise)
    other.flush()
    assert len(beside(client)) == 1
    assert client.workspace.artifacts.read(run.run_id, "noise.bin") == NOISE
    other.workspace.writer.close()


def test_nobody_else_may_read_what_is_beside_a_private_database(
    client: Client, noise: Path
) -> None:
    settings.artifact_file_mb = 1
    run = client.start_run()
    client.flush()
    client.path.chmod(0o600)
    client.log_artifact(run.run_id, noise)
    assert places.folder(client.path).stat().st_mode & 0o777 == 0o700


def test_without_room_beside_it_short_ones_go_into_the_file(client: Client, noise: Path) -> None:
    settings.artifact_file_mb = 0
    places.folder(client.path).write_text("in the way")
    with client.start_run() as run:
        run.log_text("text", "a.txt")
        with pytest.raises(StoreError, match="cannot be kept beside the database"):
            client.log_artifact(run.run_id, noise)
    assert client.workspace.artifacts.read(run.run_id, "a.txt") == b"text"


def test_a_content_that_was_lost_comes_back_when_it_is_logged_again(
    client: Client, noise: Path
) -> None:
    settings.artifact_file_mb = 1
    run = client.start_run()
    client.log_artifact(run.run_id, noise)
    client.flush()
    (places.folder(client.path) / beside(client)[0]).unlink()
    with pytest.raises(IntegrityError, match=r"artifact 'noise.bin' of run .* is gone"):
        client.workspace.artifacts.read(run.run_id, "noise.bin")
    client.log_artifact(run.run_id, noise, "again")
    assert client.workspace.artifacts.read(run.run_id, "noise.bin") == NOISE


# -- records and streams


class _Unseekable(io.RawIOBase):
    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 70_000))


@pytest.mark.parametrize("limit", [0, 10, 4 * MB, 2**40])
@pytest.mark.parametrize("data", [b"", b"0123456789", NOISE, EVEN], ids=["no", "ten", "N", "E"])
@pytest.mark.parametrize("kind", [io.BytesIO, _Unseekable])
def test_a_stream_is_received(
    tmp_path: Path, limit: int, data: bytes, kind: Callable[[bytes], Any], client: Client
) -> None:
    content = receive(kind(data), client.path, limit=limit)
    assert (content.digest, content.size_bytes) == (sha256(data), len(data))
    assert content.is_file == (len(data) > limit)
    with closing(connect_writer(client.path)) as conn:
        for _ in range(2):
            conn.execute("BEGIN")
            assert put_content(conn, content) == content.digest
            if content.is_file:
                conn.execute("ROLLBACK")  # and once more
                conn.execute("BEGIN")
                put_content(conn, content)
            conn.execute("COMMIT")
        run = client.start_run()
        client.flush()
        conn.execute("INSERT INTO artifacts VALUES (?, 'a', ?)", (run.run_id, content.digest))
    assert client.workspace.artifacts.read(run.run_id, "a") == data
    assert client.check() == []
    assert len(beside(client)) == content.is_file


def test_a_stream_that_fails_leaves_nothing(client: Client) -> None:
    class Failing(_Unseekable):
        def read(self, size: int = -1) -> bytes:
            if self._data.tell() > 2 * MB:
                raise OSError("the network is gone")
            return super().read(size)

    with pytest.raises(OSError, match="the network is gone"):
        receive(Failing(NOISE), client.path, limit=0)
    assert beside(client) == []


@pytest.mark.parametrize(
    "content",
    [
        Content("sha256:0", 3, "raw", 3, incoming="x-" + "0" * 16, is_file=True),
        Content("sha256:0", 3, "raw", 3, data=b"123"),
    ],
)
def test_a_record_comes_back_from_its_packed_form(content: Content) -> None:
    record = PutContent("r", "a/b", content)
    assert PutContent.unpack(json.loads(json.dumps(record.pack())), record.blobs) == record


def test_a_file_that_gets_shorter_while_it_is_read(
    client: Client, noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.artifact_file_mb = 1
    run = client.start_run()

    def late(stream: Any, *args: Any, **options: Any) -> Content:
        noise.write_bytes(b"short")
        return receive(stream, *args, **options)

    monkeypatch.setattr("nbtrack.artifacts.sqlite.receive", late)
    client.log_artifact(run.run_id, noise)
    assert client.workspace.artifacts.read(run.run_id, "noise.bin") == b"short"


@pytest.mark.parametrize(
    "changes",
    [
        {"incoming": "../../etc/passwd"},
        {"incoming": "x-" + "1" * 16},  # not there
        {"digest": "sha256:../../../../etc/passwd"},
        {"digest": 7},
        {"size_bytes": "many"},
    ],
)
def test_hostile_records_store_nothing(client: Client, changes: dict[str, Any]) -> None:
    run = client.start_run()
    content = receive(io.BytesIO(NOISE), client.path, limit=0)
    fields = {name: getattr(content, name) for name in Content.__slots__} | changes
    client.workspace.writer.submit(PutContent(run.run_id, "a", Content(**fields)))
    with pytest.warns(UserWarning, match="could not be stored"):
        client.flush()
    assert client.list_artifacts(run.run_id) == []
    assert ask(client.path, "SELECT count(*) FROM blobs") == [0]


# -- paths that another process stored at the same moment


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a/b", "a")])
def test_what_got_in_at_the_same_moment_is_kept_and_told(
    client: Client, tmp_path: Path, paths: tuple[str, str]
) -> None:
    run = client.start_run()
    for path in paths:  # past the check of the caller, as another process's would be
        client.workspace.writer.submit(PutFiles(run.run_id, {path: path.encode()}))
    artifacts = client.workspace.artifacts
    for path in paths:
        assert artifacts.read(run.run_id, path) == path.encode()
    with pytest.raises(InvalidParameterError, match="cannot be written to"):
        client.download_artifacts(run.run_id, "", tmp_path / "out")


def test_another_spelling_never_overwrites(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = client.start_run()
    for path in ("A.txt", "a.txt"):
        client.workspace.writer.submit(PutFiles(run.run_id, {path: path.encode()}))
    target = Path(client.download_artifacts(run.run_id, "", tmp_path / "out"))
    assert {p.name: p.read_text() for p in target.iterdir()} == {"A.txt": "A.txt", "a.txt": "a.txt"}
    exists = Path.exists  # a file system that takes both names for the same file
    monkeypatch.setattr(Path, "exists", lambda p: exists(p.with_name("A.txt")) or exists(p))
    with pytest.raises(InvalidParameterError, match="are the same file"):
        client.download_artifacts(run.run_id, "", tmp_path / "again")


def test_paths_of_a_run_that_another_process_began(client: Client, script: Any) -> None:
    process = script("print(client.start_run('r').log_text('1', 'Plots/a.txt'))", client.path)
    assert process.wait(60) == 0
    process.stdout.close()
    with pytest.raises(InvalidParameterError, match=r"'plots/A.txt' cannot be beside 'Plots/a"):
        client.handle("r").log_text("2", "plots/A.txt")


# -- addresses


@pytest.mark.parametrize(
    ("location", "error", "match"),
    [
        ("nowhere://bucket", InvalidParameterError, "fsspec knows no address"),
        ("https://example.org/x", InvalidParameterError, "nothing can be written"),
        ("mlflow-artifacts:/1", InvalidParameterError, "nothing can be written"),
        ("simplecache::s3://bucket", InvalidParameterError, "no address"),
        ("s3://me:secret@bucket/x", InvalidParameterError, "a password"),
        ("gs://bucket/x", MissingPackageError, "gcsfs"),
        (" ", InvalidParameterError, "no address"),
        ("s3://", InvalidParameterError, "no address"),
        ("s3://a\nb", InvalidParameterError, "no address"),
    ],
)
def test_an_address_that_cannot_work_is_refused_where_it_is_named(
    client: Client, location: str, error: type[Exception], match: str
) -> None:
    if location.startswith("gs:"):
        pytest.importorskip("fsspec")
        try:
            import gcsfs  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("gcsfs is installed")
    with pytest.raises(error, match=match):
        client.create_experiment("x", artifact_location=location)
    with pytest.raises(error, match=match):
        settings.artifact_location = location
    assert client.get_experiment_by_name("x") is None


def test_without_fsspec_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "fsspec"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingPackageError, match="need the package fsspec") as caught:
        settings.artifact_location = "s3://bucket"
    assert "pip install nbtrack[s3]" in (caught.value.hint or "")


def test_an_environment_that_is_wrong_costs_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: Path
) -> None:
    monkeypatch.setenv("NBTRACK_ARTIFACT_LOCATION", "nowhere://bucket")
    monkeypatch.setenv("NBTRACK_ARTIFACT_FILE_MB", "some")
    with pytest.warns(UserWarning, match="artifact_") as told:
        client = Client(tmp_path / "a.db")
    assert len(told) == 2
    run = client.start_run()
    client.log_artifact(run.run_id, noise)
    assert client.workspace.artifacts.read(run.run_id, "noise.bin") == NOISE
    client.workspace.writer.close()


def test_an_experiments_location_counts_before_the_setting(
    client: Client, noise: Path, tmp_path: Path
) -> None:
    settings.artifact_file_mb = 0
    settings.artifact_location = "memory://setting"
    disk = tmp_path / "disk"
    client.create_experiment("disk", artifact_location=str(disk))
    experiment = client.get_experiment_by_name("disk")
    assert experiment is not None
    assert experiment.artifact_location == disk.as_uri()
    with client.start_run("a", experiment_name="disk") as run:
        run.log_text("on a disk", "a.txt")
    with client.start_run("b") as other:
        other.log_text("in memory", "b.txt")
    assert client.upload_artifacts() == 0
    uris = ask(client.path, "SELECT uri FROM blobs JOIN blob_places USING (place_id)")
    assert sorted(uri.rpartition("/")[0] for uri in uris) == [disk.as_uri(), "memory://setting"]
    assert len(list(disk.glob("nbtrack-*/*/*"))) == 1
    assert client.workspace.artifacts.read(run.run_id, "a.txt") == b"on a disk"
    assert client.workspace.artifacts.read(other.run_id, "b.txt") == b"in memory"


def test_what_mlflow_noted_is_no_location(client: Client) -> None:
    settings.artifact_file_mb = 0
    client.create_experiment("x")
    client.flush()
    with closing(sqlite3.connect(client.path)) as conn:
        conn.execute("UPDATE experiments SET artifact_location = 'mlflow-artifacts:/1'")
        conn.commit()
    with client.start_run(experiment_name="x") as run:
        run.log_text("text", "a.txt")
    assert client.upload_artifacts() == 0
    assert ask(client.path, "SELECT uri FROM blob_places") == ["beside"]


class Refusing:
    """An address that cannot be reached."""

    def __init__(self) -> None:
        self.tries = 0
        self.write = fsspec.write

    def __call__(self, uri: str, *_: Any, **__: Any) -> None:
        self.tries += 1
        raise StoreError(f"The address {uri} cannot be reached: no network.")


def test_an_address_that_cannot_be_reached(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.artifact_file_mb = 0
    settings.artifact_location = "memory://far"
    refusing = Refusing()
    monkeypatch.setattr(fsspec, "write", refusing)
    told: list[str] = []
    monkeypatch.setattr(notices, "_show", told.append)
    run = client.start_run()
    run.log_text("one", "1.txt")
    run.log_text("two", "2.txt")
    assert client.upload_artifacts() == 2
    assert client.upload_artifacts() == 2
    (message,) = told
    assert "stay beside the database until they can" in message
    assert refusing.tries >= 2
    assert client.workspace.artifacts.read(run.run_id, "1.txt") == b"one"
    monkeypatch.setattr(fsspec, "write", refusing.write)
    assert client.upload_artifacts() == 0
    assert client.workspace.artifacts.read(run.run_id, "1.txt") == b"one"


def test_a_partial_upload_is_never_taken_for_whole(bucket: str, noise: Path) -> None:
    uri = f"{bucket}/a/b"
    pieces = iter([False, True])
    with pytest.raises(StoreError, match="was given up"):
        fsspec.write(uri, noise, stop=lambda: next(pieces))
    assert fsspec.length(uri) is None
    fsspec.write(uri, noise, stop=lambda: False)
    assert b"".join(fsspec.read(uri)) == NOISE
    fsspec.write(uri, noise, stop=lambda: True)  # it is there
    assert fsspec.names(f"{bucket}/a") == ["b"]
    fsspec.remove(uri)
    fsspec.remove(uri)
    assert fsspec.length(uri) is None
    assert fsspec.names(f"{bucket}/a") == []
    with pytest.raises(NotFoundError):
        list(fsspec.read(uri))


def test_a_bucket_that_is_not_there_is_not_made(bucket: str, noise: Path) -> None:
    with pytest.raises(NbtrackError):
        fsspec.write(f"{bucket}-typo/a/b", noise, stop=lambda: False)
    assert fsspec.length(f"{bucket}-typo/a/b") is None


def test_a_long_file_at_s3_comes_in_parts(bucket: str, tmp_path: Path) -> None:
    data = random.Random(5).randbytes(20 * MB)
    (tmp_path / "a").write_bytes(data)
    fsspec.write(f"{bucket}/a", tmp_path / "a", stop=lambda: False)
    assert b"".join(fsspec.read(f"{bucket}/a")) == data


# -- processes that end, fork, and are killed


def test_the_end_of_a_process_waits_for_its_uploads(
    client: Client, bucket: str, script: Any
) -> None:
    text = "client.start_run('r').log_text('text' * 999, 'a.txt')"
    process = script(
        text, client.path, NBTRACK_ARTIFACT_FILE_MB="0", NBTRACK_ARTIFACT_LOCATION=bucket
    )
    assert process.wait(60) == 0
    process.stdout.close()
    (uri,) = ask(client.path, "SELECT uri FROM blobs JOIN blob_places USING (place_id)")
    assert uri.startswith(bucket)
    run_id = client.get_run("r").info.run_id
    assert client.workspace.artifacts.read(run_id, "a.txt") == b"text" * 999


def test_the_wait_is_bounded_and_the_next_process_goes_on(
    client: Client, bucket: str, script: Any
) -> None:
    text = """
        from nbtrack.artifacts import fsspec, uploads
        def hangs(*_, **__): time.sleep(1000)
        fsspec.write = hangs
        uploads.EXIT_TIMEOUT_S = 0.5
        client.start_run('r').log_text('text', 'a.txt')
        client.flush()
        print(time.time(), flush=True)
        """
    environment = {"NBTRACK_ARTIFACT_FILE_MB": "0", "NBTRACK_ARTIFACT_LOCATION": bucket}
    process = script(text, client.path, **environment)
    ended = float(process.communicate(timeout=60)[0])
    assert process.returncode == 0
    assert time.time() - ended < 8
    assert ask(client.path, "SELECT count(*) FROM blobs WHERE next_place_id IS NULL") == [0]
    process = script("client.start_run('next').end()", client.path)  # and no settings
    assert process.wait(60) == 0
    process.stdout.close()
    assert ask(client.path, "SELECT count(*) FROM blobs WHERE next_place_id IS NULL") == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_of_a_process_that_uploads(client: Client, bucket: str, script: Any) -> None:
    text = """
        run = client.start_run('r')
        run.log_text('parent', 'p.txt')
        assert client.upload_artifacts(30) == 0
        run.log_text('parent again', 'q.txt')
        child = os.fork()
        if child == 0:
            mine = client.start_run('child')
            mine.log_text('child', 'c.txt')
            assert client.upload_artifacts(30) == 0
            assert client.workspace.artifacts.read(run.run_id, 'p.txt') == b'parent'
            client.workspace.writer.close()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        assert status == 0, status
        assert client.upload_artifacts(30) == 0
        """
    environment = {"NBTRACK_ARTIFACT_FILE_MB": "0", "NBTRACK_ARTIFACT_LOCATION": bucket}
    process = script(text, client.path, **environment)
    assert process.wait(120) == 0
    process.stdout.close()
    query = "SELECT count(*) FROM blobs JOIN blob_places USING (place_id) WHERE uri <> 'beside'"
    assert ask(client.path, query) == [3]
    assert client.check() == []


@needs_kill
def test_killed_in_the_middle_of_a_long_file(client: Client, script: Any, tmp_path: Path) -> None:
    with (tmp_path / "sparse.bin").open("wb") as file:
        file.truncate(20 * 2**30)
    text = "client.start_run('r').log_artifact('sparse.bin')"
    process = script(text, client.path, NBTRACK_ARTIFACT_FILE_MB="1")
    deadline = time.monotonic() + 60
    while not (places.folder(client.path) / "incoming").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)
    process.kill()
    process.communicate()
    assert [name.split("/")[0] for name in beside(client)] == ["incoming"]
    assert client.get_run("r").info.status == "KILLED"
    assert client.list_artifacts("r") == []
    assert client.check() == []
    would = client.gc(dry_run=True)
    assert would.orphans == 1
    assert client.gc().orphans == 1
    assert beside(client) == []


@needs_kill
def test_killed_right_after_a_long_file(client: Client, script: Any, noise: Path) -> None:
    """The call has returned: another process brings it in, and cleaning takes nothing away."""
    with client.start_run("first"):
        pass
    client.flush()
    with closing(sqlite3.connect(client.path, isolation_level=None)) as other:
        text = """
            run = client.handle('first')
            run.log_artifact('noise.bin')
            print('returned', flush=True)
            time.sleep(1000)
            """
        process = script(text, client.path, NBTRACK_ARTIFACT_FILE_MB="1")
        other.execute("BEGIN IMMEDIATE")
        assert process.stdout.readline() == "returned\n"
        process.kill()
        process.communicate()
    assert [name.split("/")[0] for name in beside(client)] == ["incoming"]
    assert client.gc().orphans == 0
    process = script("client.start_run('next').end()", client.path)
    assert process.wait(60) == 0
    process.stdout.close()
    assert (
        client.workspace.artifacts.read(client.get_run("first").info.run_id, "noise.bin") == NOISE
    )
    assert client.check() == []


@needs_kill
def test_killed_in_the_middle_of_an_upload(
    client: Client, script: Any, bucket: str, tmp_path: Path
) -> None:
    data = random.Random(7).randbytes(40 * MB)
    (tmp_path / "a.bin").write_bytes(data)
    text = """
        from nbtrack.artifacts import fsspec
        def slow(uri, source, *, stop):
            pieces = []
            def tell():
                pieces.append(1)
                if len(pieces) == 30:
                    print('in the middle', flush=True)
                    time.sleep(1000)
                return False
            write(uri, source, stop=tell)
        write, fsspec.write = fsspec.write, slow
        client.start_run('r').log_artifact('a.bin')
        time.sleep(1000)
        """
    environment = {"NBTRACK_ARTIFACT_FILE_MB": "1", "NBTRACK_ARTIFACT_LOCATION": bucket}
    process = script(text, client.path, **environment)
    assert process.stdout.readline() == "in the middle\n"
    process.kill()
    process.communicate()
    run_id = client.get_run("r").info.run_id
    assert client.workspace.artifacts.read(run_id, "a.bin") == data
    assert client.upload_artifacts() == 0
    assert client.workspace.artifacts.read(run_id, "a.bin") == data
    assert beside(client) == ["uploading.lock"]
    assert client.check() == []


def test_one_process_at_a_time_uploads(client: Client, script: Any) -> None:
    settings.artifact_file_mb = 0
    settings.artifact_location = "memory://one"
    text = """
        from pathlib import Path
        from nbtrack.artifacts.locking import only_one
        with only_one(Path(sys.argv[1])) as alone:
            print(alone, flush=True)
            time.sleep(1000)
        """
    client.start_run().log_text("early", "b.txt")
    assert client.upload_artifacts() == 0
    process = script(text, client.path)
    assert process.stdout.readline() == "True\n"
    client.start_run().log_text("text", "a.txt")
    assert client.upload_artifacts(0.7) == 1
    process.kill()  # its lock goes with it
    process.communicate()
    assert client.upload_artifacts(uploads.EXIT_TIMEOUT_S) == 0
