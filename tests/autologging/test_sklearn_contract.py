"""scikit-learn keeps the contract of integrations."""

from __future__ import annotations

from nbtrack.testing.integration_contract import IntegrationContract


class TestSklearn(IntegrationContract):
    """The smallest fits of scikit-learn."""

    library = "sklearn"
    setup = """
        import numpy as np
        from sklearn.base import BaseEstimator, ClassifierMixin
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LogisticRegression, SGDClassifier
        from sklearn.model_selection import GridSearchCV
        from sklearn.neural_network import MLPClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        generator = np.random.default_rng(0)
        X = generator.normal(size=(60, 4))
        y = (X[:, 0] > 0).astype(int)
    """
    # Its random numbers are numpy's own, which everybody shares.
    fit = """
        model = SGDClassifier(loss="log_loss").fit(X, y)
        result = model.predict_proba(X)
    """
    failing = "LogisticRegression(C=-1).fit(X, y)"
    interrupted = """
        class Impatient(BaseEstimator):
            def __init__(self, patience=1):
                self.patience = patience

            def fit(self, X, y):
                raise KeyboardInterrupt

        make_pipeline(StandardScaler(), Impatient()).fit(X, y)
    """
    counting = """
        calls = 0

        class Counting(ClassifierMixin, BaseEstimator):
            def fit(self, X, y):
                global calls
                calls += 1
                self.classes_ = np.unique(y)
                return self

            def predict(self, X):
                return np.zeros(len(X), int)

        Counting().fit(X, y)
    """
    nested = """
        grid = {"logisticregression__C": [0.1, 1, 10]}
        model = make_pipeline(StandardScaler(), LogisticRegression())
        GridSearchCV(model, grid, cv=3).fit(X, y)
    """
    parallel = """
        import joblib
        with joblib.parallel_backend(BACKEND, n_jobs=2):
            GridSearchCV(RandomForestClassifier(5), {"max_depth": [1, 2]}, cv=2).fit(X, y)
    """
    curves = """
        model = MLPClassifier(4)
        for _ in range(3):
            model.partial_fit(X, y, classes=[0, 1])
    """
    methods = ("fit", "predict", "score", "get_params", "set_fit_request", "partial_fit")
