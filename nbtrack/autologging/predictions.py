"""Which run a prediction came from, so that a metric computed of it later finds its run.

Three ways, the surest first: the array itself, or one it is a view of; the names in the call
that computes the metric; the expressions that those names were assigned. Where two runs are as
likely, there is no answer: a metric in the wrong run is worse than one not kept.
"""

from __future__ import annotations

import ast
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nbtrack.autologging.book import Book
from nbtrack.autologging.callsite import CallSite, target_text
from nbtrack.autologging.integration import TrackedRun
from nbtrack.autologging.naming import evaluate, is_data, name_of
from nbtrack.autologging.seen import Seen, see

T = TypeVar("T")

PREDICTING_METHODS = frozenset(
    {"predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples"}
)
_PREDICTING = PREDICTING_METHODS | {
    "fit_predict",
    "labels_",
    "row_labels_",
    "column_labels_",
    "transduction_",
    "oob_prediction_",
    "oob_decision_function_",
}
_TRUTH = ("y_true", "labels_true")
_MAX_DEPTH = 5
_MAX_VIEWS = 8
_MAX_PARTS = 100


class IdentityMap(Generic[T]):
    """Maps objects to values by identity, and forgets them when they are collected.

    The objects' own ``__eq__`` and ``__hash__`` are never called. An object that cannot be
    referred to weakly, as a list, is not taken.

    Examples
    --------
    >>> from nbtrack.autologging.predictions import IdentityMap
    >>> class Thing: pass
    >>> thing, colours = Thing(), IdentityMap()
    >>> colours.put(thing, "red")
    >>> colours.get(thing)
    'red'
    >>> del thing
    >>> len(colours)
    0
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Any], T]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: object, value: T) -> None:
        """Remember `value` for `key`, in place of an earlier one."""
        identity, entries = id(key), self._entries

        def forget(reference: weakref.ref[Any]) -> None:
            # The id may belong to a new object by now.
            if (entry := entries.get(identity)) is not None and entry[0] is reference:
                del entries[identity]

        try:
            entries[identity] = (weakref.ref(key, forget), value)
        except TypeError:
            return  # no weak reference: the names in the source have to do

    def get(self, key: object) -> T | None:
        """Return the value of `key`, or None."""
        entry = self._entries.get(id(key))
        return entry[1] if entry is not None and entry[0]() is key else None

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()


@dataclass(frozen=True)
class Origin:
    """A prediction's run, the user's name of the data that was predicted, and these, if known."""

    book: Book
    dataset: str | None
    data: Seen | None = None
    fitted: Seen | None = None
    """What the model was fitted with; not of predictions that fitting itself has made."""


class Predictions:
    """Books of the fitted estimators and origins of the predictions that are still alive."""

    def __init__(self) -> None:
        self._estimators: IdentityMap[Origin] = IdentityMap()
        self._predictions: IdentityMap[Origin] = IdentityMap()
        # Several fits may go into one run of the user's, and have to share its names.
        self._books: weakref.WeakValueDictionary[str, Book] = weakref.WeakValueDictionary()

    def book(self, run: TrackedRun) -> Book:
        """Return the book of `run`."""
        return self._books.setdefault(run.run_id, Book(run))

    def add_estimator(self, estimator: object, origin: Origin) -> None:
        """Remember the run that `estimator` was fitted in, and the name of its data."""
        self._estimators.put(estimator, origin)

    def of_estimator(self, estimator: object) -> Origin | None:
        """Return what `add_estimator` was told."""
        return self._estimators.get(estimator)

    def add(self, prediction: object, origin: Origin, data: object = None) -> None:
        """Remember where `prediction`, made of `data`, came from."""
        if isinstance(prediction, list):  # several outputs: one array each
            for part in prediction:
                self.add(part, origin, data)
            return
        self._predictions.put(prediction, origin)
        # A view of a view is a view of the array below, which must not be the user's data.
        base = getattr(prediction, "base", None)
        if base is not None and base is not data and base is not getattr(data, "base", None):
            self._predictions.put(base, origin)

    def clear(self) -> None:
        """Forget everything."""
        for part in (self._estimators, self._predictions, self._books):
            part.clear()

    def find(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], site: CallSite
    ) -> Origin | None:
        """Return the origin of the prediction that a metric function was called with.

        Parameters
        ----------
        args, kwargs
            The arguments of the call. The first one is the truth in all of scikit-learn's
            metrics, so it is looked at last.
        site
            Where the call stands.
        """
        values = [*args[1:], *(v for k, v in kwargs.items() if k not in _TRUTH)]
        truth = [*args[:1], *(v for k, v in kwargs.items() if k in _TRUTH)]
        for value in (*values, *truth):
            if (origin := self._of_value(value)) is not None:
                return origin
        if site.call is None:
            return None
        rest = [*site.call.args[1:], *(k.value for k in site.call.keywords if k.arg not in _TRUTH)]
        first = [*site.call.args[:1], *(k.value for k in site.call.keywords if k.arg in _TRUTH)]
        return self._of_source(rest, site, _MAX_DEPTH) or self._of_source(first, site, 0)

    def _of_value(self, value: object) -> Origin | None:
        if isinstance(value, list | tuple) and len(value) <= _MAX_PARTS:
            return _agreed([o for part in value if (o := self._predictions.get(part))])
        for _ in range(_MAX_VIEWS):
            if (origin := self._predictions.get(value)) is not None:
                return origin
            value = _below(value)
            if value is None:
                return None
        return None

    def _of_source(
        self, expressions: Iterable[ast.expr], site: CallSite, depth: int
    ) -> Origin | None:
        """Follow the names in `expressions`, and what they were assigned, level by level."""
        level, seen = list(expressions), set[str]()
        for _ in range(depth + 1):
            origins = [o for e in level for o in self._in_expression(e, site)]
            if origins:
                return _agreed(origins)
            names = {t for e in level for n in ast.walk(e) if (t := target_text(n))} - seen
            seen |= names
            level = [value for name in sorted(names) for value in site.assigned(name)]
        return None

    def _in_expression(self, expression: ast.expr, site: CallSite) -> Iterator[Origin]:
        """Yield the origins of what `expression` mentions."""
        match expression:
            case ast.Call(
                func=ast.Attribute(value=owner, attr=method), args=args, keywords=keywords
            ):
                fitted = self._fitted(owner, site) if method in _PREDICTING else None
                if fitted is not None:
                    data = next((k.value for k in keywords if k.arg == "X"), None)
                    given = args[0] if args else data
                    value = None if given is None else see(evaluate(given, site))
                    yield Origin(fitted.book, name_of(site, given), value, fitted.data)
                else:
                    yield from self._in_call(expression, site)
            case ast.Call():
                yield from self._in_call(expression, site)
            case ast.Attribute(value=owner, attr=attribute) if attribute in _PREDICTING and (
                fitted := self._fitted(owner, site)
            ):
                yield fitted
            case ast.Name() | ast.Attribute() | ast.Subscript():
                value = evaluate(expression, site)
                fitted = self._estimators.get(value)
                if (origin := self._of_value(value)) is not None:
                    yield origin
                elif fitted is not None and hasattr(type(value), "predict"):
                    yield Origin(
                        fitted.book, None, None, fitted.data
                    )  # an argument of a function of the user's
                elif value is None:
                    yield from self._in_parts(expression, site)
            case _:
                yield from self._in_parts(expression, site)

    def _in_call(self, call: ast.Call, site: CallSite) -> Iterator[Origin]:
        """Yield what a call mentions; a function of the user's that is given a model and data.

        That function predicts, most likely, what it is given.
        """
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        asks = any(self._fitted(e, site) for e in given)
        data = next((e for e in given if asks and is_data(evaluate(e, site))), None)
        for origin in self._in_parts(call, site):
            if origin.dataset is None and origin.data is None and data is not None:
                value = see(evaluate(data, site))
                yield Origin(origin.book, name_of(site, data), value, origin.fitted)
            else:
                yield origin

    def _in_parts(self, node: ast.AST, site: CallSite) -> Iterator[Origin]:
        for part in ast.iter_child_nodes(node):
            inside = self._in_expression if isinstance(part, ast.expr) else self._in_parts
            yield from inside(part, site)  # type: ignore[arg-type]  # an expression or not

    def _fitted(self, expression: ast.expr, site: CallSite) -> Origin | None:
        return self._estimators.get(evaluate(expression, site))


def _agreed(origins: list[Origin]) -> Origin | None:
    """Return one of several origins, if they are all of one run; rather one with a name."""
    if any(origin.book is not origins[0].book for origin in origins):
        return None
    return next((origin for origin in origins if origin.dataset), next(iter(origins), None))


def _below(value: object) -> object | None:
    """Return the array that `value` is a view of, where that costs nothing to know."""
    package = type(value).__module__.partition(".")[0]
    if package == "numpy":
        return getattr(value, "base", None)
    if package == "pandas" and type(getattr(value, "dtype", None)).__module__.startswith("numpy"):
        return getattr(value, "values", None)
    return None
