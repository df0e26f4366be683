"""Models that were fitted before become runs, and say that nobody saw the fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nbtrack
from nbtrack import autologging
from nbtrack.autologging.tracker import FluentTracker
from nbtrack.errors import InvalidParameterError, StoreError
from nbtrack.tracking import Client, active, location

features = np.random.default_rng(0).normal(size=(30, 2))
labels = (features[:, 0] > 0).astype(int)


@pytest.fixture
def here(client: Client, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(location, "_chosen", [client.path])
    token = active.stack.set(())
    yield client
    active.stack.reset(token)
    autologging.disable()


def test_all_but_the_fit_is_there(here: Client) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(features, labels)
    run = nbtrack.adopt(model)
    stored = here.get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.params["logisticregression__C"] == "0.5"
    assert stored.data.tags["nbtrack.adopted"] == "True"
    assert "not known" in stored.data.tags["nbtrack.notice.adopted"]
    assert "fit_time_s" not in stored.data.metrics
    assert not stored.inputs.dataset_inputs
    loaded: Any = nbtrack.load_model(f"runs:/{run.run_id}/model")
    np.testing.assert_array_equal(loaded.predict(features), model.predict(features))


def test_metrics_find_it(here: Client) -> None:
    model = LogisticRegression().fit(features, labels)
    autologging.enable(FluentTracker())
    run = nbtrack.adopt(model)
    score = accuracy_score(labels, model.predict(features))
    assert here.get_run(run.run_id).data.metrics["accuracy_score_features"] == score
    assert len(here.search_runs(["0"])) == 1


def test_a_search_has_its_candidates(here: Client) -> None:
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2).fit(features, labels)
    run = nbtrack.adopt(search)
    assert "best_cv_score" in here.get_run(run.run_id).data.metrics
    children = [r for r in here.search_runs(["0"]) if r.info.parent_run_id == run.run_id]
    assert len(children) == 2


def test_into_the_active_run(here: Client) -> None:
    model = DummyClassifier().fit(features, labels)
    with nbtrack.start_run(run_name="mine") as mine:
        assert nbtrack.adopt(model).run_id == mine.run_id
        assert mine.end_time is None
    assert here.get_run("mine").data.params["strategy"] == "prior"


class Hostile:
    """Something that only looks like a model."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


@pytest.mark.parametrize(
    "model", [None, 1, "model", Hostile(), DummyClassifier, object(), {"fit": 1}, lambda x: x]
)
def test_what_is_no_model(here: Client, model: Any) -> None:
    with pytest.raises(InvalidParameterError, match="is no model that can become a run"):
        nbtrack.adopt(model)


def test_a_model_that_is_not_fitted(here: Client) -> None:
    with pytest.raises(InvalidParameterError, match="The LogisticRegression is not fitted"):
        nbtrack.adopt(LogisticRegression())
    assert here.search_runs(["0"]) == []


def test_no_run_can_be_begun(here: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise StoreError("no")

    monkeypatch.setattr(FluentTracker, "begin_run", fail)
    monkeypatch.setattr(FluentTracker, "warn", lambda *_: None)
    with pytest.raises(StoreError, match="No run could be begun"):
        nbtrack.adopt(DummyClassifier().fit(features, labels))
