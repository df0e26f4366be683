"""scikit-learn: an outermost ``fit``, or a ``cross_validate``, is a run; metrics find theirs.

Methods are hooked on each class that defines them, now and as classes are made. Functions are
wrapped inside their closure, so that names imported earlier are reached, too.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

from nbtrack.autologging import leakage
from nbtrack.autologging.asking import predictions, wrap_predict
from nbtrack.autologging.integration import current_tracker
from nbtrack.autologging.patching import Patches, Wrap
from nbtrack.autologging.predictions import PREDICTING_METHODS
from nbtrack.autologging.recording import attempt
from nbtrack.autologging.sklearn import evaluation, fits, indirect, selection, streams
from nbtrack.autologging.sklearn.adoption import adopt
from nbtrack.provenance import cells

__all__ = ["adopt", "forget", "install"]


def forget() -> None:
    """Forget all estimators and predictions; trainings that still go on have come to their end."""
    streams.forget()
    predictions.clear()
    leakage.forget()


def install(module: ModuleType, patches: Patches) -> None:
    """Patch one of the modules that the table of integrations names."""
    if module.__name__ == "sklearn.base":
        _install_methods(module, patches)
        if streams.end_of_cell not in cells.on_end:
            cells.on_end.append(streams.end_of_cell)
    elif module.__name__ in {"sklearn.metrics", "imblearn.metrics"}:
        for name in module.__all__:
            patches.cell(_validated(getattr(module, name)), "func", evaluation.wrap_metric)
        indirect.install(module, patches)
    elif module.__name__ == "sklearn.calibration":
        patches.cell(module.calibration_curve, "func", evaluation.wrap_metric)
        indirect.install(module, patches)
    elif module.__name__ == "sklearn.inspection":
        indirect.install(module, patches)
    else:
        for name in selection.FUNCTIONS:
            patches.cell(getattr(module, name, None), "func", selection.wrap)


def _validated(function: object) -> object:
    """Return the function that validates the parameters; there may be others around it."""
    while "func" not in getattr(getattr(function, "__code__", None), "co_freevars", ("func",)):
        function = getattr(function, "__wrapped__", None)
    return function


def _install_methods(base: ModuleType, patches: Patches) -> None:
    makers: dict[str, Wrap] = {name: partial(fits.wrap_fit, name) for name in fits.METHODS}
    makers["partial_fit"] = fits.wrap_partial_fit
    makers |= {name: partial(wrap_predict, name) for name in PREDICTING_METHODS}
    makers["score"] = evaluation.wrap_score

    def hook(cls: type) -> None:
        # Mixins, which are no estimators themselves, define methods of estimators, too.
        for owner in cls.__mro__:
            for name in vars(owner).keys() & makers.keys():
                patches.hook(owner, name, makers[name])

    def hook_new(cls: type) -> None:
        tracker = current_tracker()
        if tracker is not None:
            attempt(tracker, f"watch the class {cls.__name__}", hook, cls)

    estimator: type = base.BaseEstimator
    for cls in _subclasses(estimator):
        hook(cls)
    patches.after_subclassing(estimator, hook_new)
    # The output mixin wraps `fit_transform` of a new class once more, after BaseEstimator's turn.
    for cls in base.TransformerMixin.__mro__:
        if "__init_subclass__" in vars(cls) and cls is not object:
            patches.after_subclassing(cls, hook_new)


def _subclasses(cls: type[Any]) -> set[type[Any]]:
    """Return `cls` and all classes that derive from it."""
    found, waiting = {cls}, [cls]
    while waiting:
        new = set(waiting.pop().__subclasses__()) - found
        found |= new
        waiting += new
    return found
