"""The command line as a process: pipes, terminals, Ctrl-C, encodings, and its status."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from contextlib import closing
from pathlib import Path

import pytest

from nbtrack.cli.base import STATUSES
from nbtrack.cli.tables import columns
from nbtrack.tracking import Client

from .calling import run, succeed

_NBTRACK = [sys.executable, "-m", "nbtrack"]


def script(text: str, *args: object) -> list[str]:
    """Return how a process is called that does something before its command."""
    code = f"{text}\nfrom nbtrack.cli import main\nmain(prog_name='nbtrack')"
    return [sys.executable, "-c", code, *map(str, args)]


def in_terminal(command: list[str], width: int = 80) -> tuple[int, str]:
    """Run a command in a terminal of its own; return its status and all it has written."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    all_three = {"stdin": follower, "stdout": follower, "stderr": follower}
    env = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    with subprocess.Popen(command, **all_three, env=env) as child:
        os.close(follower)
        written = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            ready, _, _ = select.select([leader], [], [], 1)
            try:
                part = os.read(leader, 65536) if ready else b""
            except OSError:  # all who wrote have gone
                break
            if not part and (ready or child.poll() is not None):
                break
            written += part
        os.close(leader)
        return child.wait(30), written.decode()


# -- terminals

_AT_ONCE = """
import functools, tqdm, nbtrack.cli.base as base
base._PATIENCE_S = 0
tqdm.tqdm = functools.wraps(tqdm.tqdm)(functools.partial(tqdm.tqdm, mininterval=0))
"""


@pytest.fixture
def many(client: Client) -> Client:
    for number in range(30):
        with client.start_run(f"run {number}") as made:
            made.log_text("x" * 1000 + str(number), "a.txt")
    client.flush()
    return client


def commands(many: Client, folder: Path) -> dict[str, list[object]]:
    (folder / "local").mkdir()
    (folder / "local" / "a.bin").write_bytes(bytes(5000))
    db = ["--db", many.path]
    return {
        "check": ["db", "check", *db],
        "backup": ["db", "backup", folder / "copy.db", *db],
        "merge": ["merge", many.path, "--db", folder / "new.db"],
        "export": ["export", folder / "out.db", "--experiment", "Default", *db],
        "download": ["artifacts", "download", "-r", "run 1", "-d", folder / "out", *db],
        "log": ["artifacts", "log-artifacts", "-r", "run 1", "-l", folder / "local", *db],
    }


@pytest.mark.parametrize("what", ["check", "backup", "merge", "export", "download", "log"])
def test_a_terminal_shows_a_bar(many: Client, tmp_path: Path, what: str) -> None:
    status, written = in_terminal(script(_AT_ONCE, *commands(many, tmp_path)[what]))
    assert status == 0, written
    assert re.search(rf"{what}[^\r\n]*: +\d+%\|", written), repr(written)
    assert written.rpartition("\r\n")[2] == ""


def test_no_bar_where_nobody_waits_or_looks(many: Client, tmp_path: Path) -> None:
    calls = commands(many, tmp_path)
    for text, args in [
        (_AT_ONCE, [*calls["check"], "--quiet"]),
        (_AT_ONCE, ["-q", *calls["check"]]),
        ("import nbtrack.cli.base as base; base._PATIENCE_S = 1000", calls["check"]),
    ]:
        status, written = in_terminal(script(text, *args), 200)
        assert status == 0
        assert written == f"{many.path}: everything is as it was stored.\r\n"
    done = subprocess.run(script(_AT_ONCE, *calls["check"]), capture_output=True, check=True)
    assert done.stderr == b""


def test_tables_are_as_wide_as_the_terminal(client: Client) -> None:
    with client.start_run("日本語" * 30 + "\x1b[2J") as made:
        made.log_metrics({f"metric {i} with a long name": i / 7 for i in range(6)})
    client.flush()
    for width in (40, 80, 200):
        status, written = in_terminal([*_NBTRACK, "runs", "list", "--db", str(client.path)], width)
        assert status == 0
        assert "\x1b" not in written
        lines = written.split("\r\n")[:-1]
        assert len(lines) == 2
        assert all(columns(line) <= width for line in lines)
        assert "…" in lines[1]


# -- pipes


def test_a_pipe_that_is_closed(filled: Client) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
    command = [*_NBTRACK, "sql", f"{numbers} SELECT i FROM n", "--db", str(filled.path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait(30) == 141


def test_an_output_that_has_not_all_letters(client: Client) -> None:
    client.start_run("日本").end()
    client.flush()
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for args in (["runs", "list"], ["runs", "show", "日本"], ["runs", "show", "\udc80"]):
        command = [*_NBTRACK, *args, "--db", str(client.path)]
        done = subprocess.run(command, capture_output=True, env=env, check=False)
        assert done.returncode in {0, 3}
        assert b"Traceback" not in done.stderr


# -- Ctrl-C


@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c(filled: Client, as_json: bool) -> None:
    wait = (
        "import sys, time\nfrom nbtrack.tracking import Client\n"
        "def check(self, progress): print('now', flush=True); time.sleep(60)\n"
        "Client.check = check"
    )
    more = ["--json"] if as_json else []
    child = subprocess.Popen(
        script(wait, "db", "check", "--db", filled.path, *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "now\n"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert out == ""
    said = '{"error": "Interrupted.", "hint": null}' if as_json else "Error: Interrupted."
    assert err.strip() == said


def test_ctrl_c_in_an_endless_query(filled: Client) -> None:
    tell = (
        "from nbtrack.store import views\nread = views.query\n"
        "def query(*args): print('now', flush=True); return read(*args)\n"
        "views.query = query"
    )
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    child = subprocess.Popen(
        script(tell, "sql", query, "--db", filled.path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "now\n"
    time.sleep(0.5)  # it is in the midst of it
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (130, "")
    assert "Traceback" not in err


# -- warnings


def test_a_warning_is_a_sentence(filled: Client) -> None:
    env = {**os.environ, "MLFLOW_TRACKING_URI": "ftp://me:hunter2@host"}
    done = subprocess.run(
        [*_NBTRACK, "runs", "list"],
        capture_output=True,
        text=True,
        check=False,
        env=env,
        cwd=filled.path.parent,
    )
    assert done.stderr.startswith("nbtrack: MLFLOW_TRACKING_URI is left aside")
    assert ".py" not in done.stderr
    assert "hunter2" not in done.stderr
    assert "first" in done.stdout


# -- the status


def test_statuses_are_in_the_help() -> None:
    said = succeed("--help")
    for status, meaning in STATUSES.items():
        assert f"{status:>5}  {meaning}" in said


def test_statuses(filled: Client, tmp_path: Path) -> None:
    db = ["--db", filled.path]
    found = {
        0: run("runs", "list", *db),
        1: run("runs", "list", "--filter", "nonsense", *db),
        2: run("runs", "list", "--nonsense", *db),
        3: run("runs", "list", "--db", tmp_path / "none.db"),
    }
    (tmp_path / "text.db").write_text("my notes " * 100)
    found[4] = run("runs", "list", "--db", tmp_path / "text.db")
    assert {status: result.exit_code for status, result in found.items()} == {
        status: status for status in found
    }
    assert all(result.stdout == "" for status, result in found.items() if status)


def test_a_database_that_is_locked(filled: Client) -> None:
    filled.workspace.writer.close()
    with closing(sqlite3.connect(filled.path, isolation_level=None)) as conn:
        conn.execute("BEGIN EXCLUSIVE")
        done = subprocess.run(
            [*_NBTRACK, "models", "register", "first", "x", "--db", str(filled.path)],
            capture_output=True,
            text=True,
            check=False,
        )
        conn.execute("ROLLBACK")
    assert done.returncode == 4, done.stderr
    assert done.stdout == ""
    assert "hint: " in done.stderr
