"""What names a model: every URI goes through one resolver."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import nbtrack
from nbtrack.errors import InvalidParameterError, NotFoundError
from nbtrack.registry.uri import LoggedModelUri, ModelUri, parse


@pytest.fixture
def model_id(workdir: Path) -> str:
    from sklearn.dummy import DummyClassifier

    nbtrack.set_tracking_uri(str(workdir / "nbtrack.db"))
    with nbtrack.start_run(run_name="mine"):
        info = nbtrack.sklearn.log_model(
            DummyClassifier().fit([[0]], [7]), registered_model_name="guess"
        )
    nbtrack.sklearn.save_model(DummyClassifier().fit([[0]], [7]), workdir / "saved")
    nbtrack.flush()
    return info.model_id


def test_every_uri(model_id: str, workdir: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").put(str(workdir / "saved"), "/models/saved", recursive=True)
    for uri in (
        "runs:/mine/model",
        "models:/guess/1",
        "models:/guess/latest",
        "models:/guess/None",
        f"models:/m-{model_id}",
        str(workdir / "saved"),
        (workdir / "saved").as_uri(),
        "memory://models/saved",
    ):
        assert nbtrack.sklearn.load_model(uri).predict([[0]]).tolist() == [7]
        assert nbtrack.pyfunc.load_model(uri).predict([[0]]).tolist() == [7]
        model: Any = nbtrack.load_model(uri)
        assert model.predict([[0]]).tolist() == [7]
    nbtrack.sklearn.load_model("memory://models/saved", workdir / "copy")
    assert (workdir / "copy" / "MLmodel").is_file()
    shutil.rmtree(workdir / "copy")


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("models:/guess/Production", NotFoundError),
        ("models:/m-" + "0" * 32, NotFoundError),
        ("memory://nowhere/at/all", NotFoundError),
        ("models:/guess/Sometimes", InvalidParameterError),
    ],
)
def test_what_is_not_there(model_id: str, uri: str, error: type[Exception]) -> None:
    if uri.startswith("memory"):
        pytest.importorskip("fsspec")
    with pytest.raises(error):
        nbtrack.load_model(uri)


def test_what_is_parsed() -> None:
    assert parse("models:/iris/production") == ModelUri("iris", "Production")
    assert parse("models:/m-" + "a" * 32) == LoggedModelUri("m-" + "a" * 32)
