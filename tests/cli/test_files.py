"""Artifacts on the command line: listed, taken out, put in."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nbtrack.tracking import Client

from .calling import fail, load, run, succeed


@pytest.fixture
def with_files(client: Client) -> Client:
    with client.start_run("files") as made:
        made.log_text("hello", "notes/deep/a.txt")
        made.log_text("you", "b.txt")
    client.start_run("none").end()
    client.flush()
    return client


def test_list(with_files: Client) -> None:
    db = with_files.path
    lines = succeed("artifacts", "list", "files", "--db", db).splitlines()
    assert [line.split() for line in lines] == [["path", "size"], ["b.txt", "3", "B"], ["notes/"]]
    found = load(
        succeed("artifacts", "list", "-r", "files", "-a", "notes/deep", "--json", "--db", db)
    )
    assert found == [{"path": "notes/deep/a.txt", "is_dir": False, "file_size": 5}]
    assert succeed("artifacts", "list", "none", "--db", db).startswith("There are no files with")
    assert load(succeed("artifacts", "list", "none", "--db", db, "--json")) == []


@pytest.mark.parametrize(
    ("path", "where", "files"),
    [
        (None, "out", {"notes/deep/a.txt", "b.txt"}),
        ("notes", "out/notes", {"notes/deep/a.txt"}),
        ("notes/deep", "out/deep", {"deep/a.txt"}),
        ("notes/deep/a.txt", "out/a.txt", {"a.txt"}),
        ("b.txt", "out/b.txt", {"b.txt"}),
    ],
)
def test_download_as_mlflow_does(
    with_files: Client, workdir: Path, path: str | None, where: str, files: set[str]
) -> None:
    chosen = [] if path is None else ["-a", path]
    said = succeed(
        "artifacts", "download", "-r", "files", *chosen, "-d", "out", "--db", with_files.path
    )
    assert said == f"{workdir / where}\n"
    found = [file for file in Path("out").rglob("*") if file.is_file()]
    assert {file.relative_to("out").as_posix() for file in found} == files


def test_download_by_a_uri(with_files: Client, workdir: Path) -> None:
    uri = "runs:/files/notes/deep/a.txt"
    args = ["artifacts", "download", "-u", uri, "--db", with_files.path]
    place = Path(load(succeed(*args, "--json"))["path"])
    assert place.read_text() == "hello"
    assert succeed(*args, "-d", "out") == f"{workdir / 'out' / 'a.txt'}\n"


def test_download_into_a_new_folder(with_files: Client) -> None:
    place = Path(succeed("artifacts", "download", "-r", "files", "--db", with_files.path).strip())
    assert (place / "b.txt").read_text() == "you"
    empty = Path(succeed("artifacts", "download", "-r", "none", "--db", with_files.path).strip())
    assert list(empty.iterdir()) == []


def test_what_cannot_be_downloaded(with_files: Client, workdir: Path) -> None:
    db = with_files.path
    download = ["artifacts", "download", "--db", db, "-d", "out"]
    assert "has no artifact 'c.txt'" in fail(*download, "-r", "files", "-a", "c.txt", status=3)
    assert "There is no run 'x'" in fail(*download, "-r", "x", status=3)
    assert "by -r, or" in fail(*download, status=2)
    assert "by -r, or" in fail(*download, "-r", "files", "-u", "runs:/files", status=2)
    assert "belongs to -r" in fail(*download, "-u", "runs:/files", "-a", "b.txt", status=2)
    assert "'../x'" in fail(*download, "-r", "files", "-a", "../x")
    assert not (workdir / "out").exists()
    (workdir / "out").write_text("a file")
    assert "is a file" in fail(*download, "-r", "files", status=2)


def test_paths_of_a_hostile_database_lead_nowhere(with_files: Client, workdir: Path) -> None:
    (workdir / "in").mkdir()
    with closing(sqlite3.connect(with_files.path)) as conn, conn:
        conn.execute("UPDATE artifacts SET path = '../evil/' || path")
    result = run("artifacts", "download", "-r", "files", "-d", "in/out", "--db", with_files.path)
    assert result.exit_code == 1
    assert "../evil/" in result.stderr
    assert not (workdir / "in" / "evil").exists()


def test_log_a_file_and_a_folder(with_files: Client, workdir: Path) -> None:
    db = with_files.path
    (workdir / "local" / "below").mkdir(parents=True)
    (workdir / "local" / "one.txt").write_text("1")
    (workdir / "local" / "below" / "two.bin").write_bytes(bytes(3000))
    log = ["artifacts", "log-artifact", "-r", "none", "--db", db]
    assert succeed(*log, "-l", "local/one.txt").startswith("1 file (1 B) kept with none (")
    done = load(succeed(*log, "-l", "local/one.txt", "-a", "sub", "--json"))
    assert (done["paths"], done["bytes"]) == (["sub/one.txt"], 1)
    log = ["artifacts", "log-artifacts", "-r", "none", "--db", db]
    done = load(succeed(*log, "-l", "local", "-a", "all", "--json"))
    assert sorted(done["paths"]) == ["all/below/two.bin", "all/one.txt"]
    run_id = with_files.get_run("none").info.run_id
    stored = {file.path: file.size_bytes for file in with_files.workspace.artifacts.list(run_id)}
    assert stored == {"one.txt": 1, "sub/one.txt": 1, "all/below/two.bin": 3000, "all/one.txt": 1}


def test_what_cannot_be_logged(with_files: Client, workdir: Path) -> None:
    db = with_files.path
    one = ["artifacts", "log-artifact", "--db", db, "-r", "none"]
    assert "nothing.txt" in fail(*one, "-l", "nothing.txt", status=3)
    assert "is a folder" in fail(*one, "-l", workdir)
    assert "There is no folder" in fail(
        "artifacts", "log-artifacts", "--db", db, "-r", "none", "-l", "nothing", status=3
    )
    assert "Missing option" in fail("artifacts", "log-artifact", "--db", db, "-r", "x", status=2)


def test_a_folder_that_cannot_be_written(with_files: Client, workdir: Path) -> None:
    (workdir / "out" / "b.txt").mkdir(parents=True)  # where a file goes
    message = fail("artifacts", "download", "-r", "files", "-d", "out", "--db", with_files.path)
    assert message.startswith("Error: The artifact 'b.txt' cannot be written to ")
