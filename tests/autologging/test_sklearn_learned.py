"""What a fitted estimator tells of itself: curves, numbers, weights with the names of features."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from nbtrack.tracking import later

FRAME, TARGET = load_breast_cancer(return_X_y=True, as_frame=True)
X, y = load_iris(return_X_y=True)


def values(run, key):
    return [value for _, value in run.metrics[key]]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:The SAMME.R:FutureWarning")
def test_curves(tracker):
    mlp = MLPClassifier((3,), max_iter=7, early_stopping=True).fit(X, y)
    boosting = GradientBoostingClassifier(n_estimators=4, subsample=0.5).fit(X, y)
    hist = HistGradientBoostingClassifier(max_iter=5, early_stopping=True).fit(X, y)
    HistGradientBoostingClassifier(max_iter=5).fit(X, y)
    ada = AdaBoostClassifier(n_estimators=3).fit(X, y)
    runs = tracker.runs
    assert values(runs[0], "loss_curve") == mlp.loss_curve_
    assert values(runs[0], "validation_scores") == mlp.validation_scores_
    assert values(runs[1], "train_score") == boosting.train_score_.tolist()
    assert values(runs[1], "oob_improvement") == boosting.oob_improvement_.tolist()
    assert values(runs[2], "train_score") == hist.train_score_.tolist()
    assert values(runs[2], "validation_score") == hist.validation_score_.tolist()
    assert "train_score" not in runs[3].metrics
    assert values(runs[4], "estimator_errors") == ada.estimator_errors_.tolist()


def test_numbers(tracker):
    kmeans = KMeans(3, n_init=1).fit(X)
    forest = RandomForestClassifier(60, oob_score=True, random_state=0).fit(X, y)
    mixture = GaussianMixture(2).fit(X)
    first, second, third = tracker.runs
    assert first.last("inertia") == kmeans.inertia_
    assert first.last("n_iter") == kmeans.n_iter_
    assert second.last("oob_score") == forest.oob_score_
    assert third.last("lower_bound") == mixture.lower_bound_


@pytest.mark.filterwarnings("ignore:The SAMME.R:FutureWarning")
@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(7, random_state=0),
        RandomForestClassifier(3, max_depth=1, max_features=1, random_state=0),
        ExtraTreesRegressor(5, random_state=0),
        DecisionTreeClassifier(),
        GradientBoostingClassifier(n_estimators=3),
        AdaBoostClassifier(n_estimators=3),
    ],
    ids=lambda model: type(model).__name__,
)
def test_importances(tracker, model):
    model.fit(FRAME, TARGET)
    later.wait()
    table = tracker.runs[0].plots["feature_importance"]
    found = dict(zip(table["columns"]["feature"], table["columns"]["importance"], strict=True))
    expected = dict(zip(FRAME.columns, model.feature_importances_, strict=True))
    assert found == pytest.approx(expected)
    assert table["columns"]["importance"] == sorted(found.values(), reverse=True)


def test_importances_of_a_stump(tracker):
    RandomForestClassifier(2).fit(np.ones((4, 2)), [0, 1, 0, 1])
    DecisionTreeClassifier().fit(np.ones((4, 2)), [0, 1, 0, 1])
    later.wait()
    assert "feature_importance" not in tracker.runs[0].plots
    assert tracker.runs[1].plots["feature_importance"]["columns"]["importance"] == [0, 0]


def test_coefficients(tracker):
    model = LogisticRegression(max_iter=5000).fit(FRAME, TARGET)
    names = np.array(["a", "b", "feature"])[y]
    three = LogisticRegression(max_iter=500).fit(X, names)
    first, second = (run.plots["coefficients"] for run in tracker.runs)
    found = dict(zip(first["columns"]["feature"], first["columns"]["coefficient"], strict=True))
    assert found == pytest.approx(dict(zip(FRAME.columns, model.coef_[0], strict=True)))
    assert first["meta"] == {"features": 30, "intercept": model.intercept_.tolist()}
    assert set(second["columns"]) == {"feature", "a", "b", "feature (class)"}
    assert sorted(second["columns"]["feature"]) == ["x0", "x1", "x2", "x3"]
    assert sorted(second["columns"]["b"]) == sorted(three.coef_[1].tolist())


def test_only_the_largest(tracker):
    generator = np.random.default_rng(0)
    wide = generator.normal(size=(40, 1000))
    model = LinearRegression().fit(wide, wide[:, 7] * 5)
    table = tracker.runs[0].plots["coefficients"]
    assert table["columns"]["feature"][0] == "x7"
    assert len(table["columns"]["feature"]) == 200
    assert table["meta"]["features"] == model.n_features_in_


def test_names_from_the_steps(tracker):
    frame = FRAME.assign(kind=["a", "b"] * 284 + ["a"])
    encode = ColumnTransformer(
        [("num", StandardScaler(), list(FRAME.columns[:2])), ("cat", OneHotEncoder(), ["kind"])]
    )
    make_pipeline(encode, LogisticRegression()).fit(frame, TARGET)
    make_pipeline("passthrough", StandardScaler(), LogisticRegression()).fit(FRAME, TARGET)
    make_pipeline(FunctionTransformer(np.asarray), LogisticRegression(max_iter=5000)).fit(
        FRAME, TARGET
    )
    make_pipeline(CountVectorizer(), SGDClassifier()).fit(["a word", "the word", "no"], [0, 1, 0])
    names = [set(run.plots["coefficients"]["columns"]["feature"]) for run in tracker.runs]
    assert names[0] == {"num__mean radius", "num__mean texture", "cat__kind_a", "cat__kind_b"}
    assert names[1] == set(FRAME.columns)
    assert names[2] == {f"x{i}" for i in range(30)}
    assert names[3] == {"word", "the", "no"}


def test_the_model_inside(tracker):
    data = load_diabetes(return_X_y=True)
    GridSearchCV(Lasso(), {"alpha": [0.1, 1.0]}, cv=2).fit(*data)
    TransformedTargetRegressor(LinearRegression(), func=np.log, inverse_func=np.exp).fit(*data)
    runs = [run for run in tracker.runs if run.parent is None]
    assert all("coefficients" in run.plots for run in runs)
    assert runs[0].last("n_iter") > 0


def test_sparse_coefficients(tracker):
    sparse = scipy.sparse.csr_matrix(X)
    SVC(kernel="linear").fit(sparse, y)
    SGDClassifier(penalty="l1").fit(sparse, y).sparsify().fit(X, y)
    assert tracker.runs[1].plots["coefficients"]["meta"]["features"] == 4


def test_the_code_of_users_is_left_alone(tracker):
    class Mine(BaseEstimator):
        asked = 0

        def fit(self, X, y=None):
            self.coef_ = "none"
            self.loss_curve_ = ["a", 1.0]
            self.n_iter_ = None
            self.train_score_ = np.ones((2, 2))
            return self

        @property
        def feature_importances_(self):
            Mine.asked += 1
            raise RuntimeError

    class Fixed(BaseEstimator):
        def fit(self, X, y=None):
            self.feature_importances_ = [0.2, 0.8]
            self.feature_names_in_ = ["p", 3]
            self.coef_ = np.array([[np.nan, np.inf]])
            return self

    Mine().fit(X, y)
    Fixed().fit(X, y)
    first, second = tracker.runs
    assert first.plots == {}
    assert set(first.metrics) == {"fit_time_s"}
    assert Mine.asked == 0
    assert second.plots["feature_importance"]["columns"]["feature"] == ["3", "p"]


def test_frames_out_of_transformers(tracker):
    pipe = make_pipeline(StandardScaler(), LogisticRegression()).set_output(transform="pandas")
    pipe.fit(FRAME, TARGET)
    assert isinstance(pipe[0].transform(FRAME), pd.DataFrame)
    names = tracker.runs[0].plots["coefficients"]["columns"]["feature"]
    assert set(names) == set(FRAME.columns)
    assert "training_score" in tracker.runs[0].metrics


def test_what_other_kinds_tell(tracker):
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import RFECV
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import LabelEncoder

    data = np.random.default_rng(0).normal(size=(40, 4))
    PCA(3).fit(data)
    selection = RFECV(Ridge(), cv=2).fit(data, data[:, 0])
    LabelEncoder().fit(y=data[:, 0].astype(int))
    pca, rfecv, encoder = tracker.runs
    assert [step for step, _ in pca.metrics["explained_variance_ratio"]] == [0, 1, 2]
    assert rfecv.last("n_features") == selection.n_features_
    columns = rfecv.plots["n_features"]["columns"]
    assert columns["n_features"] == [1, 2, 3, 4]
    assert columns["mean_test_score"] == selection.cv_results_["mean_test_score"].tolist()
    assert [context for _, context, _ in encoder.inputs] == ["train"]
