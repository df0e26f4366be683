"""``autolog``: each parameter does what it says, for all libraries or for one."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

import nbtrack
from nbtrack import autologging
from nbtrack.autologging import tally
from nbtrack.autologging.options import Options
from nbtrack.errors import InvalidParameterError
from nbtrack.settings import settings
from nbtrack.tracking import Client, active, location, notices

X, y = [[0.0], [1.0], [2.0], [3.0]] * 3, [0, 1, 0, 1] * 3


@pytest.fixture
def here(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr(location, "_chosen", [client.path])
    monkeypatch.setattr(settings, "values", {})
    token = active.stack.set(())
    yield client
    active.stack.reset(token)
    nbtrack.autolog(disable=True)


def fit() -> Any:
    return DummyClassifier().fit(X, y)


def runs(client: Client) -> list[Any]:
    return client.search_runs(["0"], order_by=["start_time"])


def has_model(client: Client, run: Any) -> bool:
    return bool(client.workspace.artifacts.list(run.info.run_id, "model"))


def test_on_and_off(here: Client) -> None:
    nbtrack.autolog()
    fit()
    nbtrack.autolog(disable=True)
    fit()
    (run,) = runs(here)
    assert run.data.tags["mlflow.autologging"] == "sklearn"
    assert has_model(here, run)
    assert run.inputs.dataset_inputs


def test_what_is_left_out(here: Client) -> None:
    tally.clear()
    nbtrack.autolog(log_models=False, log_datasets=False, extra_tags={"team": "blue", "n": 1})
    fit()
    (run,) = runs(here)
    assert not has_model(here, run)
    assert not run.inputs.dataset_inputs
    assert (run.data.tags["team"], run.data.tags["n"]) == ("blue", "1")
    assert tally.counts("sklearn")[1].keys() >= {
        "data: log_datasets is off",
        "model: log_models is off",
    }


def test_settings_turn_off_what_is_asked_for(here: Client) -> None:
    settings.log_models = False
    nbtrack.autolog(log_models=True)
    fit()
    assert not has_model(here, runs(here)[0])


def test_the_library_has_its_own_choice(here: Client) -> None:
    nbtrack.sklearn.autolog(log_models=False)
    nbtrack.autolog(log_models=True)
    fit()
    assert not has_model(here, runs(here)[0])
    nbtrack.sklearn.autolog(disable=True)
    nbtrack.autolog()
    fit()
    assert len(runs(here)) == 1
    nbtrack.sklearn.autolog()
    fit()
    assert len(runs(here)) == 2


def test_libraries_to_leave_alone(here: Client) -> None:
    nbtrack.autolog(exclude_flavors=["pytorch"])  # MLflow's name
    assert autologging.status()["torch"].reason == "not enabled"
    nbtrack.autolog(exclude_flavors=None)
    assert autologging.status()["torch"].reason != "not enabled"
    nbtrack.autolog(exclude_flavors=["sklearn"])
    fit()
    assert runs(here) == []
    for wrong in ("sklearn", ["nothing"], 1):
        with pytest.raises(InvalidParameterError):
            nbtrack.autolog(exclude_flavors=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("exclusive", [False, True])
def test_runs_of_the_user(here: Client, exclusive: bool) -> None:
    nbtrack.autolog(exclusive=exclusive)
    with nbtrack.start_run(run_name="mine"):
        fit()
    assert ("strategy" in here.get_run("mine").data.params) is not exclusive
    assert len(runs(here)) == 1 + exclusive


def test_silence(here: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(notices, "warn", lambda message, **_: said.append(message))

    class Loud(DummyClassifier):
        def get_params(self, deep: bool = True) -> Any:
            if deep:  # as nbtrack asks
                raise RuntimeError("no params")
            return super().get_params(deep=False)

    nbtrack.autolog(silent=True)
    Loud().fit(X, y)
    assert said == []
    nbtrack.autolog()
    Loud().fit(X, y)
    assert len(said) == 1
    assert "no params" in said[0]


@pytest.mark.parametrize(("limit", "children"), [(None, 4), (2, 2), (0, 0)])
def test_candidates(here: Client, limit: int | None, children: int) -> None:
    nbtrack.autolog(max_tuning_runs=limit)
    GridSearchCV(LogisticRegression(), {"C": [1, 2, 3, 4]}, cv=2).fit(X, y)
    assert len([run for run in runs(here) if run.info.parent_run_id]) == children


def test_metrics(here: Client) -> None:
    nbtrack.autolog(log_training_metrics=False, log_post_training_metrics=False)
    data, labels = np.array(X), np.array(y)
    LogisticRegression().fit(data, labels).score(data, labels)
    unwanted = {key for key in runs(here)[0].data.metrics if "score" in key}
    assert unwanted == set()
    nbtrack.autolog()
    LogisticRegression().fit(data, labels).score(data, labels)
    keys = set(runs(here)[1].data.metrics)
    assert {"training_score", "LogisticRegression_score_data"} <= keys


@pytest.mark.parametrize(
    "function", [nbtrack.autolog, nbtrack.sklearn.autolog, nbtrack.pytorch.autolog]
)
def test_parameters_are_those_of_the_options(function: Any) -> None:
    parameters = inspect.signature(function).parameters
    fields = {
        name: inspect.signature(Options).parameters[name]
        for name in parameters
        if name not in {"exclude_flavors", "extra_tags"}
    }
    assert {n: parameters[n].default for n in fields} == {n: f.default for n, f in fields.items()}
    with pytest.raises(InvalidParameterError):
        function(log_models="no")
    assert autologging.status()["sklearn"].reason == "not enabled"


SCRIPT = """
import nbtrack
nbtrack.autolog(registered_model_name="guesser")
from sklearn.dummy import DummyClassifier
model = DummyClassifier().fit([[0], [1]], [0, 1])
print(model.score([[0]], [0]))
"""


def test_a_plain_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-W", "error", script]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1.0\n", "")
    client = Client(tmp_path / "nbtrack.db")
    (run,) = runs(client)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.source.name"].endswith("script.py")
    (model,) = client.search_registered_models()
    assert (model.name, len(model.versions)) == ("guesser", 1)
    client.workspace.writer.close()


@pytest.mark.parametrize("tags", ["team=blue", ["team"], 3])
def test_tags_that_are_none_are_told_with_what_would_be(tags: object) -> None:
    with pytest.raises(InvalidParameterError, match=r"^extra_tags cannot be .*dict") as caught:
        nbtrack.autolog(extra_tags=tags)  # type: ignore[arg-type]
    assert caught.value.hint == "For example: extra_tags={'team': 'blue'}."
