"""Files of runs: what goes in, what comes out, and paths that lead elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbtrack
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.tracking import ActiveRun, Client
from nbtrack.tracking.paths import inside

pytestmark = pytest.mark.usefixtures("default")


@pytest.fixture
def run(client: Client) -> ActiveRun:
    return client.start_run("r")


def paths(client: Client) -> list[str]:
    return [file.path for file in client.workspace.artifacts.list(client.handle("r").run_id)]


@pytest.mark.parametrize(
    "path",
    ["../up.txt", "/etc/passwd", "a/../../b", "..", "a\\b", "c:/x", "a\0b", "", ".", "a/ /b"],
)
def test_paths_that_lead_elsewhere(client: Client, run: ActiveRun, path: str) -> None:
    calls: list[Any] = [
        lambda: run.log_text("x", path),
        lambda: run.log_dict({}, path),
        lambda: run.log_image(np.zeros((2, 2)), path),
        lambda: run.log_table({"a": [1]}, f"{path}/t.json"),
    ]
    for call in calls[: 3 if path in {"", "."} else 4]:
        with pytest.raises(InvalidParameterError):
            call()
    if path not in {"", "."}:  # these mean the top
        with pytest.raises(InvalidParameterError):
            run.log_artifacts(client.path.parent, path)
        with pytest.raises(InvalidParameterError):
            client.download_artifacts("r", path)
    assert paths(client) == []


def test_plain_forms() -> None:
    assert inside("a//b/./c/") == "a/b/c"
    assert inside(Path("a/b")) == "a/b"


def test_a_file_is_read_in_the_call(client: Client, run: ActiveRun, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("before")
    run.log_artifact(file)
    file.write_text("after")
    file.unlink()
    assert nbtrack.artifacts.load_text("runs:/r/a.txt") == "before"


def test_folders(client: Client, run: ActiveRun, tmp_path: Path) -> None:
    folder = tmp_path / "plots"
    (folder / "deep").mkdir(parents=True)
    (folder / "a").write_bytes(b"")
    (folder / "deep" / "b").write_bytes(b"1")
    run.log_artifact(folder)
    run.log_artifact(folder, "x")
    run.log_artifacts(folder, "y")
    tree = ("a", "deep/b")
    assert paths(client) == [f"{top}/{name}" for top in ("plots", "x/plots", "y") for name in tree]


def test_links(client: Client, run: ActiveRun, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "loop").symlink_to(folder)
    (tmp_path / "real").write_text("x")
    (folder / "link").symlink_to(tmp_path / "real")
    run.log_artifacts(folder)
    assert paths(client) == ["link"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_nothing_is_kept_of_a_folder_with_a_pipe(
    client: Client, run: ActiveRun, tmp_path: Path
) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "a").write_text("x")
    os.mkfifo(folder / "pipe")
    with pytest.raises(InvalidParameterError, match="is no file that can be logged"):
        run.log_artifacts(folder)
    with pytest.raises(InvalidParameterError, match="is no file that can be logged"):
        run.log_artifact(folder / "pipe")
    assert paths(client) == []


def test_names_that_cannot_be_kept(client: Client, run: ActiveRun, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "a").write_text("x")
    (folder / "b:c").write_text("x")
    with pytest.raises(InvalidParameterError, match="'b:c' is no path for an artifact"):
        run.log_artifacts(folder)
    assert paths(client) == []


def test_what_is_not_there(run: ActiveRun, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no file"):
        run.log_artifact(tmp_path / "no")
    with pytest.raises(NotFoundError, match="There is no folder"):
        run.log_artifacts(tmp_path / "no")
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidParameterError, match="is no folder"):
        run.log_artifacts(tmp_path / "file")


def test_odd_names_in_uris(run: ActiveRun) -> None:
    with nbtrack.start_run(run_name="other"):
        nbtrack.log_text("hello", "100%41 ü#.txt")
        uri = nbtrack.get_artifact_uri("100%41 ü#.txt")
    assert nbtrack.artifacts.load_text(uri) == "hello"


def test_downloads(client: Client, run: ActiveRun, tmp_path: Path) -> None:
    run.log_text("1", "a/b/c.txt")
    run.log_text("2", "a/d.txt")
    target = tmp_path / "out"
    assert client.download_artifacts("r", "a/b/c.txt", target) == str(target / "a" / "b" / "c.txt")
    get = nbtrack.artifacts.download_artifacts
    assert get("runs:/r/a/b/c.txt", dst_path=target) == str(target / "c.txt")
    assert get(run_id="r", artifact_path="a/b", dst_path=target) == str(target / "b")
    assert (target / "b" / "c.txt").read_text() == "1"
    assert sorted(p.name for p in target.iterdir()) == ["a", "b", "c.txt"]
    whole = Path(get("runs:/r"))
    assert sorted(p.name for p in whole.rglob("*.txt")) == ["c.txt", "d.txt"]
    client.start_run("empty")
    assert list(Path(client.download_artifacts("empty")).iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidParameterError, match="cannot be made"):
        client.download_artifacts("r", "a", tmp_path / "file")


def test_from_the_disk(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("x")
    get = nbtrack.artifacts.download_artifacts
    assert get((tmp_path / "in" / "a.txt").as_uri()) == str(tmp_path / "in" / "a.txt")
    copied = get(str(tmp_path / "in"), dst_path=tmp_path / "out")
    assert copied == str(tmp_path / "out" / "in")
    assert [f.path for f in nbtrack.artifacts.list_artifacts(str(tmp_path / "in"))] == ["a.txt"]
    with pytest.raises(NotFoundError):
        get(str(tmp_path / "no"))
    with pytest.raises(InvalidParameterError, match="Artifacts cannot be taken from"):
        get("s3://bucket/x")


def test_a_registered_model(client: Client, run: ActiveRun) -> None:
    run.log_model({"any": "object"}, "sklearn")
    client.register_model("r", "m")
    folder = Path(nbtrack.artifacts.download_artifacts("models:/m/1"))
    assert (folder / "MLmodel").exists()


@pytest.mark.parametrize(
    ("load", "kind"), [("load_text", "text"), ("load_dict", "JSON"), ("load_image", "image")]
)
def test_what_is_something_else(run: ActiveRun, tmp_path: Path, load: str, kind: str) -> None:
    (tmp_path / "a.bin").write_bytes(b"\xff\xfe\0{")
    run.log_artifact(tmp_path / "a.bin", "deep")
    with pytest.raises(InvalidParameterError, match=f"is no {kind}"):
        getattr(nbtrack.artifacts, load)("runs:/r/deep/a.bin")
    with pytest.raises(InvalidParameterError, match="is a folder"):
        getattr(nbtrack.artifacts, load)("runs:/r/deep")


def test_tables_of_several_runs(client: Client) -> None:
    for name in ("a", "b"):
        with client.start_run(name) as run:
            run.log_table({"x": [1], "status": ["mine"]}, "t.json")
    client.start_run("without").end()
    frame = nbtrack.load_table("t.json", extra_columns=["run_id", "status"])
    assert list(frame.columns) == ["x", "status", "run_id", "status_"]
    assert nbtrack.load_table("t.json", run_ids=["a"])["x"].tolist() == [1]
    with pytest.warns(UserWarning, match="1 of the runs have no table"):
        nbtrack.load_table("t.json", run_ids=["a", "without"])
    with pytest.raises(InvalidParameterError, match="'nothing' is no column"):
        nbtrack.load_table("t.json", extra_columns=["nothing"])


def test_names_of_the_module() -> None:
    assert {"load_text", "list_artifacts", "sha256"} <= set(dir(nbtrack.artifacts))
    with pytest.raises(AttributeError):
        nbtrack.artifacts.nothing  # noqa: B018
