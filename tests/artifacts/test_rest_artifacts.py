"""Artifacts of a server's runs: at the server, on a shared disk, in a storage of fsspec's."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from nbtrack.artifacts.rest import RestArtifacts
from nbtrack.db import Loggable
from nbtrack.errors import InvalidParameterError, MissingPackageError, NotFoundError
from nbtrack.testing.fake_server import FakeServer, running
from nbtrack.types import ModelInfo
from nbtrack.wire import Address, Http

FILES = {"a.txt": b"a", "deep/er/b c.bin": bytes(range(256)) * 5_000, "empty": b""}


class Sink:
    """Keeps nothing: what is written by `write` is there at once."""

    def submit(self, record: Loggable) -> None:
        raise AssertionError(record)

    def add_point(self, run_id: str, key: str, value: float, step: int, timestamp: int) -> None:
        raise AssertionError(key)

    def expect(self, run_id: str, keys: Iterable[str]) -> None:
        raise AssertionError(keys)

    def flush(self, timeout: float = 10.0) -> None:
        """Do nothing."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running() as server:
        yield server


def at(uri: str, server: FakeServer, models: tuple[ModelInfo, ...] = ()) -> RestArtifacts:
    """Return the artifacts of runs that are all at one place."""
    return RestArtifacts(
        Http(Address(server.address)), Sink(), lambda owner: f"{uri}/{owner}", lambda _: models
    )


@pytest.fixture(params=["path", "file", "memory"])
def artifacts(request: pytest.FixtureRequest, server: FakeServer, tmp_path: Path) -> RestArtifacts:
    roots = {
        "path": str(tmp_path / "ar t"),
        "file": (tmp_path / "ar t").as_uri(),
        "memory": f"memory://{uuid.uuid4().hex}",
    }
    return at(roots[request.param], server)


def test_files_go_there_and_come_back(artifacts: RestArtifacts, tmp_path: Path) -> None:
    for path, data in FILES.items():
        artifacts.write("run", path, io.BytesIO(data) if path == "a.txt" else data)
    found = artifacts.list("run")
    assert [(f.path, f.size_bytes) for f in found] == [(p, len(FILES[p])) for p in sorted(FILES)]
    assert [f.path for f in artifacts.list("run", "deep")] == ["deep/er/b c.bin"]
    assert [f.path for f in artifacts.list("run", "a.txt")] == ["a.txt"]
    assert artifacts.list("run", "nothing") == artifacts.list("other") == []
    for path, data in FILES.items():
        assert artifacts.read("run", path) == data
    place = artifacts.download("run", "deep", tmp_path / "out")
    assert (place / "er" / "b c.bin").read_bytes() == FILES["deep/er/b c.bin"]
    for path in ("nothing", "deep"):
        with pytest.raises(NotFoundError, match=f"no artifact '{path}'"):
            artifacts.read("run", path)


def test_paths_stay_inside(artifacts: RestArtifacts) -> None:
    for path in ("../a", "/a", "a/../../b", ""):
        with pytest.raises(InvalidParameterError, match="no path for an artifact"):
            artifacts.write("run", path, b"x")


def test_files_of_a_logged_model_are_below_its_name(server: FakeServer, tmp_path: Path) -> None:
    model = ModelInfo("m-1", "run", "model", "", "", 0, 0)
    artifacts = at(str(tmp_path / "root"), server, (model,))
    artifacts.write("m-1", "MLmodel", b"flavors")
    artifacts.write("m-1", "data/x", b"y")
    place = artifacts.download("run", "model", tmp_path / "out")
    assert (place / "MLmodel").read_bytes() == b"flavors"
    assert artifacts.download("run", "model/data", tmp_path / "o2").joinpath("x").is_file()
    with pytest.raises(NotFoundError):
        artifacts.download("run", "other", tmp_path / "out")


def test_another_server_is_not_asked(server: FakeServer) -> None:
    artifacts = at("mlflow-artifacts://elsewhere:5000/1", server)
    with pytest.raises(InvalidParameterError, match="at another server, 'elsewhere:5000'"):
        artifacts.read("run", "a.txt")
    same = at(f"mlflow-artifacts://127.0.0.1:{server.port}/1", server)
    same.write("run", "a.txt", b"x")
    assert server.files == {"1/run/a.txt": b"x"}


def test_a_storage_that_nobody_knows(server: FakeServer) -> None:
    with pytest.raises(MissingPackageError, match="pip install fsspec"):
        at("nosuch://bucket", server).read("run", "a.txt")
