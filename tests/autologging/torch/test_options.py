"""Each parameter of ``autolog`` does for loops what it says, in a real database."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import nbtrack
from nbtrack.autologging import tally
from nbtrack.settings import settings
from nbtrack.tracking import Client, active, later, location, notices

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

LOOP = """
for epoch in range(3):
    for xb, yb in loader:
        opt.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        opt.step()
    val_acc = (model(X).argmax(1) == y).float().mean().item()
"""
Cells = Callable[[str], BaseException | None]


@pytest.fixture
def here(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(location, "_chosen", [client.path])
    monkeypatch.setattr(settings, "values", {})
    token = active.stack.set(())
    yield client
    active.stack.reset(token)
    nbtrack.autolog(disable=True)


@pytest.fixture
def cell(here: Client) -> Cells:
    from tests.autologging.torch.conftest import SETUP, Notebook

    notebook = Notebook()
    assert notebook(SETUP) is None
    return notebook


def runs(client: Client) -> list[Any]:
    return client.search_runs(["0"], order_by=["start_time"])


def paths(client: Client, run: Any, folder: str) -> list[str]:
    return [row.path for row in client.workspace.artifacts.list(run.info.run_id, folder)]


def losses(client: Client, run: Any) -> list[int]:
    return [point.step for point in client.get_metric_history(run.info.run_id, "loss")]


def test_every_parameter_is_tried_here():
    own = set(inspect.signature(nbtrack.pytorch.autolog).parameters)
    tried = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert own <= tried | {"disable"}
    # What makes no sense for a loop cannot be asked of it.
    others = set(inspect.signature(nbtrack.autolog).parameters) - own
    assert others == {
        "log_input_examples", "log_model_signatures", "log_training_metrics",
        "log_post_training_metrics", "max_tuning_runs", "exclude_flavors",
    }  # fmt: skip
    with pytest.raises(TypeError, match="max_tuning_runs"):
        nbtrack.pytorch.autolog(max_tuning_runs=3)


def test_the_defaults(here: Client, cell: Cells) -> None:
    nbtrack.pytorch.autolog()
    assert cell(LOOP) is None
    (run,) = runs(here)
    assert losses(here, run) == list(range(9))
    assert paths(here, run, "model")
    assert run.inputs.dataset_inputs
    assert run.data.tags["mlflow.autologging"] == "torch"


def test_log_models(here: Client, cell: Cells) -> None:
    nbtrack.pytorch.autolog(log_models=False)
    cell(LOOP)
    (run,) = runs(here)
    assert not paths(here, run, "model")
    assert tally.counts("torch")[1]["model: log_models is off"] >= 1


def test_log_datasets(here: Client, cell: Cells) -> None:
    nbtrack.pytorch.autolog(log_datasets=False)
    cell(LOOP)
    (run,) = runs(here)
    assert not run.inputs.dataset_inputs
    assert run.data.params["batch_size"] == "20"


def test_disable_and_enable(here: Client, cell: Cells) -> None:
    nbtrack.pytorch.autolog(disable=True)
    nbtrack.autolog()
    cell(LOOP)
    assert runs(here) == []
    nbtrack.pytorch.autolog()
    cell(LOOP)
    assert len(runs(here)) == 1


def test_exclusive(here: Client, cell: Cells) -> None:
    nbtrack.pytorch.autolog(exclusive=True)
    with nbtrack.start_run(run_name="mine") as mine:
        cell(LOOP)
        cell(LOOP)  # goes on, beside the run of the user
    found = {run.info.run_id: run for run in runs(here)}
    assert "loss" not in found.pop(mine.run_id).data.metrics
    (run,) = found.values()
    assert losses(here, run) == list(range(18))


def test_silent(here: Client, cell: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(notices, "warn", said.append)
    settings.values["max_model_mb"] = 1e-6  # a notice
    for silent in (True, False):
        nbtrack.pytorch.autolog(silent=silent)
        cell("model = make()\nopt = torch.optim.SGD(model.parameters(), lr=0.2)" + LOOP)
        with monkeypatch.context() as patch:
            broken = lambda *_: 1 / 0  # noqa: E731
            patch.setattr("nbtrack.autologging.torch.models.model_params", broken)
            cell("import nbtrack\nnbtrack.watch(make())")
        noticed = any("nbtrack.notice.model" in run.data.tags for run in runs(here))
        assert noticed is not silent
        assert bool(said) is not silent, said


def test_log_every_n_steps(here: Client, cell: Cells) -> None:
    nbtrack.pytorch.autolog(log_every_n_steps=4)
    cell(LOOP)
    (run,) = runs(here)
    assert losses(here, run) == [0, 4, 8]
    nbtrack.pytorch.autolog(log_every_n_steps=1)  # counts from the next cell on
    cell(LOOP)
    assert losses(here, run) == [0, 4, 8, *range(9, 18)]


def test_registered_model_name(here: Client, cell: Cells) -> None:
    nbtrack.pytorch.autolog(registered_model_name="net")
    cell(LOOP)
    cell("model = make()\nopt = torch.optim.SGD(model.parameters(), lr=0.2)" + LOOP)
    later.wait()
    versions = [here.workspace.registry.get_version("net", number) for number in (1, 2)]
    assert {version.run_id for version in versions} == {run.info.run_id for run in runs(here)}
    loaded = nbtrack.load_model("models:/net/2")
    assert torch.equal(loaded["0.weight"], cell.space["model"][0].weight)


def test_extra_tags(here: Client, cell: Cells) -> None:
    nbtrack.pytorch.autolog(extra_tags={"team": "blue"})
    cell(LOOP)
    (run,) = runs(here)
    assert run.data.tags["team"] == "blue"


def test_exclude_flavors(here: Client, cell: Cells) -> None:
    nbtrack.autolog(exclude_flavors=["torch"])
    cell(LOOP)
    assert runs(here) == []


@pytest.mark.parametrize("given", [{"log_every_n_steps": 0}, {"silent": 1}, {"extra_tags": 3}])
def test_what_is_refused(given: dict[str, Any], here: Client) -> None:
    with pytest.raises((nbtrack.errors.InvalidParameterError, TypeError)):
        nbtrack.pytorch.autolog(**given)
