"""Cross-validation: one call is one run, whose folds are a table."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType
from typing import Any

from nbtrack.autologging import scope
from nbtrack.autologging.asking import predictions
from nbtrack.autologging.integration import TrackedRun, current_tracker, is_asked
from nbtrack.autologging.sklearn.calls import LIBRARY, WholeCall

FUNCTIONS = (
    "cross_val_score",
    "cross_validate",
    "cross_val_predict",
    "learning_curve",
    "validation_curve",
    "permutation_test_score",
)
# Arguments of the functions above that say how they were run, rather than on what.
_SETTINGS = ("cv", "scoring", "method", "param_name", "param_range", "n_permutations")
# Between a function that is wrapped in its closure and its caller stands the one that validates
# the parameters.
CALLER = 2


def wrap(function: FunctionType) -> Callable[..., Any]:
    """Return a function of `FUNCTIONS` that makes a run of each outermost call."""
    signature = inspect.signature(function)

    def cross_validation(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker(LIBRARY) if scope.is_idle() and is_asked(LIBRARY) else None
        if tracker is None:
            return function(*args, **kwargs)
        # scikit-learn has bound the arguments already, so binding them cannot fail.
        data = signature.bind(*args, **kwargs).arguments
        frame = sys._getframe(CALLER)
        recorder = CrossValidation(
            tracker, data["estimator"], function.__name__, tuple(signature.parameters), data, frame
        )
        return scope.record(recorder, function, args, kwargs)

    return cross_validation


class CrossValidation(WholeCall):
    """The run of a function that fits an estimator many times and leaves no model."""

    def name_hint(self) -> str:
        """Return function and estimator."""
        return f"{self.function}: {super().name_hint()}"

    def params(self) -> dict[str, Any]:
        """Return the params of estimator and function."""
        params = super().params()
        for name in _SETTINGS:
            if name in self.data:
                value = self.data[name]
                # A list of splits would be all their indices.
                splits = name == "cv" and isinstance(value, Iterable)
                key = f"{self.function}.{name}" if name in params else name
                params[key] = type(value).__name__ if splits else value
        return params

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Yield the parameters that carry data, with their parts."""
        yield "X", "train"
        if "y" in self.data:
            yield "y", "target"

    def write(self, run: TrackedRun, result: Any) -> None:
        """Write down what the function returned."""
        self.log_metrics({"fit_time_s": self.seconds})
        match self.function:
            case "cross_val_score":
                self._log_folds({"test_score": result})
            case "cross_validate":
                self._log_folds(result)
            case "cross_val_predict":
                if self.origin is not None:
                    predictions.add(result, self.origin)
            case "learning_curve":
                sizes, train, test = result[:3]
                self._log_curve("train_size", [int(size) for size in sizes], train, test)
            case "validation_curve":
                train, test = result
                values = list(self.data["param_range"])
                self._log_curve(str(self.data["param_name"]), values, train, test)
            case "permutation_test_score":
                score, _, pvalue = result
                self.log_metrics({"score": float(score), "pvalue": float(pvalue)})

    def _log_folds(self, results: Any) -> None:
        from nbtrack.media import Plot

        # Estimators and indices may be among them.
        columns = {
            name: values
            for name, values in results.items()
            if getattr(getattr(values, "dtype", None), "kind", None) in {"f", "i", "u"}
        }
        if not columns or self.chapter is None:
            return
        for name, values in columns.items():
            if name.startswith(("test_", "train_")):
                self.chapter.log_curve(name, values)
                self.log_metrics(
                    {f"mean_{name}": float(values.mean()), f"std_{name}": float(values.std())}
                )
        folds = range(len(next(iter(columns.values()))))
        table = {"fold": list(folds)} | {name: v.tolist() for name, v in columns.items()}
        self.chapter.log_plot(Plot("folds", "folds", table))

    def _log_curve(self, axis: str, places: list[Any], train: Any, test: Any) -> None:
        """Log scores of which there is one for each fold at each place of an axis."""
        from nbtrack.media import Plot

        if self.chapter is None:
            return
        # The axis of a metric has whole numbers: the sizes, or else just one after the other.
        steps = places if axis == "train_size" else range(len(places))
        for part, scores in (("train", train), ("test", test)):
            name = self.chapter.key(f"mean_{part}_score")
            self.chapter.book.run.log_history(name, scores.mean(axis=1), list(steps))
        folds = test.shape[1]
        table = {
            axis: [place for place in places for _ in range(folds)],
            "fold": list(range(folds)) * len(places),
            "train_score": train.ravel().tolist(),
            "test_score": test.ravel().tolist(),
        }
        self.chapter.log_plot(Plot(self.function, "folds", table, {"x": axis}))
