"""Modules that were trained before become runs, and say that nobody saw the training."""

from __future__ import annotations

from typing import Any

import pytest

import nbtrack
from nbtrack import autologging
from nbtrack.autologging.tracker import FluentTracker
from nbtrack.errors import InvalidParameterError, StoreError
from nbtrack.tracking import Client, active, location

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")


@pytest.fixture
def here(client: Client, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(location, "_chosen", [client.path])
    token = active.stack.set(())
    yield client
    active.stack.reset(token)
    autologging.disable()


def network() -> Any:
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))


def test_all_but_the_training_is_there(here: Client) -> None:
    net = network()
    run = nbtrack.adopt(net)
    stored = here.get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.params["n_params"] == "21"
    assert stored.data.params["model"] == "Sequential"
    assert stored.data.tags["nbtrack.adopted"] == "True"
    assert "not known" in stored.data.tags["nbtrack.notice.adopted"]
    assert "plots/Sequential structure.json" in [
        a.path for a in here.list_artifacts(run.run_id, "plots")
    ]
    loaded: Any = nbtrack.load_model(f"runs:/{run.run_id}/model")
    state = loaded if isinstance(loaded, dict) else loaded.state_dict()
    assert all(torch.equal(state[key], value) for key, value in net.state_dict().items())


def test_into_the_active_run(here: Client) -> None:
    with nbtrack.start_run(run_name="mine") as mine:
        nbtrack.log_param("model", "my own")
        assert nbtrack.adopt(network()).run_id == mine.run_id
    params = here.get_run("mine").data.params
    assert (params["model"], params["Sequential.model"]) == ("my own", "Sequential")


def test_what_is_no_trained_module(here: Client) -> None:
    with pytest.raises(InvalidParameterError, match="The class Linear is no model"):
        nbtrack.adopt(torch.nn.Linear)
    with pytest.raises(InvalidParameterError, match="A Tensor is no model") as error:
        nbtrack.adopt(torch.zeros(3))
    assert "sklearn, xgboost, lightgbm, catboost, torch" in str(error.value.hint)
    with pytest.raises(InvalidParameterError, match="parameters without a shape"):
        nbtrack.adopt(torch.nn.LazyLinear(3))
    assert here.search_runs(["0"]) == []


def test_no_run_can_be_begun(here: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise StoreError("no")

    monkeypatch.setattr(FluentTracker, "begin_run", fail)
    monkeypatch.setattr(FluentTracker, "warn", lambda *_: None)
    with pytest.raises(StoreError, match="No run could be begun"):
        nbtrack.adopt(network())
