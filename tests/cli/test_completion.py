"""What the shell is given to complete, and that this shell does so."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from nbtrack.cli import main
from nbtrack.tracking import Client

from .calling import fail, load, succeed


@pytest.fixture
def named(client: Client) -> Client:
    evil = ("$(touch evil)", "two words", "-n", "*", "~", "a\x1b", "`touch evil`", "a;touch evil")
    for name in ("forest", "forest-2", "日本", *evil):
        client.start_run(name, experiment_name="trees").end()
    client.flush()
    return client


def complete(*args: object) -> list[str]:
    *before, last = map(str, args)
    return [
        item.value
        for item in ShellComplete(main, {}, "nbtrack", "_X").get_completions(before, last)
    ]


def test_commands_and_options() -> None:
    assert complete("ru") == ["runs"]
    assert complete("runs", "re") == ["restore"]
    assert "--order-by" in complete("runs", "list", "--o")
    assert complete("runs", "list", "--view", "d") == ["deleted_only"]


def test_names_out_of_the_database(named: Client) -> None:
    db = ("--db", named.path)
    assert sorted(complete("runs", "show", *db, "for")) == ["forest", "forest-2"]
    assert complete(*db, "runs", "show", "日") == ["日本"]
    run_id = named.get_run("forest").info.run_id
    assert complete(*db, "runs", "delete", run_id[:6]) == [run_id]
    assert complete(*db, "runs", "delete", "x", "forest-") == ["forest-2"]
    assert complete(*db, "artifacts", "list", "-r", "forest-") == ["forest-2"]
    assert complete(*db, "runs", "list", "--experiment", "t") == ["trees"]
    assert complete(*db, "experiments", "get", "t") == ["trees"]
    assert complete(*db, "runs", "restore", "for") == []
    named.delete_run(run_id)
    assert complete(*db, "runs", "restore", "for") == [run_id]
    assert complete(*db, "runs", "restore", run_id[:1]) == [run_id]
    assert complete(*db, "runs", "show", "for") == ["forest-2"]


def test_the_environment_names_the_database(named: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBTRACK_DB", str(named.path))
    assert complete("experiments", "get", "t") == ["trees"]


def test_nothing_is_written_beside_the_words(workdir: Path) -> None:
    env = {
        **os.environ,
        "MLFLOW_TRACKING_URI": "ftp://host",
        "_NBTRACK_COMPLETE": "bash_complete",
        "COMP_WORDS": "nbtrack runs show x",
        "COMP_CWORD": "3",
    }
    command = [sys.executable, "-W", "error", "-m", "nbtrack"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=workdir, check=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_registered_models(client: Client) -> None:
    with client.start_run("one") as made:
        made.log_model({"any": "object"}, "sklearn")
    client.flush()
    client.register_model("one", "churn")
    assert complete("--db", client.path, "models", "show", "ch") == ["churn"]
    assert complete("--db", client.path, "models", "register", "one", "ch") == ["churn"]


def test_names_that_a_shell_would_run_are_left_out(named: Client) -> None:
    assert sorted(complete("--db", named.path, "runs", "show", "")) == [
        "forest",
        "forest-2",
        "日本",
    ]


def test_there_is_a_limit(client: Client) -> None:
    client.start_run("run").end()
    client.flush()
    with closing(sqlite3.connect(client.path)) as conn, conn:
        conn.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
            " INSERT INTO experiments (name, creation_time, last_update_time)"
            " SELECT 'e' || i, 0, 0 FROM n"
        )
    assert len(complete("--db", client.path, "experiments", "get", "e")) == 50


def test_whatever_is_wrong_nothing_is_found_and_nothing_made(workdir: Path) -> None:
    (workdir / "text.db").write_text("my notes " * 100)
    (workdir / "folder.db").mkdir()
    with closing(sqlite3.connect(workdir / "other.db")) as conn, conn:
        conn.execute("CREATE TABLE runs (run_id)")
    before = sorted(workdir.iterdir())
    for db in (
        "none.db",
        "text.db",
        "folder.db",
        "other.db",
        "http://x",
        "no/folder/x.db",
        "%",
        "\udc80",
    ):
        assert complete("--db", db, "runs", "show", "f") == []
        assert complete("--db", db, "models", "show", "'; --") == []
    assert sorted(workdir.iterdir()) == before


def test_scripts() -> None:
    for shell in ("bash", "zsh", "fish"):
        script = succeed("completion", shell)
        assert "_NBTRACK_COMPLETE" in script
        assert load(succeed("completion", shell, "--json"))["script"].strip() == script.strip()
    assert "'tcsh' is not one of" in fail("completion", "tcsh", status=2)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_real_bash(named: Client, workdir: Path) -> None:
    (workdir / "bin").mkdir()
    command = workdir / "bin" / "nbtrack"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nbtrack "$@"\n')
    command.chmod(0o755)
    script = f"""
    PATH="$PWD/bin:$PATH"
    eval "$(nbtrack completion bash)"
    ask() {{
        COMP_WORDS=(nbtrack "$@"); COMP_CWORD=$#; COMPREPLY=()
        _nbtrack_completion nbtrack; echo "${{COMPREPLY[@]}}"
    }}
    ask ru
    ask --db '{named.path}' runs show forest
    ask --db '{named.path}' runs show ''
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, check=True
    )
    lines = [sorted(line.split()) for line in done.stdout.splitlines()]
    assert lines == [["runs"], ["forest", "forest-2"], ["forest", "forest-2", "日本"]]
    assert not (workdir / "evil").exists()
