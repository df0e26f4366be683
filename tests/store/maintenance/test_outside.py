"""What lies outside of the file is cleaned, checked and copied with it."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nbtrack.artifacts import fsspec, places, sha256
from nbtrack.errors import IntegrityError, StoreError
from nbtrack.settings import settings
from nbtrack.store.maintenance import check
from nbtrack.tracking import Client

NOISE = random.Random(1).randbytes(2**20)


@pytest.fixture(params=["beside", "elsewhere"])
def where(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(settings, "values", {})
    settings.artifact_file_mb = 0
    if request.param == "elsewhere":
        settings.artifact_location = (tmp_path / "far").as_uri()
    return str(request.param)


@pytest.fixture
def filled(client: Client, where: str) -> Client:
    for name in ("stays", "goes"):
        with client.start_run(name) as run:
            run.log_text(f"of {name}", "own.txt")
            run.log_text("many words " * 9000, "shared.txt")
            client.workspace.artifacts.put(run.run_id, {"noise.bin": NOISE})
    assert client.upload_artifacts() == 0
    return client


def files(client: Client) -> dict[str, Path]:
    """Return the files of contents by their digest, wherever they are."""
    found = {}
    for root in (client.path.parent / "far", places.folder(client.path)):
        for path in root.rglob("*"):
            if digest := places.digest_of(f"{path.parent.name}/{path.name}"):
                found[digest] = path
    return found


def alter(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for statement in statements:
            conn.execute(statement)


def ask(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as conn:
        return [row[0] if len(row) == 1 else row for row in conn.execute(query)]


# -- cleaning


def test_what_nothing_refers_to_is_deleted_outside_too(filled: Client) -> None:
    assert len(files(filled)) == 4
    filled.delete_run("goes")
    would = filled.gc(dry_run=True)
    assert len(files(filled)) == 4
    done = filled.gc()
    assert (would.blobs, would.nbytes, would.outside) == (1, done.nbytes, done.outside)
    assert done.outside == (sha256(b"of goes"),)
    assert (done.orphans, done.orphan_bytes) == (0, 0)
    assert set(files(filled)) == {sha256(b) for b in (b"of stays", b"many words " * 9000, NOISE)}
    assert filled.check() == []
    filled.delete_run("stays")
    filled.gc()
    assert files(filled) == {}


def test_what_killed_processes_left_is_deleted(filled: Client) -> None:
    folder = places.make_folder(filled.path)
    old = time.time() - 2 * 86_400
    (folder / "incoming").mkdir(exist_ok=True)
    own = filled.workspace.session.session_id
    alter(
        filled.path,
        "INSERT INTO sessions SELECT 'dead', user_id, host, machine, 1, 'other', NULL, '{}', 1, 1,"
        " 0, 0 FROM sessions LIMIT 1",
    )
    left = {
        "incoming/dead-" + "0" * 16: True,
        f"incoming/{own}-" + "0" * 16: False,  # this process goes on
        "incoming/x-" + "0" * 16: True,
        "incoming/x-" + "1" * 16: False,  # young
        "notes.txt": False,  # not ours
    }
    for name in left:
        (folder / name).write_bytes(b"12345")
        if "1" not in name:
            os.utime(folder / name, (old, old))
    would = filled.gc(dry_run=True)
    assert (would.orphans, would.orphan_bytes) == (2, 10)
    assert all((folder / name).exists() for name in left)
    done = filled.gc()
    assert (done.orphans, done.orphan_bytes) == (2, 10)
    assert {name for name in left if not (folder / name).exists()} == {
        name for name, goes in left.items() if goes
    }


def test_a_file_in_its_place_that_has_no_row(
    filled: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = places.file_beside(filled.path, "sha256:" + "ab" * 32, "zstd")
    lost.parent.mkdir(parents=True, exist_ok=True)
    lost.write_bytes(b"123")
    assert filled.gc().orphans == 0  # its transaction may just be tried again
    later = time.time() + 7200
    monkeypatch.setattr(time, "time", lambda: later)
    assert filled.gc().orphans == 1
    assert not lost.exists()


@pytest.mark.parametrize("where", ["elsewhere"], indirect=True)
def test_an_address_that_cannot_be_reached_is_cleaned_the_next_time(
    filled: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.delete_run("goes")

    def fails(uri: str) -> None:
        raise StoreError(f"The address {uri} cannot be reached: no network.")

    with monkeypatch.context() as patch:
        patch.setattr(fsspec, "remove", fails)
        with pytest.warns(UserWarning, match="are deleted the next time: The address"):
            assert filled.gc().blobs == 1
    assert len(files(filled)) == 4
    filled.gc()
    assert len(files(filled)) == 3


@pytest.mark.parametrize("where", ["elsewhere"], indirect=True)
def test_nothing_of_others_is_deleted(filled: Client, tmp_path: Path) -> None:
    """Also not by a database that says their folder is its own."""
    (place,) = (tmp_path / "far").iterdir()
    mine = place / "thesis.txt"
    mine.write_text("mine")
    other = tmp_path / "far" / "photos"
    (other / "ab").mkdir(parents=True)
    (other / "ab" / ("ab" * 32)).write_text("named as a content is")
    alter(filled.path, f"INSERT INTO blob_places (uri) VALUES ('{other.as_uri()}')")
    filled.delete_run("goes")
    filled.gc()
    assert mine.exists()
    assert (other / "ab" / ("ab" * 32)).exists()


# -- checking


def test_a_sound_archive(filled: Client) -> None:
    seen: list[tuple[int, int]] = []
    assert filled.check(lambda *at: seen.append(at)) == []
    assert seen[-1][0] == seen[-1][1] > 2**20


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.unlink(), "is not in its place"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "has not the 1048576 bytes"),
        (lambda path: path.write_bytes(b"x" + path.read_bytes()[1:]), "bytes have another digest"),
        (lambda path: path.write_bytes(path.read_bytes() * 2), "has not the 1048576 bytes"),
    ],
)
def test_a_damaged_content_is_found(filled: Client, change: Any, said: str) -> None:
    path = files(filled)[sha256(NOISE)]
    change(path)
    (problem,) = filled.check()
    assert "noise.bin of run" in problem.what
    assert said in problem.what


# -- copying


def test_a_copy_has_what_is_beside_and_reads_what_is_elsewhere(
    filled: Client, where: str, tmp_path: Path
) -> None:
    filled.create_experiment("placed", artifact_location=str(tmp_path / "far"))
    lost = places.file_beside(filled.path, "sha256:" + "ab" * 32, "raw")
    lost.parent.mkdir(parents=True, exist_ok=True)
    lost.write_bytes(b"nobody's")
    seen: list[tuple[int, int]] = []
    target = filled.backup(tmp_path / "copy.db", progress=lambda *at: seen.append(at))
    assert seen[-1][0] == seen[-1][1]
    copied = {p.name for p in (tmp_path / "copy.db-blobs").rglob("*") if p.is_file()}
    assert len(copied) == (3 + 1 if where == "beside" else 0)
    assert check(target) == []
    copy = Client(target)
    run_id = copy.get_run("stays").info.run_id
    assert copy.workspace.artifacts.read(run_id, "noise.bin") == NOISE
    settings.artifact_location = ""
    with copy.start_run("new", experiment_name="placed") as run:
        run.log_text("new", "a.txt")
    assert copy.upload_artifacts() == 0
    query = "SELECT uri FROM blobs JOIN blob_places USING (place_id) WHERE digest = '{}'"
    (uri,) = ask(target, query.format(sha256(b"new")))
    assert uri.startswith((tmp_path / "far").as_uri())  # and in a folder of its own
    assert uri not in ask(filled.path, "SELECT uri FROM blob_places")
    copy.delete_run("goes")
    copy.gc()
    assert filled.check() == []  # it has taken nothing away
    assert copy.check() == []
    copy.workspace.uploads.end(0)
    copy.workspace.writer.close()
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".nbtrack")) == []


@pytest.mark.parametrize("where", ["beside"], indirect=True)
def test_a_copy_with_a_hole_is_not_kept(filled: Client, tmp_path: Path) -> None:
    files(filled)[sha256(NOISE)].unlink()
    with pytest.raises(IntegrityError, match="would have 1 problems"):
        filled.backup(tmp_path / "copy.db")
    assert not list(tmp_path.glob("*copy*"))
    assert not list(tmp_path.glob(".nbtrack*"))
    filled.backup(tmp_path / "copy.db", verify=False)
    assert len(check(tmp_path / "copy.db")) == 1


@pytest.mark.parametrize("where", ["beside"], indirect=True)
def test_what_is_brought_away_meanwhile_is_followed(
    filled: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.artifact_location = (tmp_path / "far").as_uri()
    write = fsspec.write
    monkeypatch.setattr(fsspec, "write", _refuse)
    filled.start_run("late").log_text("late", "late.txt")
    with pytest.warns(UserWarning, match="not yet"):
        filled.upload_artifacts()
    monkeypatch.setattr(fsspec, "write", write)
    digest = sha256(b"late")
    copyfile = shutil.copyfile

    def slow(source: Any, target: Any, **options: Any) -> Any:
        if Path(source).name.startswith(digest.removeprefix("sha256:")):
            assert filled.upload_artifacts() == 0
        return copyfile(source, target, **options)

    monkeypatch.setattr(shutil, "copyfile", slow)
    filled.backup(tmp_path / "copy.db")
    assert check(tmp_path / "copy.db") == []


def _refuse(*_: Any, **__: Any) -> None:
    raise StoreError("not yet")


@pytest.mark.parametrize("where", ["beside"], indirect=True)
def test_a_private_database_has_a_private_copy(filled: Client, tmp_path: Path) -> None:
    filled.path.chmod(0o600)
    filled.backup(tmp_path / "copy.db")
    assert (tmp_path / "copy.db-blobs").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("where", ["beside"], indirect=True)
def test_a_pipe_in_its_place_is_not_waited_for(filled: Client) -> None:
    path = files(filled)[sha256(NOISE)]
    path.unlink()
    os.mkfifo(path)
    (problem,) = filled.check()
    assert "is not in its place" in problem.what
