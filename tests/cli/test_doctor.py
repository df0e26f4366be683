"""``nbtrack doctor``: what runs here, and what is wrong with it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack import bundles
from nbtrack.cli import facts
from nbtrack.tracking import Client

from .calling import load, run


@pytest.fixture(autouse=True)
def _all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "read_bundle", lambda name: f"// {name}")


def doctor(*args: object, status: int = 0) -> dict[str, Any]:
    result = run("doctor", "--json", *args)
    assert result.exit_code == status, result.output
    found: dict[str, Any] = load(result.stdout)
    assert bool(found["problems"]) == (status == 1)
    return found


def test_all_is_well(filled: Client) -> None:
    found = doctor("--db", filled.path)
    assert found["installation"]["nbtrack"] == nbtrack.__version__
    database = found["database"]
    assert (database["path"], database["why"]) == (str(filled.path), "--db names it")
    assert (database["runs"], database["experiments"], database["in_trash"]) == (2, 2, 0)
    assert database["schema"] == database["schema_known"]
    assert (database["journal_mode"], database["writable"]) == ("wal", True)
    assert database["bytes"] == filled.path.stat().st_size
    assert database["disk_free"] > 0
    sklearn = next(x for x in found["libraries"] if x["name"] == "scikit-learn")
    assert (sklearn["role"], sklearn["in_range"]) == ("tracked", True)
    text = run("doctor", "--db", filled.path)
    assert text.exit_code == 0
    assert f"Database: {filled.path} (--db names it)" in text.stdout.splitlines()
    assert text.stdout.endswith("No problems were found.\n")


def test_no_database_is_no_problem(workdir: Path) -> None:
    found = doctor()["database"]
    assert found["path"] == str(workdir / "nbtrack.db")
    assert found["why"] == "there is none yet: the first run makes it"
    assert list(workdir.iterdir()) == []


def test_why_this_database(filled: Client, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workdir / "below").mkdir()
    monkeypatch.chdir(workdir / "below")
    assert doctor()["database"]["why"].startswith("it is the nearest")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{filled.path}")
    found = doctor()["database"]
    assert found["why"] == "the environment variable MLFLOW_TRACKING_URI names it"
    monkeypatch.setenv("NBTRACK_DB", str(filled.path))
    assert doctor()["database"]["why"] == "the environment variable NBTRACK_DB names it"


def test_files_that_cannot_be_used(workdir: Path) -> None:
    (workdir / "text.db").write_text("my notes " * 100)
    with closing(sqlite3.connect(workdir / "other.db")) as conn, conn:
        conn.execute("CREATE TABLE t (a)")
    for db, what in {
        "text.db": "no SQLite database",
        "other.db": "not one of nbtrack's",
        "no/folder/x.db": "There is no folder",
        "ftp://host/x": "not supported",
    }.items():
        (problem,) = doctor("--db", db, status=1)["problems"]
        assert what in problem["what"] or what in problem["hint"], problem
        assert problem["hint"]
    result = run("doctor", "--db", "text.db")
    assert result.exit_code == 1
    assert "Problem: " in result.stdout
    assert result.stderr == "Error: One problem was found.\n"


def test_a_newer_file(filled: Client) -> None:
    with closing(sqlite3.connect(filled.path)) as conn, conn:
        conn.execute("PRAGMA user_version = 999")
    (problem,) = doctor("--db", filled.path, status=1)["problems"]
    assert "schema 999" in problem["what"]


def test_a_damaged_file(filled: Client) -> None:
    filled.workspace.writer.close()
    with closing(sqlite3.connect(filled.path)) as conn, conn:
        conn.execute("PRAGMA writable_schema = ON")
        conn.execute("DELETE FROM sqlite_master WHERE name = 'registered_models'")
    assert doctor("--db", filled.path, status=1)["problems"]


def test_journals_are_shown(filled: Client) -> None:
    journal = filled.path.with_name(f"{filled.path.name}-pending-x")
    journal.write_bytes(b"12345")
    found = doctor("--db", filled.path)["database"]["journals"]
    assert {"path": str(journal), "bytes": 5} in found
    assert f"journal: {journal} (5 B)" in run("doctor", "--db", filled.path).stdout


@pytest.mark.usefixtures("workdir")
def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hunter3")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://me:hunter4@host/x")
    monkeypatch.setenv("NBTRACK_EXPERIMENT_NAME", "churn")
    with pytest.warns(UserWarning, match="left aside"):
        result = run("doctor")
    assert "hunter" not in result.output
    assert "NBTRACK_EXPERIMENT_NAME=churn" in result.stdout
    assert "hunter" not in run("doctor", "--json").output
    masked = run("doctor", "--mask-envs").stdout
    assert "churn" not in masked
    assert "NBTRACK_EXPERIMENT_NAME=***" in masked


@pytest.mark.usefixtures("workdir")
def test_a_password_in_an_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "postgres://me:hunter4@host/x"
    (problem,) = doctor("--db", address, status=1)["problems"]
    assert "hunter" not in str(problem)
    assert "hunter" not in run("runs", "list", "--db", address).output
    assert "hunter" not in run("runs", "list", "--db", address, "--json").output
    monkeypatch.setenv("NBTRACK_DB", address)
    assert "hunter" not in run("config").output
    assert "hunter" not in run("doctor").output


@pytest.mark.usefixtures("workdir")
def test_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(facts, "_version", lambda name: "0.1" if name == "scikit-learn" else None)
    monkeypatch.setattr("nbtrack.bundles.files", lambda package: Path(os.devnull).parent / "none")
    problems = [problem["what"] for problem in doctor(status=1)["problems"]]
    assert any(
        "scikit-learn is 0.1; nbtrack supports 1.4 and newer, below 2." in text for text in problems
    )
    assert any("was not built (widget.js is missing)" in text for text in problems)


@pytest.mark.usefixtures("workdir")
def test_a_disk_that_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_LITTLE_ROOM", 10**30)
    (problem,) = doctor(status=1)["problems"]
    assert "is nearly full" in problem["what"]
