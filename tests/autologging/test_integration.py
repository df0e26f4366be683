# X is what scikit-learn calls it
"""Switching on and off: the table, versions, imports before and after, exact restoring."""

import subprocess
import sys
import tempfile
import textwrap
import types
from pathlib import Path

import pytest

from nbtrack import autologging
from nbtrack.autologging import integration
from nbtrack.errors import InvalidParameterError
from nbtrack.testing.fakes import FakeTracker


def run_python(code):
    """Run code in a fresh interpreter, warnings being errors; return what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.py")  # not -c: from 3.13 on, Python knows the source of that
        script.write_text(textwrap.dedent(code))
        done = subprocess.run(
            [sys.executable, "-W", "error", script],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_and_enabling_imports_no_library():
    code = """
        import importlib, pkgutil, sys
        import nbtrack.autologging, nbtrack.testing.fakes
        for module in pkgutil.iter_modules(nbtrack.autologging.__path__):
            importlib.import_module("nbtrack.autologging." + module.name)
        nbtrack.autologging.enable(nbtrack.testing.fakes.FakeTracker())
        libraries = {"sklearn", "torch", "numpy", "pandas", "joblib", "IPython", "executing"}
        libraries |= {"cloudpickle"}
        print(libraries & {name.partition(".")[0] for name in sys.modules})
        print(sorted(row.reason for row in nbtrack.autologging.status().values()))
        nbtrack.autologging.disable()
    """
    loaded, reasons = run_python(code).splitlines()
    assert loaded == "set()"
    assert reasons == str(sorted(f"{row.package} is not imported yet" for row in integration.TABLE))


IMPORTS = """
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
"""
ENABLE = """
from nbtrack import autologging
from nbtrack.testing.fakes import FakeTracker
tracker = FakeTracker()
autologging.enable(tracker)
"""
WORK = """
X, y = load_iris(return_X_y=True)
pipe = make_pipeline(StandardScaler(), LogisticRegression())
pipe.fit(X, y)
accuracy_score(y, pipe.predict(X))
cross_val_score(pipe, X, y)
GridSearchCV(pipe, {"logisticregression__C": [1, 2]}, n_jobs=2).fit(X, y)
StandardScaler().fit_transform(X)
runs = [run for run in tracker.runs if run.parent is None]
keys = [key for key in runs[0].metrics if key.endswith("_X")]
print([run.name for run in runs], keys, tracker.warnings)
"""


@pytest.mark.parametrize("order", [(IMPORTS, ENABLE), (ENABLE, IMPORTS)], ids=["before", "after"])
def test_libraries_imported_before_and_after(order):
    code = "if __name__ == '__main__':\n" + textwrap.indent("".join(order) + WORK, "    ")
    assert run_python(code) == (
        "['Pipeline', 'cross_val_score: Pipeline', 'GridSearchCV', 'StandardScaler'] "
        "['accuracy_score_X'] []"
    )


def test_workers_do_not_import_us():
    code = """
        from nbtrack import autologging
        from nbtrack.testing.fakes import FakeTracker
        tracker = FakeTracker()
        autologging.enable(tracker)
        import cloudpickle, sys
        from joblib import Parallel, delayed
        from sklearn.base import BaseEstimator

        class Mine(BaseEstimator):
            def fit(self, X, y=None):
                self.ours_ = any(name.startswith("nbtr") for name in sys.modules)
                return self

            def predict(self, X):
                return X

        mine = Mine()
        assert b"nbtrack" not in cloudpickle.dumps(Mine), "class"
        assert b"nbtrack" not in cloudpickle.dumps(mine.fit), "method"
        assert b"nbtrack" not in cloudpickle.dumps(mine.fit([1])), "fitted"
        done = Parallel(n_jobs=2)(delayed(mine.fit)([i]) for i in range(2))
        print([est.ours_ for est in done], len(tracker.runs))
    """
    assert run_python(code) == "[False, False] 1"


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_forked_children_log_nothing():
    code = """
        import os
        from nbtrack import autologging
        from nbtrack.testing.fakes import FakeTracker
        tracker = FakeTracker()
        autologging.enable(tracker)
        from sklearn.dummy import DummyClassifier
        model = DummyClassifier().fit([[1]], [1])
        pid = os.fork()
        if not pid:
            DummyClassifier().fit([[1]], [1])
            model.score([[1]], [1])
            os._exit(len(tracker.runs) + 10 * len(tracker.runs[0].metrics))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """
    assert run_python(code) == "11"


def snapshot():
    """Everything that may be patched, by identity."""
    import joblib.parallel
    import sklearn.base
    import sklearn.metrics
    import sklearn.model_selection

    from nbtrack.autologging.sklearn import _subclasses

    owners = {c for cls in _subclasses(sklearn.base.BaseEstimator) for c in cls.__mro__}
    owners |= {joblib.parallel.Parallel, joblib.parallel.BatchedCalls}
    state = {
        # Pickling leaves `__slotnames__` in a class.
        owner: [(name, id(v)) for name, v in vars(owner).items() if name != "__slotnames__"]
        for owner in owners
    }
    for module in (sklearn.metrics, sklearn.model_selection):
        for name, value in vars(module).items():
            if isinstance(value, types.FunctionType):
                cells = [id(cell.cell_contents) for cell in value.__closure__ or ()]
                state[module.__name__, name] = [id(value), *cells]
    state["meta_path"] = list(map(id, sys.meta_path))
    return state


def test_disable_restores_exactly():
    from sklearn.datasets import load_iris
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils import all_estimators

    assert len(all_estimators()) > 150  # everything is imported now
    before = snapshot()
    autologging.enable(FakeTracker())
    autologging.enable(FakeTracker())
    during = snapshot()
    make_pipeline(StandardScaler()).fit_transform(*load_iris(return_X_y=True))
    autologging.disable()
    after = snapshot()
    assert sum(before[key] != during[key] for key in before) > 250
    assert [key for key in before if after[key] != before[key]] == []
    autologging.disable()


def test_a_class_made_meanwhile_is_restored(tracker):
    from sklearn.base import BaseEstimator, TransformerMixin

    class Made(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def fit_transform(self, X, y=None):
            return X

    autologging.disable()
    assert {type(vars(Made)[name]) for name in ("fit", "fit_transform")} == {types.FunctionType}


def test_unknown_name():
    with pytest.raises(InvalidParameterError, match="no integration 'torchy'"):
        autologging.enable(FakeTracker(), "torchy")


def test_only_those_asked_for(monkeypatch):
    import joblib  # noqa: F401

    autologging.enable(FakeTracker(), "joblib")
    assert autologging.status()["joblib"].reason == ""
    assert autologging.status()["sklearn"].reason == "not enabled"
    autologging.disable()
    assert autologging.status()["joblib"].reason == "not enabled"


@pytest.mark.parametrize(
    ("version", "on"),
    [("1.3.9", False), ("0.24", False), ("1.4.0", True), ("1.4.dev0", True), ("2.0rc1", False)],
)
def test_versions(monkeypatch, version, on):
    import sklearn

    monkeypatch.setattr(sklearn, "__version__", version)
    quiet, loud = FakeTracker(), FakeTracker()
    try:
        autologging.enable(quiet)
        state = autologging.status()["sklearn"]
        autologging.enable(loud, "sklearn")
    finally:
        autologging.disable()
    assert (state.installed, state.version) == (on, version)
    assert quiet.warnings == []
    assert loud.warnings == ([] if on else [state.reason])
    assert on or version in state.reason


def test_an_integration_that_cannot_be_installed(monkeypatch):
    """A library that has moved its insides is left as it was, with one warning."""
    from sklearn.dummy import DummyClassifier

    from nbtrack.autologging import sklearn as implementation

    before = snapshot()
    monkeypatch.setattr(implementation, "_install_methods", lambda *_: 1 / 0)
    tracker = FakeTracker()
    autologging.enable(tracker)
    state = autologging.status()["sklearn"]
    assert "ZeroDivisionError" in state.reason
    assert tracker.warnings == [state.reason]
    DummyClassifier().fit([[1]], [1])
    assert tracker.runs == []
    autologging.disable()
    assert snapshot() == before


def test_a_run_may_have_a_parent(client, monkeypatch):
    from nbtrack.autologging.tracker import FluentTracker
    from nbtrack.tracking import location

    monkeypatch.setattr(location, "_chosen", [client.path])
    parent = FluentTracker().begin_run("Search")
    child = FluentTracker().begin_run("Candidate", parent=parent)
    info = client.get_run(child.run_id).info
    assert (info.parent_run_id, info.experiment_name) == (parent.run_id, "Default")
    for run in (child, parent):
        run.end()


def test_the_table_is_complete():
    assert list(autologging.status()) == [row.name for row in integration.TABLE]
    assert len({row.name for row in integration.TABLE}) == len(integration.TABLE)
