# X is what scikit-learn calls it
"""What predicts by itself: scorers, displays, importances; and that no public metric is missed."""

from __future__ import annotations

import pickle
import time
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.calibration import CalibrationDisplay, calibration_curve
from sklearn.datasets import load_breast_cancer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Ridge
from sklearn.metrics import check_scoring, get_scorer, make_scorer
from sklearn.model_selection import cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from nbtrack.autologging import options
from nbtrack.autologging.options import Options
from nbtrack.autologging.sklearn import pictures

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)


@pytest.fixture
def model(tracker: Any) -> Any:
    return make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=3)).fit(
        X_train, y_train
    )


def after(tracker: Any) -> dict[str, float]:
    """Return the metrics that came after the fit."""
    (run,) = tracker.runs
    return {k: v[-1][1] for k, v in run.metrics.items() if k.endswith("_X_test")}


# --- scorers --------------------------------------------------------------------------------------


def test_scorers(tracker: Any, model: Any) -> None:
    f1 = get_scorer("f1")(model, X_test, y_test)
    loss = get_scorer("neg_log_loss")(model, X=X_test, y_true=y_test)
    score = check_scoring(model)(model, X_test, y_test)
    cost = make_scorer(lambda a, b: 3.0)(estimator=model, X=X_test, y_true=y_test)
    assert after(tracker) == {
        "f1_score_X_test": f1,
        "log_loss_X_test": -loss,
        "Pipeline_score_X_test": score,
        "Pipeline_score-2_X_test": cost,
    }
    plots = tracker.runs[0].plots
    matrix = plots["confusion_matrix_X_test"]["columns"]["count"]
    counts = metrics.confusion_matrix(y_test, model.predict(X_test)).ravel()
    assert matrix == [count for count in counts.tolist() if count]
    assert "roc_curve_X_test" in plots


def test_several_scores_at_once(tracker: Any, model: Any) -> None:
    pytest.importorskip("sklearn", "1.5")
    scorer = check_scoring(model, scoring=["accuracy", "roc_auc"])
    found = scorer(model, X_test, y_test)
    assert after(tracker) == {
        "accuracy_score_X_test": found["accuracy"],
        "roc_auc_score_X_test": found["roc_auc"],
    }


def test_scorers_of_the_library_are_its_own(tracker: Any, model: Any) -> None:
    cross_validate(DecisionTreeClassifier(), X, y, cv=2, scoring=["f1", "roc_auc"])
    stranger = DecisionTreeClassifier()
    DecisionTreeClassifier.fit(stranger, X, y)
    get_scorer("f1")(stranger, X_test, y_test)
    assert not any("X_test" in key for run in tracker.runs for key in run.metrics)


def test_scorers_stay_what_they_are(tracker: Any) -> None:
    scorer = make_scorer(metrics.f1_score)
    assert pickle.loads(pickle.dumps(scorer))._score_func is metrics.f1_score
    with pytest.raises(TypeError):
        scorer()
    with pytest.raises(TypeError):
        metrics.RocCurveDisplay.from_estimator()


def test_nothing_where_it_is_not_wanted(tracker: Any, model: Any) -> None:
    options.choose(Options(log_post_training_metrics=False), "sklearn")
    try:
        get_scorer("f1")(model, X_test, y_test)
        metrics.ConfusionMatrixDisplay.from_estimator(model, X_test, y_test)
        metrics.ConfusionMatrixDisplay.from_predictions(y_test, model.predict(X_test))
        permutation_importance(model, X_test, y_test, n_repeats=1)
    finally:
        options.forget()
    (run,) = tracker.runs
    assert not any("X_test" in key for key in (*run.metrics, *run.plots))


# --- displays -------------------------------------------------------------------------------------

DISPLAYS = {
    "ConfusionMatrixDisplay": "confusion_matrix",
    "DetCurveDisplay": "roc_curve",
    "PrecisionRecallDisplay": "precision_recall_curve",
    "RocCurveDisplay": "roc_curve",
    "CalibrationDisplay": "calibration_curve",
}


@pytest.fixture(autouse=True)
def drawn_by_nobody() -> Any:
    import matplotlib as mpl
    from matplotlib import pyplot

    backend = mpl.get_backend()
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")
    pyplot.switch_backend(backend)


@pytest.mark.parametrize("name", DISPLAYS)
def test_displays(tracker: Any, model: Any, name: str) -> None:
    display = CalibrationDisplay if name == "CalibrationDisplay" else getattr(metrics, name)
    plot = f"{DISPLAYS[name]}_X_test"
    shown = display.from_estimator(model, X_test, y_test)
    assert type(shown) is display
    (run,) = tracker.runs
    first = run.plots.pop(plot)
    hard = name == "ConfusionMatrixDisplay"
    predicted = model.predict(X_test) if hard else model.predict_proba(X_test)[:, 1]
    run.plots.clear()
    time.sleep(0.25)  # a picture is not drawn again at once
    display.from_predictions(y_test, predicted)
    assert run.plots[plot] == first
    assert not after(tracker)


def test_errors_of_predictions(tracker: Any) -> None:
    ridge = Ridge().fit(X_train, y_train)
    metrics.PredictionErrorDisplay.from_estimator(ridge, X_test, y_test)
    assert "residuals_X_test" in tracker.runs[0].plots


def test_curves_of_functions(tracker: Any, model: Any) -> None:
    probability = model.predict_proba(X_test)[:, 1]
    calibration_curve(y_test, probability)
    assert "calibration_curve_X_test" in tracker.runs[0].plots


def test_a_report(tracker: Any, model: Any) -> None:
    found = metrics.classification_report(y_test, model.predict(X_test), output_dict=True)
    table = tracker.runs[0].plots["classification_report_X_test"]
    assert table["columns"]["label"] == ["0", "1", "macro avg", "weighted avg"]
    assert table["columns"]["recall"][1] == found["1"]["recall"]
    assert table["meta"] == {"accuracy": found["accuracy"]}


# --- importances ----------------------------------------------------------------------------------


def test_importances_by_permutation(tracker: Any, model: Any) -> None:
    frame = pd.DataFrame(X_test, columns=[f"f{i}" for i in range(X.shape[1])])
    tree = DecisionTreeClassifier(max_depth=2).fit(frame, y_test)
    found = permutation_importance(tree, frame, y_test, n_repeats=2, random_state=0)
    permutation_importance(
        model, X_test, y_test, n_repeats=1, scoring=["f1", "accuracy"], random_state=0
    )
    first, second = tracker.runs
    table = second.plots["permutation_importance_frame"]["columns"]
    assert table["importance"] == sorted(found.importances_mean, reverse=True)
    assert table["feature"][0] == f"f{np.argmax(found.importances_mean)}"
    expected = {f"permutation_importance_{name}_X_test" for name in ("f1", "accuracy")}
    assert expected <= set(first.plots)
    assert not after_permuting(first)


def after_permuting(run: Any) -> set[str]:
    return {key for key in run.metrics if "score" in key and not key.startswith("training_")}


# --- all of them ----------------------------------------------------------------------------------

# They return no prediction's quality, or are given none.
NOT_HOOKED = {"get_scorer_names"}
# Functions of two columns or more numbers that are not drawn: numbers of them are logged.
NUMBERS_ONLY = {
    "adjusted_mutual_info_score",
    "adjusted_rand_score",
    "auc",
    "calinski_harabasz_score",
    "completeness_score",
    "consensus_score",
    "coverage_error",
    "davies_bouldin_score",
    "dcg_score",
    "fowlkes_mallows_score",
    "homogeneity_completeness_v_measure",
    "homogeneity_score",
    "label_ranking_average_precision_score",
    "label_ranking_loss",
    "mutual_info_score",
    "ndcg_score",
    "normalized_mutual_info_score",
    "rand_score",
    "silhouette_score",
    "top_k_accuracy_score",
    "v_measure_score",
}
NO_METRIC = {
    "check_scoring",
    "euclidean_distances",
    "get_scorer",
    "make_scorer",
    "nan_euclidean_distances",
    "pair_confusion_matrix",
    "pairwise_distances",
    "pairwise_distances_argmin",
    "pairwise_distances_argmin_min",
    "pairwise_distances_chunked",
    "pairwise_kernels",
    "silhouette_samples",
}


def test_every_public_function_is_known(tracker: Any) -> None:
    """A new one in a new version of scikit-learn is to be noticed."""
    functions = {n for n in metrics.__all__ if isinstance(getattr(metrics, n), FunctionType)}
    assert functions <= set(pictures.KINDS) | NUMBERS_ONLY | NO_METRIC | NOT_HOOKED
    for name in functions - NOT_HOOKED:
        function = getattr(metrics, name)
        while "func" not in function.__code__.co_freevars:
            function = function.__wrapped__
        place = function.__code__.co_freevars.index("func")
        inner = function.__closure__[place].cell_contents
        assert inner.__code__.co_filename.endswith("evaluation.py"), name


def test_every_display_is_known() -> None:
    displays = {n for n in metrics.__all__ if n.endswith("Display")}
    assert displays == (set(DISPLAYS) | {"PredictionErrorDisplay"}) - {"CalibrationDisplay"}
