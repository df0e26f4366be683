"""Contents come from wherever the other file has them, and go where this one's rule says."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nbtrack.artifacts import places, sha256
from nbtrack.settings import settings
from nbtrack.tracking import Client

NOISE = random.Random(1).randbytes(2**21)
EVEN = b"even " * 300_000
FILES = {"noise.bin": NOISE, "even.txt": EVEN, "short.txt": b"short"}


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "values", {})


@pytest.fixture(params=["inside", "beside", "elsewhere"])
def far(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    """Yield a client of another database, whose contents are in one of three places."""
    settings.artifact_file_mb = 100 if request.param == "inside" else 0
    if request.param == "elsewhere":
        settings.artifact_location = "memory://far"
    far = Client(tmp_path / "far.db")
    with far.start_run("far") as run:
        far.workspace.artifacts.put(run.run_id, FILES)
    assert far.upload_artifacts() == 0
    settings.values.clear()
    yield far
    far.workspace.uploads.end(0)
    far.workspace.writer.close()


def place(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as conn:
        rows = conn.execute("SELECT uri FROM blobs LEFT JOIN blob_places USING (place_id)")
        return [row[0] for row in rows]


def assert_same(client: Client) -> None:
    run_id = client.get_run("far").info.run_id
    for path, data in FILES.items():
        assert client.workspace.artifacts.read(run_id, path) == data
    assert client.check() == []


@pytest.mark.parametrize("limit", [0, 1, 100])
def test_merge(client: Client, far: Client, limit: int) -> None:
    settings.artifact_file_mb = limit
    would = client.merge(far.path, dry_run=True)
    report = client.merge(far.path)
    assert (report.problems, report.files) == ([], 3)
    assert (would.files, would.bytes) == (report.files, report.bytes)
    outside = {0: 3, 1: 2, 100: 0}[limit]
    assert sorted(map(str, place(client.path))) == ["None"] * (3 - outside) + ["beside"] * outside
    assert client.merge(far.path).files == 0
    far.delete_run("far")
    far.gc()
    assert_same(client)


def test_export(client: Client, far: Client, tmp_path: Path) -> None:
    settings.artifact_file_mb = 1
    assert far.export("far", tmp_path / "some.db").problems == []
    some = Client(tmp_path / "some.db")
    assert_same(some)
    assert set(place(some.path)) == {None, "beside"}
    some.workspace.writer.close()


def test_merge_to_an_address(client: Client, far: Client) -> None:
    settings.artifact_file_mb = 1
    settings.artifact_location = "memory://home"
    assert client.merge(far.path).problems == []
    assert client.upload_artifacts() == 0
    assert sum(str(uri).startswith("memory://home/nbtrack-") for uri in place(client.path)) == 2
    assert_same(client)


@pytest.mark.parametrize("far", ["beside"], indirect=True)
def test_what_another_file_names_is_no_place_for_ours(client: Client, far: Client) -> None:
    """It may name any address, and what is logged later would go there."""
    settings.artifact_file_mb = 0
    far.create_experiment("trap", artifact_location="memory://theirs")
    client.merge(far.path)
    experiment = client.get_experiment_by_name("trap")
    assert experiment is not None
    assert experiment.artifact_location == "memory://theirs"
    client.start_run(experiment_name="trap").log_text("mine", "a.txt")
    assert client.upload_artifacts() == 0
    assert set(place(client.path)) == {"beside"}


@pytest.mark.parametrize("far", ["beside"], indirect=True)
@pytest.mark.parametrize("limit", [0, 100])
@pytest.mark.parametrize("change", ["gone", "other", "longer", "no digest", "claims less"])
def test_what_is_damaged_there_does_not_come(
    client: Client, far: Client, limit: int, change: str
) -> None:
    settings.artifact_file_mb = limit
    path = places.file_beside(far.path, sha256(NOISE), "raw")
    sql = ""
    if change == "gone":
        path.unlink()
    elif change == "other":
        path.write_bytes(b"x" + NOISE[1:])
    elif change == "longer":
        path.write_bytes(NOISE * 2)
    elif change == "no digest":
        sql = "UPDATE {} SET digest = '../../../../etc/passwd' WHERE digest = '{}'"
    else:
        sql = "UPDATE blobs SET size_bytes = 3, stored_bytes = -1 WHERE digest = '{1}'"
    with closing(sqlite3.connect(far.path)) as conn:
        for table in ("blobs", "artifacts"):
            if sql:
                conn.execute(sql.format(table, sha256(NOISE)))
        conn.commit()
    (problem,) = client.merge(far.path).problems
    assert "The run far was left out" in problem
    assert not list(places.folder(client.path).glob("incoming/*"))
    assert client.check() == []


@pytest.mark.parametrize("far", ["beside"], indirect=True)
def test_what_a_killed_process_left_beside_it(client: Client, far: Client, tmp_path: Path) -> None:
    (tmp_path / "late.bin").write_bytes(NOISE[1:])
    text = """
        import os, sys
        from nbtrack import Client
        run = Client(sys.argv[1]).handle("far")
        run.log_artifact("late.bin")
        os.kill(os.getpid(), 9)
        """
    with closing(sqlite3.connect(far.path, isolation_level=None)) as other:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(text), str(far.path)],
            cwd=tmp_path,
            env={"NBTRACK_ARTIFACT_FILE_MB": "1", "PYTHONPATH": ":".join(sys.path)},
        )
        other.execute("BEGIN IMMEDIATE")
        process.wait(60)
    folder = places.folder(far.path)
    (left,) = folder.glob("incoming/*")
    for limit in (0, 100):
        settings.artifact_file_mb = limit
        home = Client(tmp_path / f"home{limit}.db")
        assert home.merge(far.path).problems == []
        run_id = home.get_run("far").info.run_id
        assert home.workspace.artifacts.read(run_id, "late.bin") == NOISE[1:]
        assert home.check() == []
        home.workspace.writer.close()
        assert left.read_bytes() == NOISE[1:]  # the file that is read stays as it is
