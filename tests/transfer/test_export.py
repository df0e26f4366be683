"""Some runs go into a file of their own, with all they refer to, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nbtrack.errors import ForeignDatabaseError, InvalidParameterError, NotFoundError, StoreError
from nbtrack.tracking import Client
from nbtrack.transfer import MergeReport

from .archive import content, execute, fill


def test_the_whole_of_a_file_is_the_same_there(client: Client, tmp_path: Path) -> None:
    run_id = fill(client)
    out = tmp_path / "out.db"
    report = client.export([run_id[:8]], out)
    assert report.added == [run_id]
    assert report.problems == []
    assert content(out) == content(client.path)
    assert client.export("first", out) == MergeReport(unchanged=1)
    assert not out.with_name("out.db-wal").exists()


def test_only_what_belongs_to_the_runs(client: Client, tmp_path: Path) -> None:
    fill(client, "left out")
    with client.start_run("parent", experiment_name="near") as parent:
        child = client.start_run("child", parent_run_id=parent.run_id)
        child.log_text("file of the child", "a.txt")
        child.end()
    out = tmp_path / "out.db"
    assert sorted(client.export("parent", out).added) == sorted([parent.run_id, child.run_id])
    found = content(out)
    assert len(found["artifacts"]) == len(found["blobs"]) == 1
    assert found["versions"] == found["models"] == []
    assert "far" not in repr(found["experiments"])
    with closing(sqlite3.connect(out)) as conn:
        assert conn.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
    other = Client(out)
    assert other.get_run("child").data.tags["mlflow.parentRunId"] == parent.run_id
    other.workspace.writer.close()


def test_an_experiment(client: Client, tmp_path: Path) -> None:
    kept, trashed = fill(client, "kept"), fill(client, "trashed")
    client.delete_run(trashed)
    out = tmp_path / "out.db"
    assert client.export([], out, experiment_names=["far"]).added == [kept]
    report = client.export(trashed, out)  # by its id it is found in the trash
    assert report.added == [trashed]


def test_it_comes_home_again(client: Client, tmp_path: Path) -> None:
    fill(client)
    out = tmp_path / "out.db"
    client.export("first", out)
    assert client.merge(out) == MergeReport(unchanged=1)


def test_what_cannot_be_exported(client: Client, tmp_path: Path) -> None:
    fill(client)
    out = tmp_path / "out.db"
    with pytest.raises(InvalidParameterError, match="No run"):
        client.export([], out)
    with pytest.raises(NotFoundError, match="no run 'absent'"):
        client.export("absent", out)
    with pytest.raises(NotFoundError, match="no experiment 'absent'"):
        client.export([], out, experiment_names=["absent"])
    assert not out.exists()
    with pytest.raises(InvalidParameterError, match="into itself"):
        client.export("first", client.path)
    with pytest.raises(StoreError, match="directory"):
        client.export("first", tmp_path / "absent" / "out.db")
    foreign = tmp_path / "foreign.db"
    execute(foreign, "CREATE TABLE t (a)")
    before = foreign.read_bytes()
    with pytest.raises(ForeignDatabaseError):
        client.export("first", foreign)
    assert foreign.read_bytes() == before
