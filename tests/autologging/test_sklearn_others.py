"""What derives from scikit-learn's classes elsewhere, and the library's own ways in."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbtrack.tracking import later

NAME = "mlflow.runName"
X, y = make_classification(200, weights=[0.8], random_state=0)


def test_a_class_of_the_users_in_a_search(tracker):
    class Threshold(ClassifierMixin, BaseEstimator):
        def __init__(self, at=0.0):
            self.at = at

        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return (np.asarray(X)[:, 0] > self.at).astype(int)

    search = GridSearchCV(Threshold(), {"at": [-1.0, 0.0]}, cv=2).fit(X, y)
    accuracy_score(y, search.predict(X))
    parent, *children = tracker.runs
    assert len(children) == 2
    assert "accuracy_score_X" in parent.metrics
    assert "confusion_matrix_X" in parent.plots
    assert parent.models[0][0] == "GridSearchCV"


def test_imbalanced_learn(tracker):
    pytest.importorskip("imblearn")
    from imblearn.ensemble import BalancedRandomForestClassifier
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline as make_resampled
    from imblearn.under_sampling import RandomUnderSampler

    pipe = make_resampled(SMOTE(random_state=0), StandardScaler(), LogisticRegression(C=0.5))
    pipe.fit(X, y)
    f1_score(y, pipe.predict(X))
    BalancedRandomForestClassifier(10, random_state=0).fit(X, y)
    RandomUnderSampler(random_state=0).fit_resample(X, y)
    later.wait()
    first, second = tracker.runs
    assert [run.name for run in tracker.runs] == ["Pipeline", "BalancedRandomForestClassifier"]
    assert first.params["smote__k_neighbors"] == "5"
    assert first.params["logisticregression__C"] == "0.5"
    assert {"f1_score_X", "training_score"} <= set(first.metrics)
    assert "coefficients" in first.plots
    assert "feature_importance" in second.plots
    assert all(run.status == "FINISHED" for run in tracker.runs)
    assert (pickle.loads(first.models[0][2]).predict(X) == pipe.predict(X)).all()


def test_samplers_and_metrics_of_imbalanced_learn(tracker):
    """What a sampler fits inside is no run; its metrics land where those of sklearn do."""
    pytest.importorskip("imblearn")
    from imblearn.metrics import classification_report_imbalanced, geometric_mean_score
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline as make_resampled
    from imblearn.under_sampling import ClusterCentroids

    features, labels = SMOTE(random_state=0).fit_resample(X, y)
    ClusterCentroids(random_state=0).fit_resample(X, y)
    assert tracker.runs == []
    model = LogisticRegression().fit(features, labels)
    mean = geometric_mean_score(y, model.predict(X))
    classification_report_imbalanced(y, model.predict(X))
    (run,) = tracker.runs
    assert run.last("geometric_mean_score_X") == mean
    assert [key for key in run.metrics if key.endswith("_X")] == ["geometric_mean_score_X"]
    pipe = make_resampled(SMOTE(random_state=0), LogisticRegression())
    grid = {"smote__k_neighbors": [3, 5], "logisticregression__C": [1.0]}
    GridSearchCV(pipe, grid, cv=2).fit(X, y)
    _, parent, *children = tracker.runs
    assert {run.tags[NAME] for run in children} == {"k_neighbors=3", "k_neighbors=5"}
    assert all(run.parent is parent for run in children)
    cross_val_score(pipe, X, y, cv=2)
    assert tracker.runs[-1].name == "cross_val_score: Pipeline"


@pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9), reason="callbacks came with 1.9"
)
def test_callbacks_of_the_library_are_left_alone(tracker):
    class Listening:
        seen = 0

        def setup(self, *args, **kwargs):
            Listening.seen += 1

        def teardown(self, *args, **kwargs):
            Listening.seen += 1

        def on_fit_task_begin(self, *args, **kwargs):
            Listening.seen += 1

        def on_fit_task_end(self, *args, **kwargs):
            Listening.seen += 1

        on_fit_begin = on_fit_end = on_fit_task_begin

    def events():
        Listening.seen = 0
        model = LogisticRegression().set_callbacks(Listening())
        model.fit(X, y)
        return Listening.seen, model

    seen, model = events()
    assert seen > 0
    assert "nbtrack" not in repr(vars(model))
    from nbtrack import autologging

    autologging.disable()
    assert events()[0] == seen
    assert len(tracker.runs) == 1


def test_output_as_frames_and_metadata_routing(tracker):
    with sklearn.config_context(transform_output="pandas", enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        model = LogisticRegression().set_fit_request(sample_weight=True)
        pipe = make_pipeline(scaler, model)
        weights = np.linspace(0.1, 1, len(y))
        pipe.fit(X, y, sample_weight=weights)
        predicted = pipe.predict(X)
        assert clone(pipe).get_metadata_routing()
    (run,) = tracker.runs
    assert run.last("training_accuracy_score") == pytest.approx(
        accuracy_score(y, predicted, sample_weight=weights)
    )
