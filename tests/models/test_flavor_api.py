"""What ``log_model``, ``save_model`` and ``load_model`` of every flavor do."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

import nbtrack
from nbtrack.errors import InvalidParameterError, UntrustedModelError
from nbtrack.models import load_predictor
from nbtrack.models.flavors import ModelTooLargeError, flavor_names, flavor_of, get_flavor
from nbtrack.settings import settings


def fitted() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])


@pytest.fixture(autouse=True)
def _database(workdir: Path) -> None:
    nbtrack.set_tracking_uri(str(workdir / "nbtrack.db"))


@pytest.mark.parametrize("name", flavor_names())
def test_a_flavor_is_what_it_has_to_be(name: str) -> None:
    flavor = get_flavor(name)
    assert flavor.NAMES
    assert flavor.LOADERS
    assert all(
        callable(getattr(flavor, function))
        for function in ("is_model", "snapshot", "load", "predictor", "runs_code")
    )


def test_a_model_is_recognized() -> None:
    assert flavor_of(fitted()) is get_flavor("sklearn")
    assert flavor_of(object()) is None


def test_log_and_load() -> None:
    with nbtrack.start_run() as run:
        info = nbtrack.sklearn.log_model(
            fitted(), name="mine", registered_model_name="iris", metadata={"by": "me"}
        )
    assert (info.model_uri, info.run_id) == (f"runs:/{run.run_id}/mine", run.run_id)
    assert (info.artifact_path, info.metadata) == ("mine", {"by": "me"})
    for uri in (info.model_uri, "models:/iris/1"):
        model = nbtrack.sklearn.load_model(uri)
        assert model.predict([[0.0], [3.0]]).tolist() == [0, 1]
    (logged,) = nbtrack.get_run(run.run_id).models
    assert logged.model_id == info.model_id


def test_a_run_begins_if_none_is_active() -> None:
    info = nbtrack.sklearn.log_model(fitted())
    run = nbtrack.active_run()
    assert run is not None
    nbtrack.end_run()
    assert info.model_uri == f"runs:/{run.run_id}/model"


def test_save_and_load(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "model"
    nbtrack.sklearn.save_model(fitted(), folder, pyfunc_predict_fn="predict_proba")
    content = yaml.safe_load((folder / "MLmodel").read_text())
    assert "run_id" not in content
    assert "artifact_path" not in content
    assert nbtrack.sklearn.load_model(str(folder)).predict([[3.0]]).tolist() == [1]
    assert load_predictor(folder).predict([[3.0]]).shape == (1, 2)
    with pytest.raises(InvalidParameterError, match="there is something already"):
        nbtrack.sklearn.save_model(fitted(), folder)


def test_dst_path_keeps_the_files(tmp_path: Path) -> None:
    nbtrack.sklearn.save_model(fitted(), tmp_path / "model")
    nbtrack.sklearn.load_model(str(tmp_path / "model"), tmp_path / "copy")
    assert (tmp_path / "copy" / "MLmodel").is_file()


def test_a_predictor_is_trusted_like_its_model(tmp_path: Path) -> None:
    nbtrack.sklearn.save_model(fitted(), tmp_path / "model")
    (tmp_path / "model" / "more").write_text("")
    with pytest.raises(UntrustedModelError, match="it is a pickle"):
        load_predictor(tmp_path / "model")
    assert load_predictor(tmp_path / "model", trust=True).predict([[3.0]]).tolist() == [1]


def test_a_model_with_a_loader_only(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    nbtrack.sklearn.save_model(fitted(), folder)
    content = yaml.safe_load((folder / "MLmodel").read_text())
    del content["flavors"]["sklearn"]
    (folder / "MLmodel").write_text(yaml.safe_dump(content))
    assert load_predictor(folder, trust=True).predict([[3.0]]).tolist() == [1]


def test_environment(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("# what it needs\nnumpy\npandas>=2 # for frames\n")
    nbtrack.sklearn.save_model(
        fitted(), tmp_path / "a", pip_requirements=[f"-r {tmp_path / 'more.txt'}", "scipy"]
    )
    assert (tmp_path / "a" / "requirements.txt").read_text() == "numpy\npandas>=2\nscipy\n"
    nbtrack.sklearn.save_model(fitted(), tmp_path / "b", extra_pip_requirements=["mine==1"])
    lines = (tmp_path / "b" / "requirements.txt").read_text().splitlines()
    assert lines[-1] == "mine==1"
    assert any(line.startswith("scikit-learn==") for line in lines)


def test_code_goes_along(tmp_path: Path) -> None:
    (tmp_path / "lib" / "__pycache__").mkdir(parents=True)
    (tmp_path / "lib" / "a.py").write_text("x = 1\n")
    (tmp_path / "lib" / "__pycache__" / "a.pyc").write_text("")
    nbtrack.sklearn.save_model(fitted(), tmp_path / "model", code_paths=[tmp_path / "lib"])
    files = [p for p in (tmp_path / "model" / "code").rglob("*") if p.is_file()]
    assert files == [tmp_path / "model" / "code" / "lib" / "a.py"]
    flavors = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())["flavors"]
    assert {entry["code"] for entry in flavors.values()} == {"code"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "a", "artifact_path": "b"}, "has two names"),
        ({"pip_requirements": ["a"], "extra_pip_requirements": ["b"]}, "were given"),
        ({"pip_requirements": ["-c limits.txt"]}, "names a file that the model would not have"),
        ({"pip_requirements": "nowhere.txt"}, "cannot be read"),
        ({"metadata": {"x": object()}}, "The metadata cannot be kept"),
        ({"code_paths": ["nowhere"]}, "There is no 'nowhere'"),
        ({"input_example": object()}, "cannot be an input example"),
    ],
)
def test_what_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        nbtrack.sklearn.log_model(fitted(), **given)
    assert nbtrack.active_run() is None


def test_a_model_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.values, "max_model_mb", 1)
    with warnings.catch_warnings(), pytest.raises(ModelTooLargeError, match="more than 1 MB"):
        nbtrack.sklearn.log_model(bytes(2**21))
